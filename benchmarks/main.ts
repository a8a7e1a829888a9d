/** `npm run bench -- <benchmark>`: runs one, prints a table to stdout; `--json F` keeps the raw samples. */

import { appendFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Benchmark } from "./benchmark.js";
import { boot } from "./boot.js";
import type { Contender } from "./contenders/contender.js";
import { qemu } from "./contenders/qemu.js";
import { terrarium } from "./contenders/terrarium.js";
import { interpreter } from "./interpreter.js";
import { table } from "./measurement.js";
import { memory } from "./memory.js";

const BENCHMARKS: readonly Benchmark[] = [boot, interpreter, memory];
const CONTENDERS: readonly Contender[] = [terrarium, qemu];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    samples: { type: "string", default: "3" },
    image: { type: "string", default: "debian-cloud" },
  },
});
const progress = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

const benchmark = BENCHMARKS.find(({ name }) => name === positionals[0]);
if (benchmark === undefined) {
  const list = BENCHMARKS.map(({ name, description }) => `  ${name.padEnd(12)} ${description}`).join("\n");
  progress(`Say which benchmark:\n${list}\nOptions: --json FILE, --samples N, --image NAME`);
  process.exitCode = 2;
} else {
  const contenders = await available();
  const measurements = await benchmark.run({
    contenders,
    samples: Number(values.samples),
    image: values.image,
    progress,
  });
  process.stdout.write(`${table(measurements)}\n`);
  if (values.json !== undefined) {
    await writeFile(values.json, "");
    for (const measurement of measurements) await appendFile(values.json, `${JSON.stringify(measurement)}\n`);
  }
}

/** Those who can take part; the others are named with the reason. */
async function available(): Promise<Contender[]> {
  const reasons = await Promise.all(CONTENDERS.map((contender) => contender.unavailable()));
  for (const [index, reason] of reasons.entries()) {
    if (reason !== undefined) progress(`${CONTENDERS[index]?.name ?? ""} is left out: ${reason}`);
  }
  return CONTENDERS.filter((_, index) => reasons[index] === undefined);
}

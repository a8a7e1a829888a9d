/** `npm run bench -- <benchmark>`: runs one, prints a table to stdout; `--json F` keeps the raw samples. */

import { appendFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Engine } from "@terrarium/machine";
import { table } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";
import { boot } from "./boot.js";
import { churn } from "./churn.js";
import { container } from "./container.js";
import type { Contender } from "./contenders/contender.js";
import { qemu } from "./contenders/qemu.js";
import { terrarium } from "./contenders/terrarium.js";
import { v86 } from "./contenders/v86.js";
import { cpu } from "./cpu.js";
import { interpreter } from "./interpreter.js";
import { memory } from "./memory.js";

const BENCHMARKS: readonly Benchmark[] = [boot, churn, container, cpu, interpreter, memory];
const OPTIONS = `Options: --json FILE, --samples N, --image NAME, --contenders A,B, --only A,B (workloads), --engine NAME, --minutes N (churn)`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    samples: { type: "string", default: "3" },
    image: { type: "string", default: "debian-cloud" },
    contenders: { type: "string" },
    only: { type: "string" },
    engine: { type: "string", default: "auto" },
    minutes: { type: "string", default: "60" },
  },
});
const progress = (text: string): void => {
  process.stderr.write(`${text}\n`);
};
/** Names of contenders or of their variants; undefined where everybody takes part. */
const chosen = values.contenders?.split(",");

const benchmark = BENCHMARKS.find(({ name }) => name === positionals[0]);
if (benchmark === undefined) {
  const list = BENCHMARKS.map(({ name, description }) => `  ${name.padEnd(12)} ${description}`).join("\n");
  progress(`Say which benchmark:\n${list}\n${OPTIONS}`);
  process.exitCode = 2;
} else {
  const measurements = await benchmark.run({
    // Those of `container` are other runtimes, which it knows itself.
    contenders: benchmark === container ? [] : await available(),
    samples: Number(values.samples),
    image: values.image,
    only: values.only?.split(","),
    engine: values.engine,
    minutes: Number(values.minutes),
    takesPart: (variant) => chosen?.some((name) => variant === name || variant.startsWith(`${name}-`)) ?? true,
    progress,
  });
  process.stdout.write(`${(benchmark.report ?? table)(measurements)}\n`);
  if (values.json !== undefined) {
    await writeFile(values.json, "");
    for (const measurement of measurements) await appendFile(values.json, `${JSON.stringify(measurement)}\n`);
  }
}

/** Those who were chosen and can take part; who cannot is named with the reason. */
async function available(): Promise<Contender[]> {
  // Whether there is an engine of that name, boot() knows.
  const all: readonly Contender[] = [terrarium(values.engine as Engine), qemu, v86];
  const unknown = chosen?.find((one) => !all.some(({ name }) => one === name || one.startsWith(`${name}-`)));
  if (unknown !== undefined) {
    throw new Error(`there is no contender ${unknown}; there are ${all.map(({ name }) => name).join(", ")}`);
  }
  const wanted = all.filter(({ name }) => chosen?.some((one) => one === name || one.startsWith(`${name}-`)) ?? true);
  const reasons = await Promise.all(wanted.map((contender) => contender.unavailable()));
  for (const [index, reason] of reasons.entries()) {
    if (reason !== undefined) progress(`${wanted[index]?.name ?? ""} is left out: ${reason}`);
  }
  return wanted.filter((_, index) => reasons[index] === undefined);
}

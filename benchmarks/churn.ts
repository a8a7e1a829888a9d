/** What compiled code costs a host over time: a guest copies programs, runs the copies and throws them away, so that no code is ever seen again. */

import { images } from "@terrarium/images";
import { boot, type Engine, type Machine } from "@terrarium/machine";
import { conditions, median, type Measurement } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";

/** Copies that are there at a time: their pages, written again and again, are all that the guest runs. */
const COPIES = 6;
/** Runs each copy in ways that are hot for some tenths of a second, and removes them all. */
const COMMAND = `
set -e
busybox=$(which busybox)
n=0
while [ $n -lt ${COPIES} ]; do
  b=/tmp/busybox$n
  cp "$busybox" $b
  $b gzip -c $b | $b gunzip | $b sha256sum
  $b md5sum $b
  $b sh -c 'i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done'
  $b awk 'BEGIN { for (i = 0; i < 20000; i++) s = s + i % 7; print s }'
  $b seq 3000 | $b sort -r | $b sed s/1/x/g | $b tail -1
  n=$((n+1))
done
rm /tmp/busybox*`;
const MINUTE_MS = 60_000;
/** How often somebody looks. */
const LOOK_MS = 10_000;

/** What is looked at, by name. */
const FIGURES = ["regions", "compiled code", "core memory", "process memory"] as const;

export const churn: Benchmark = {
  name: "churn",
  description: "what compiled code takes over --minutes in which the guest runs ever new code",

  async run({ image: name, engine, minutes, progress }) {
    const image = images.find((candidate) => candidate.name === name);
    if (image === undefined) throw new Error(`there is no image ${name}`);
    await using machine = await boot(image, { engine: engine as Engine });
    await machine.console.waitFor(image.prompt, { timeout: "10min" });
    const samples: number[][] = FIGURES.map(() => []);
    const start = performance.now();
    const elapsed = (): number => performance.now() - start;
    let looked = -LOOK_MS;
    while (elapsed() < minutes * MINUTE_MS) {
      const { exitCode, stderr } = await machine.run(COMMAND, { timeout: "10min" });
      if (exitCode !== 0) throw new Error(`the guest, ${name}, ran no new code: ${stderr}`);
      if (elapsed() - looked < LOOK_MS) continue;
      looked = elapsed();
      const { figures, line } = await look(machine);
      for (const [index, figure] of figures.entries()) samples[index]?.push(figure);
      progress(`${(looked / MINUTE_MS).toFixed(1)} min: ${line}`);
    }
    return FIGURES.map((workload, index): Measurement => {
      const unit = workload === "regions" ? "" : "MiB";
      const values = samples[index] ?? [];
      const common = { benchmark: "churn", contender: "terrarium", conditions: { ...conditions(), engine, minutes } };
      return { ...common, workload, unit, samples: values, median: median(values) };
    });
  },
};

async function look(machine: Machine): Promise<{ readonly figures: readonly number[]; readonly line: string }> {
  const stats = await machine.stats();
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  const figures = [
    stats.regions,
    mebibytes(stats.heldModuleBytes),
    mebibytes(stats.coreBytes),
    mebibytes(process.memoryUsage.rss()),
  ];
  const shown = FIGURES.map((name, index) => `${name} ${(figures[index] ?? 0).toFixed(index === 0 ? 0 : 1)}`);
  const { modules, regionsInvalidated, regionsEvicted, instructions } = stats;
  const made = `${modules} modules, ${regionsInvalidated} regions overwritten, ${regionsEvicted} evicted`;
  return { figures, line: `${shown.join(", ")}; ${made}, ${(instructions / 1e9).toFixed(1)} G instructions` };
}

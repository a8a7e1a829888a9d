/** How fast integer code runs: one bare guest program, the same for everybody, one workload a run. */

import { conditions, median, Series, type Measurement } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";
import { guestProgram } from "./guest-program.js";

/** Rounds of each workload: enough for about a second in an interpreter. */
const ROUNDS = { alu: 20, branches: 15, memory: 25, calls: 12, sieve: 12, sha256: 15 } as const;

export const interpreter: Benchmark = {
  name: "interpreter",
  description: "integer workloads on the bare machine",

  async run({ contenders: all, samples, progress }) {
    const contenders = all.flatMap(({ name, execute }) => (execute === undefined ? [] : [{ name, execute }]));
    const kernel = await guestProgram(progress);
    const series = new Series();
    for (const [workload, rounds] of Object.entries(ROUNDS)) {
      for (let sample = 0; sample < samples; sample += 1) {
        const checksums = new Set<string>();
        for (const contender of contenders) {
          progress(`${workload}, ${contender.name}, ${sample + 1} of ${samples}`);
          const { seconds, instructions, checksum } = await contender.execute(kernel, `${workload} ${rounds}`);
          checksums.add(checksum);
          series.add(`${workload} ${contender.name} s`, seconds);
          if (instructions !== undefined) {
            series.add(`${workload} ${contender.name} MIPS`, instructions / seconds / 1e6);
          }
        }
        if (checksums.size !== 1) throw new Error(`${workload}: the contenders computed ${[...checksums].join(", ")}`);
      }
    }
    return Object.keys(ROUNDS).flatMap((workload) =>
      contenders.flatMap(({ name: contender }) =>
        ["s", "MIPS"].flatMap((unit): Measurement[] => {
          const values = series.get(`${workload} ${contender} ${unit}`);
          const common = { benchmark: "interpreter", workload, contender, unit, conditions: conditions() };
          return values.length === 0 ? [] : [{ ...common, samples: values, median: median(values) }];
        }),
      ),
    );
  },
};

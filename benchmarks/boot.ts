/** How long a stock kernel takes from power-on to the shell. */

import { images, recipes } from "@terrarium/images";
import { conditions, median, Series, type Measurement } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";

export const boot: Benchmark = {
  name: "boot",
  description: "wall time from the call to the shell's prompt",

  async run({ contenders: all, samples, image: name, progress }) {
    const image = images.find((candidate) => candidate.name === name);
    const architecture = recipes.find((recipe) => recipe.name === name)?.architecture;
    if (image === undefined || architecture === undefined) throw new Error(`there is no image ${name}`);
    const contenders = all.filter(({ architectures }) => architectures.includes(architecture));
    const series = new Series();
    for (let sample = 0; sample < samples; sample += 1) {
      for (const contender of contenders) {
        progress(`${name}, ${contender.name}, ${sample + 1} of ${samples}`);
        await using guest = await contender.boot(image);
        const { seconds, instructions } = guest;
        series.add(`${contender.name} s`, seconds);
        if (instructions === undefined) continue;
        series.add(`${contender.name} instructions`, instructions);
        series.add(`${contender.name} MIPS`, instructions / seconds / 1e6);
      }
    }
    const described = { ...conditions(), memory: image.memory, commandLine: image.commandLine };
    return contenders.flatMap((contender) =>
      ["s", "instructions", "MIPS"].flatMap((unit): Measurement[] => {
        const values = series.get(`${contender.name} ${unit}`);
        const common = { benchmark: "boot", workload: name, contender: contender.name, unit };
        return values.length === 0
          ? []
          : [{ ...common, samples: values, median: median(values), conditions: described }];
      }),
    );
  },
};

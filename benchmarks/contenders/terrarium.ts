/** Terrarium itself, in this process. */

import { boot, type Image } from "@terrarium/machine";
import { PROGRAM_END, PROGRAM_MEMORY_MIB, type Contender } from "./contender.js";

export const terrarium: Contender = {
  name: "terrarium",
  unavailable: () => Promise.resolve(undefined),

  async boot(image: Image) {
    const start = performance.now();
    await using machine = await boot(image);
    await machine.console.waitFor(image.prompt, { timeout: "10min" });
    const seconds = (performance.now() - start) / 1000;
    const { instructions } = await machine.stats();
    return { seconds, instructions };
  },

  async execute(kernel, commandLine) {
    await using machine = await boot({ kernel, commandLine, entry: "pvh", memory: `${PROGRAM_MEMORY_MIB}MiB` });
    await machine.console.waitFor("begin");
    const start = performance.now();
    const shown = await machine.console.waitFor(PROGRAM_END, { timeout: "10min" });
    const seconds = (performance.now() - start) / 1000;
    // After `end` the program halts for good, so the counter stands still.
    const { instructions } = await machine.stats();
    return { seconds, instructions, checksum: PROGRAM_END.exec(shown)?.[1] ?? "" };
  },
};

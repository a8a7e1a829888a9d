/** Terrarium itself, in this process. */

import { boot, type Engine, type Image } from "@terrarium/machine";
import { PROGRAM_END, PROGRAM_MEMORY_MIB, type Contender } from "./contender.js";
import { bootToPrompt } from "./shell.js";

/** Nothing that is waited for takes longer. */
const timeout = "10min";

/** Terrarium with guest code executed by `engine`. */
export function terrarium(engine: Engine): Contender {
  return {
    name: "terrarium",
    architectures: ["amd64", "i386"],
    unavailable: () => Promise.resolve(undefined),

    async boot(image: Image, wide = false) {
      const start = performance.now();
      const machine = await boot(image, { engine, ...(wide ? { cpu: "x86-64-v3" } : {}) });
      const guest = {
        write: (text: string) => machine.console.write(text),
        waitFor: (pattern: string) => machine.console.waitFor(pattern, { timeout }),
        [Symbol.asyncDispose]: () => machine.stop(),
      };
      const booted = await bootToPrompt(guest, image.prompt, start);
      const { instructions } = await machine.stats();
      return { ...booted, instructions };
    },

    async execute(kernel, commandLine) {
      const memory = `${PROGRAM_MEMORY_MIB}MiB` as const;
      await using machine = await boot({ kernel, commandLine, entry: "pvh", memory, engine });
      await machine.console.waitFor("begin");
      const start = performance.now();
      const shown = await machine.console.waitFor(PROGRAM_END, { timeout });
      const seconds = (performance.now() - start) / 1000;
      // After `end` the program halts for good, so the counter stands still.
      const { instructions } = await machine.stats();
      return { seconds, instructions, checksum: PROGRAM_END.exec(shown)?.[1] ?? "" };
    },
  };
}

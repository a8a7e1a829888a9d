/** `terrarium hold`: what `run --detach` and `start` leave behind. Not for users. */

import { closeSync, openSync, writeSync } from "node:fs";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { HOLD } from "../../containers/detach.js";
import { Holder } from "../../containers/holder.js";
import { findRecord } from "../../containers/place.js";

/** The command. */
export function holdCommand(): Command {
  return new Command(HOLD)
    .argument("<id>")
    .option("--again")
    .action(async (id: string, { again }: { readonly again?: true }) => {
      // It is not ended by what ends the terminal's programs, but by `stop`.
      for (const signal of ["SIGHUP", "SIGINT"] as const) process.on(signal, () => undefined);
      try {
        const { container, ended } = await Holder.start(await findRecord(id), { again: again === true });
        if (container.capabilities.run) container.closeInput();
        say("running\n");
        await ended;
      } catch (error) {
        if (!(error instanceof MachineError)) throw error;
        const { code, message, details } = error as MachineError;
        say(JSON.stringify({ code, message, details }));
      }
    });
}

/** Tells whoever started this, once. */
function say(text: string): void {
  try {
    writeSync(1, text);
  } catch {
    // It has not waited.
  }
  closeSync(1);
  // The number must not come to mean something else.
  openSync("/dev/null", "w");
}

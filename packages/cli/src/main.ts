/** `terrarium`: reads the command line, runs the command, turns errors into a sentence and an exit status. */

import { MachineError } from "@terrarium/machine";
import { messageOf } from "@terrarium/machine/guest-kit";
import { Command, CommanderError } from "commander";
import { bootCommand } from "./commands/boot.js";
import { compareCommand } from "./commands/compare.js";
import { holdCommand } from "./commands/container/hold.js";
import { containerCommands } from "./commands/container/index.js";
import { imagesCommand } from "./commands/images.js";
import { lockstepCommand } from "./commands/lockstep.js";
import { profileCommand } from "./commands/profile.js";

/** Exit status of a mistake in the call, or of ours; the guest's own troubles have others. */
const STATUS_ERROR = 2;

/** Runs `terrarium` with `args` (without program and script name); resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  let status = 0;
  const program = new Command("terrarium")
    .description("Boots unmodified x86 operating systems, in WebAssembly, and containers on this machine's kernel.")
    // Options behind a command are the command's; behind the image of `run`, the program's.
    .enablePositionalOptions()
    // Without this, Commander ends the process itself, with another status and an unrestored terminal.
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const report = (result: number): void => {
    status = result;
  };
  const ofMachines = [bootCommand(report), imagesCommand(), lockstepCommand(report), profileCommand()];
  for (const command of [...ofMachines, compareCommand(), ...containerCommands(report)]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  program.addCommand(holdCommand().copyInheritedSettings(program), { hidden: true });
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    process.stderr.write(`terrarium: ${sentence(error)}\n`);
    return STATUS_ERROR;
  }
}

function sentence(error: unknown): string {
  if (error instanceof MachineError) return `${error.message} [${error.code}]`;
  if (error instanceof CommanderError) {
    if (error.code === "commander.help")
      return "Say what to do, such as `terrarium boot`; `terrarium --help` lists it all.";
    return `${error.message.replace(/^error: /, "")}; \`terrarium --help\` lists what there is. [OPTION_INVALID]`;
  }
  return `something went wrong inside Terrarium: ${messageOf(error)} [INTERNAL]`;
}

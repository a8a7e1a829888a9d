/** `terrarium exec`: another command in a container that runs. */

import { Command } from "commander";
import { attach, checkTerminal, show, type AttachFlags } from "../../containers/attach.js";
import { exec } from "../../containers/client.js";
import { handOver, ownStreams } from "../../containers/handing.js";
import { findRecord } from "../../containers/place.js";
import { repeated, userOf, variables } from "./options.js";

interface Flags extends AttachFlags {
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
}

/** The command; `report` gets the exit status. */
export function execCommand(report: (status: number) => void): Command {
  return new Command("exec")
    .description("run another command in a container that runs")
    .argument("<container>")
    .argument("<command...>", "program and arguments")
    .option("-i, --interactive", "pass this input on")
    .option("-t, --tty", "give it a terminal")
    .option("-e, --env <name=value>", "an environment variable; may be repeated", repeated)
    .option("-w, --workdir <path>", "directory it runs in")
    .option("-u, --user <name:group>", "whose it is, by names or numbers")
    .passThroughOptions()
    .action(async (name: string, command: string[], flags: Flags) => {
      checkTerminal(flags);
      const options = {
        terminal: flags.tty === true,
        ...(flags.env === undefined ? {} : { env: variables(flags.env) }),
        ...(flags.workdir === undefined ? {} : { cwd: flags.workdir }),
        ...(flags.user === undefined ? {} : { user: userOf(flags.user) }),
      };
      const record = await findRecord(name);
      const handed = handOver(record.id, ownStreams(flags));
      const carried = handed?.streams.includes("stdin") === true ? {} : flags;
      report(await attach(() => exec(record, command, options, handed, show), carried));
    });
}

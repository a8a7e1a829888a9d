/** `terrarium start`: a container that has been made runs, one that has ended goes on with the files it left. */

import { Command } from "commander";
import { checkTerminal } from "../../containers/attach.js";
import { pidOf } from "../../containers/client.js";
import { detach } from "../../containers/detach.js";
import { findRecord } from "../../containers/place.js";
import { holdHere } from "./run.js";

interface Flags {
  readonly attach?: true;
  readonly interactive?: true;
}

/** The command; `report` gets the exit status of a container that is attached to. */
export function startCommand(report: (status: number) => void): Command {
  return new Command("start")
    .description("start containers that do not run, with the files they have")
    .argument("<container...>")
    .option("-a, --attach", "show what it writes until it ends, and pass signals on")
    .option("-i, --interactive", "pass this input on, too")
    .action(async (names: string[], { attach: attached, interactive }: Flags) => {
      if (attached !== true && interactive !== true) {
        for (const name of names) await startDetached(name);
        return;
      }
      for (const name of names) report(await startAttached(name, interactive));
    });
}

async function startDetached(name: string): Promise<void> {
  const record = await findRecord(name);
  if ((await pidOf(record)) === undefined) await detach(record, { again: true });
  process.stdout.write(`${name}\n`);
}

async function startAttached(name: string, interactive: true | undefined): Promise<number> {
  const record = await findRecord(name);
  const flags = {
    ...(interactive === undefined ? {} : { interactive }),
    ...(record.options.terminal === true ? { tty: true as const } : {}),
  };
  checkTerminal(flags);
  return await holdHere(record, flags, true);
}

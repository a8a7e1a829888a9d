/** `terrarium cp`: files in and out of a container. */

import { copyFromGuest, copyToGuest, type CopyEnd, type CopyOptions } from "@terrarium/container";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { copyEnd, pidOf } from "../../containers/client.js";
import { whileEnded } from "../../containers/holder.js";
import { findRecord } from "../../containers/place.js";
import { fromUser } from "../../paths.js";

/** A path, and the container that it is in where one is named. */
interface Place {
  readonly container: string | undefined;
  readonly path: string;
}

interface Flags {
  readonly followLink?: boolean;
  readonly archive?: boolean;
}

/** The command. */
export function cpCommand(): Command {
  return new Command("cp")
    .description("copy files and directories in and out of a container")
    .argument("<source>", "a path, or CONTAINER:PATH; - is a tar archive on standard input")
    .argument("<target>", "a path, or CONTAINER:PATH; - is a tar archive on standard output")
    .option("-L, --follow-link", "copy what a link at the source leads to, instead of the link")
    .option("-a, --archive", "keep owners and groups, by their numbers")
    .action(async (source: string, target: string, { followLink = false, archive = false }: Flags) => {
      const [from, to] = [placeOf(source), placeOf(target)];
      const options = { followLink, keepOwners: archive };
      if (from.container === undefined && to.container !== undefined) {
        await copyIn(from.path, to.container, to.path, options);
      } else if (from.container !== undefined && to.container === undefined) {
        await copyOut(from.container, from.path, to.path, options);
      } else {
        const options = "SOURCE, TARGET";
        throw new MachineError("OPTIONS_CONFLICT", "One of the two must be CONTAINER:PATH.", { options });
      }
    });
}

/** As docker takes them: what begins with a slash or a dot is of this machine, whatever colons are in it. */
function placeOf(text: string): Place {
  const colon = text.indexOf(":");
  if (colon <= 0 || /^[./]/.test(text)) return { container: undefined, path: text };
  const path = text.slice(colon + 1);
  return { container: text.slice(0, colon), path: path.startsWith("/") ? path : `/${path}` };
}

/** Calls `use` with a container, which runs or has ended. */
async function withEnd(name: string, use: (end: CopyEnd) => Promise<void>): Promise<void> {
  const record = await findRecord(name);
  await ((await pidOf(record)) === undefined ? whileEnded(record, use) : use(copyEnd(record)));
}

async function copyIn(source: string, name: string, target: string, options: CopyOptions): Promise<void> {
  await withEnd(name, async (end) => {
    await (source === "-"
      ? end.unpack(target, process.stdin, options)
      : copyToGuest(end, fromUser(source), target, options));
  });
}

async function copyOut(name: string, source: string, target: string, options: CopyOptions): Promise<void> {
  await withEnd(name, async (end) => {
    if (target !== "-") {
      await copyFromGuest(end, source, fromUser(target), options);
      return;
    }
    for await (const chunk of end.pack(source, options)) {
      if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
  });
}

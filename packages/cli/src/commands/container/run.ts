/** `terrarium run`: a command in a container of an image. */

import { boot, oci } from "@terrarium/container";
import { unsupported } from "@terrarium/machine/guest-kit";
import { Command, Option } from "commander";
import { attach, checkTerminal, show, type AttachFlags, type Session } from "../../containers/attach.js";
import { detach } from "../../containers/detach.js";
import { ownStreams } from "../../containers/handing.js";
import { Holder } from "../../containers/holder.js";
import { sessionOfMachine } from "../../containers/machine.js";
import { exactly, openImages, storeDirectory, type ContainerRecord } from "../../containers/place.js";
import { ensureImage, make } from "./create.js";
import { containerOptions, withContainerOptions, type RunFlags } from "./options.js";

/** The command; `report` gets the exit status. */
export function runCommand(report: (status: number) => void): Command {
  const command = new Command("run")
    .description("run a command in a container of an image")
    .argument("<image>", "name of an image; one with a registry is fetched where it is not here")
    .argument("[command...]", "program and arguments; the image's own where absent")
    .option("-d, --detach", "leave it running and print its id")
    .addOption(
      new Option("--isolation <kind>", "what keeps it apart").choices(["container", "machine"]).default("container"),
    );
  return withContainerOptions(command).action(async (image: string, command: string[], flags: RunFlags) => {
    report(await run(image, command, flags));
  });
}

async function run(image: string, command: readonly string[], flags: RunFlags): Promise<number> {
  if (flags.isolation === "machine") return await runMachine(image, command, flags);
  if (flags.detach !== true) checkTerminal(flags);
  const record = await make(image, command, flags);
  if (flags.detach === true) {
    await detach(record);
    process.stdout.write(`${record.id}\n`);
    return 0;
  }
  return await holdHere(record, flags);
}

/** Holds the container of `record`, which may have run before, with this process's streams until it ends. */
export async function holdHere(record: ContainerRecord, flags: AttachFlags, again = false): Promise<number> {
  // What it writes is logged, and goes through here.
  const { stdin } = ownStreams(flags);
  const start = { onOutput: show, again, ...(stdin === undefined ? {} : { stdin }) };
  return await attach(async () => sessionOf(await Holder.start(record, start)), stdin === undefined ? flags : {});
}

/** A container that is held here, as a session. */
function sessionOf({ container, ended }: Holder): Session {
  return {
    ended,
    write: (bytes) => void container.console.write(bytes).catch(() => undefined),
    closeInput: () => {
      container.closeInput();
    },
    resize: (columns, rows) => {
      container.resize(columns, rows);
    },
    kill: (signal) => {
      container.kill(signal);
    },
  };
}

/** A machine leaves nothing behind and has no name: it is gone with this process. */
async function runMachine(image: string, command: readonly string[], flags: RunFlags): Promise<number> {
  if (flags.detach === true) throw unsupported("a machine left running", "leave --detach out");
  if (flags.name !== undefined) throw unsupported("a name for a machine", "leave --name out");
  checkTerminal(flags);
  const platform = flags.platform ?? "linux/amd64";
  const reference = exactly(await ensureImage(await openImages(), image, { ...flags, platform }));
  const source = oci(reference, { store: storeDirectory(), platform });
  const options = containerOptions(flags, command);
  return await attach(async () => sessionOfMachine(await boot(source, { ...options, isolation: "machine" })), flags);
}

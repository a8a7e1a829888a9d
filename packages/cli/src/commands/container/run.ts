/** `terrarium run`: a command in a container of an image. */

import { boot, hasRegistry, oci, type Images, type ImageSummary } from "@terrarium/container";
import { MachineError } from "@terrarium/machine";
import { Command, Option } from "commander";
import { attach, checkTerminal, show, type AttachFlags, type Session } from "../../containers/attach.js";
import { detach } from "../../containers/detach.js";
import { ownStreams } from "../../containers/handing.js";
import { Holder } from "../../containers/holder.js";
import { sessionOfMachine } from "../../containers/machine.js";
import { createRecord, exactly, openImages, storeDirectory, type ContainerRecord } from "../../containers/place.js";
import { nameOfVolume } from "../../containers/volumes.js";
import { containerOptions, repeated, withVolumes, type RunFlags } from "./options.js";
import { pullShown } from "./pull.js";

/** The command; `report` gets the exit status. */
export function runCommand(report: (status: number) => void): Command {
  return (
    new Command("run")
      .description("run a command in a container of an image")
      .argument("<image>", "name of an image; one with a registry is fetched where it is not here")
      .argument("[command...]", "program and arguments; the image's own where absent")
      .option("-i, --interactive", "pass this input on")
      .option("-t, --tty", "give it a terminal")
      .option("-d, --detach", "leave it running and print its id")
      .option("--rm", "remove it when it ends")
      .option("--name <name>", "what it is called")
      .option("-v, --volume <host:container>", "a directory of the host, or a named volume; may be repeated", repeated)
      .option("-e, --env <name=value>", "an environment variable; may be repeated", repeated)
      .option("-w, --workdir <path>", "directory it runs in")
      .option("-u, --user <name:group>", "whose it is, by names or numbers")
      .option("-h, --hostname <name>", "name of the host it sees")
      .option("-m, --memory <size>", "the most memory, such as 512m")
      .option("--cpus <number>", "how many processors' time, such as 0.5")
      .option("--pids-limit <number>", "the most processes")
      .option("--network <kind>", "its network: none, host, bridge (which leaves net.ipv4.ip_forward on) or user")
      .option("-p, --publish <host:container>", "a port of this machine that leads in; may be repeated", repeated)
      .option("--read-only", "refuse writing to its root")
      .option("--entrypoint <program>", "what stands before the command")
      .option("--stop-signal <name>", "what asks it to end")
      .option("--platform <os/architecture>", "which of several images to fetch")
      .addOption(
        new Option("--isolation <kind>", "what keeps it apart").choices(["container", "machine"]).default("container"),
      )
      .helpOption("--help", "show what there is")
      // What stands behind the image is the command's, options too.
      .passThroughOptions()
      .action(async (image: string, command: string[], flags: RunFlags) => {
        report(await run(image, command, flags));
      })
  );
}

async function run(image: string, command: readonly string[], flags: RunFlags): Promise<number> {
  if (flags.isolation === "machine") return await runMachine(image, command, flags);
  if (flags.detach !== true) checkTerminal(flags);
  const images = await openImages();
  const found = await ensureImage(images, image, flags);
  const options = withVolumes(containerOptions(flags, command), found.config.defaults.volumes);
  const named = new Set(flags.volume?.map((text) => text.split(":")[0]));
  const anonymousVolumes = (options.volumes ?? [])
    .flatMap((one) => nameOfVolume(one) ?? [])
    .filter((name) => !named.has(name));
  const wanted = { image, reference: exactly(found), options, anonymousVolumes, removeAtEnd: flags.rm === true };
  const record = await createRecord(wanted, flags.name);
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

function unsupported(feature: string, mend: string): MachineError<"UNSUPPORTED"> {
  const message = `${feature.charAt(0).toUpperCase()}${feature.slice(1)} is not supported: ${mend}.`;
  return new MachineError("UNSUPPORTED", message, { feature, mend });
}

/** The image; fetched where it is not here and says from where. */
async function ensureImage(images: Images, name: string, { platform }: RunFlags): Promise<ImageSummary> {
  const options = platform === undefined ? {} : { platform };
  return await images.inspect(name).catch(async (error: unknown) => {
    const isUnknown = error instanceof MachineError && error.code === "IMAGE_UNKNOWN";
    if (!isUnknown || !hasRegistry(name)) throw error;
    return await pullShown(images, name, options);
  });
}

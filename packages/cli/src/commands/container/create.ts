/** `terrarium create`: a container that waits for `start`. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { hasRegistry, type Images, type ImageSummary } from "@terrarium/container";
import { onDisk } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import {
  createRecord,
  exactly,
  layerOf,
  noteCreated,
  openImages,
  type ContainerRecord,
} from "../../containers/place.js";
import { makeVolumes, nameOfVolume, removeRecord } from "../../containers/volumes.js";
import { containerOptions, withContainerOptions, withVolumes, type RunFlags } from "./options.js";
import { pullShown } from "./pull.js";

/** The command. */
export function createCommand(): Command {
  const command = new Command("create")
    .description("make a container of an image and print its id; start runs its command")
    .argument("<image>", "name of an image; one with a registry is fetched where it is not here")
    .argument("[command...]", "program and arguments; the image's own where absent");
  return withContainerOptions(command).action(async (image: string, command: string[], flags: RunFlags) => {
    const record = await make(image, command, flags);
    try {
      await makeVolumes(record);
      // Where what it has changed is looked for.
      await mkdir(join(layerOf(record.id), "upper"), { recursive: true, mode: 0o755 });
      await noteCreated(record.id);
    } catch (error) {
      await removeRecord(record, { volumes: true });
      throw onDisk(error, `making the container ${record.name}`);
    }
    process.stdout.write(`${record.id}\n`);
  });
}

/** The record of a container that is to be, with its image and names for its volumes. */
export async function make(image: string, command: readonly string[], flags: RunFlags): Promise<ContainerRecord> {
  const images = await openImages();
  const found = await ensureImage(images, image, flags);
  const options = withVolumes(containerOptions(flags, command), found.config.defaults.volumes);
  const named = new Set(flags.volume?.map((text) => text.split(":")[0]));
  const anonymousVolumes = (options.volumes ?? [])
    .flatMap((one) => nameOfVolume(one) ?? [])
    .filter((name) => !named.has(name));
  const wanted = { image, reference: exactly(found), options, anonymousVolumes, removeAtEnd: flags.rm === true };
  return await createRecord(wanted, flags.name);
}

/** The image; fetched where it is not here and says from where. */
export async function ensureImage(images: Images, name: string, { platform }: RunFlags): Promise<ImageSummary> {
  const options = platform === undefined ? {} : { platform };
  return await images.inspect(name).catch(async (error: unknown) => {
    const isUnknown = error instanceof MachineError && error.code === "IMAGE_UNKNOWN";
    if (!isUnknown || !hasRegistry(name)) throw error;
    return await pullShown(images, name, options);
  });
}

/** Volumes: directories beside the images that containers share and outlive them. */

import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Volume } from "@terrarium/container";
import { onDisk } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import { directoryOf, layerOf, openImages, records, storeDirectory, type ContainerRecord } from "./place.js";

/** What a name may be. */
const NAME = /^[a-zA-Z0-9][\w.-]*$/;

function place(): string {
  return join(storeDirectory(), "volumes");
}

/** A volume to be mounted at `target`: what the image has there goes to one that is empty. Without a name it is a new one. */
export function volumeAt(target: string, name = randomBytes(16).toString("hex")): Volume {
  return { source: join(place(), name), target, fill: true };
}

/** Makes the volumes of a container that there are not yet. */
export async function makeVolumes({ options }: ContainerRecord): Promise<void> {
  for (const volume of options.volumes ?? []) {
    if (nameOfVolume(volume) === undefined) continue;
    await mkdir(volume.source, { recursive: true }).catch((error: unknown) => {
      throw onDisk(error, "making a volume");
    });
  }
}

/** Whether that can be a volume's name. */
export function isVolumeName(text: string): boolean {
  return NAME.test(text);
}

/** The name of the volume that a container's directory is; undefined for any other of this host. */
export function nameOfVolume({ source }: Volume): string | undefined {
  return dirname(source) === place() ? basename(source) : undefined;
}

/** A volume, and who uses it. */
export interface VolumeUse {
  readonly name: string;
  readonly created: Date;
  /** Names of the containers that have it. */
  readonly users: readonly string[];
}

/** All volumes. */
export async function volumes(): Promise<VolumeUse[]> {
  const names = await readdir(place()).catch(() => []);
  const all = await records();
  return await Promise.all(
    names.map(async (name) => {
      const users = all.filter(({ options }) => options.volumes?.some((one) => nameOfVolume(one) === name));
      const { birthtime } = await stat(join(place(), name));
      return { name, created: birthtime, users: users.map((user) => user.name) };
    }),
  );
}

/**
 * Removes a volume and what is in it.
 * @throws MachineError `VOLUME_UNKNOWN`, `VOLUME_IN_USE`
 */
export async function removeVolume(name: string): Promise<void> {
  const found = (await volumes()).find((volume) => volume.name === name);
  if (found === undefined) throw new MachineError("VOLUME_UNKNOWN", `There is no volume ${name}.`, { volume: name });
  if (found.users.length > 0) {
    const containers = found.users.join(", ");
    const message = `The volume ${name} is in use by ${containers}: remove them first.`;
    throw new MachineError("VOLUME_IN_USE", message, { volume: name, containers });
  }
  await (await openImages()).removeLayer(join(place(), name));
}

/** Removes all that is left of a container, with the volumes that were made for it alone where asked. */
export async function removeRecord(record: ContainerRecord, { volumes: also = false } = {}): Promise<void> {
  const { id, name, anonymousVolumes = [] } = record;
  // What it wrote may be closed to its own owner.
  await (await openImages()).removeLayer(layerOf(id));
  await rm(join(storeDirectory(), "names", name), { force: true });
  await rm(directoryOf(id), { recursive: true, force: true });
  if (!also || anonymousVolumes.length === 0) return;
  for (const volume of await volumes()) {
    if (anonymousVolumes.includes(volume.name) && volume.users.length === 0) await removeVolume(volume.name);
  }
}

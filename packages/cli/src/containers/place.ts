/** Where containers of the command line leave their traces: a directory each, beside the images. */

import { randomBytes } from "node:crypto";
import { access, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultStore, Images, type ContainerOptions, type ImageSummary } from "@terrarium/container";
import { onDisk } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";

/** A container as it was asked for; how it goes is in its state. */
export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  /** What the user called the image. */
  readonly image: string;
  /** The very image, whatever its name means later. */
  readonly reference: string;
  readonly created: string;
  readonly options: ContainerOptions;
  /** Names of the volumes among its own that were made for it alone. */
  readonly anonymousVolumes?: readonly string[];
  /** Whether all of it goes when it ends. */
  readonly removeAtEnd: boolean;
}

/** What became of it. */
export interface Ended {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly at: string;
}

/** Store of images and containers; `TERRARIUM_STORE` names another one. */
export function storeDirectory(): string {
  return process.env["TERRARIUM_STORE"] ?? defaultStore();
}

/** A name that stays with this very image. */
export function exactly({ name, digest }: ImageSummary): string {
  return name.includes("@") ? name : `${name.slice(0, name.lastIndexOf(":"))}@${digest}`;
}

/** The images. */
export async function openImages(): Promise<Images> {
  return await Images.open(storeDirectory());
}

/** The directory of a container. */
export function directoryOf(id: string): string {
  return join(storeDirectory(), "containers", id);
}

/** Where what a container writes is kept. */
export function layerOf(id: string): string {
  return join(directoryOf(id), "layer");
}

/** Where who holds a running container listens. */
export function socketOf(id: string): string {
  return join(directoryOf(id), "socket");
}

/** Where who holds a running container is handed streams. */
export function filesOf(id: string): string {
  return join(directoryOf(id), "files");
}

/** Makes the directory of a new container. No two have one name. */
export async function createRecord(
  wanted: Omit<ContainerRecord, "id" | "name" | "created">,
  name?: string,
): Promise<ContainerRecord> {
  const id = randomBytes(6).toString("hex");
  const record: ContainerRecord = { id, name: name ?? id, created: new Date().toISOString(), ...wanted };
  if (!/^[a-zA-Z0-9][\w.-]{0,127}$/.test(record.name)) {
    const details = { option: "name", value: record.name, expected: "up to 128 letters, digits, . _ and -" };
    throw new MachineError("OPTION_INVALID", `The option name must be ${details.expected}.`, details);
  }
  try {
    await mkdir(directoryOf(id), { recursive: true, mode: 0o700 });
    await writeFile(join(directoryOf(id), "container.json"), JSON.stringify(record));
    await takeName(record);
  } catch (error) {
    await rm(directoryOf(id), { recursive: true, force: true });
    throw onDisk(error, "making a container");
  }
  return record;
}

/** A file of that name, complete, which nobody else has made. */
async function takeName({ id, name }: ContainerRecord): Promise<void> {
  const names = join(storeDirectory(), "names");
  await mkdir(names, { recursive: true });
  const written = join(directoryOf(id), "name");
  await writeFile(written, id);
  await link(written, join(names, name)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const message = `There is a container ${name} already: remove it, or choose another name.`;
    throw new MachineError("CONTAINER_EXISTS", message, { id: name });
  });
}

/** All containers, oldest first. */
export async function records(): Promise<ContainerRecord[]> {
  const ids = await readdir(join(storeDirectory(), "containers")).catch(() => []);
  const read = ids.map(async (id) => {
    // One that is being made or removed has none.
    const text = await readFile(join(directoryOf(id), "container.json"), "utf8").catch(() => undefined);
    return text === undefined ? [] : [JSON.parse(text) as ContainerRecord];
  });
  return (await Promise.all(read)).flat().toSorted((a, b) => a.created.localeCompare(b.created));
}

/**
 * The container called that, or whose id begins like that.
 * @throws MachineError `CONTAINER_UNKNOWN`
 */
export async function findRecord(name: string): Promise<ContainerRecord> {
  const all = await records();
  const byId = all.filter(({ id }) => name.length >= 3 && id.startsWith(name));
  const found = all.find((record) => record.name === name) ?? (byId.length === 1 ? byId[0] : undefined);
  if (found !== undefined) return found;
  throw new MachineError("CONTAINER_UNKNOWN", `There is no container ${name}.`, { id: name });
}

/** Notes how a container has ended. */
export async function noteEnd(id: string, ended: Ended): Promise<void> {
  const file = join(directoryOf(id), "ended.json");
  try {
    await writeFile(`${file}.new`, JSON.stringify(ended));
    await rename(`${file}.new`, file);
  } catch (error) {
    await rm(`${file}.new`, { force: true });
    throw onDisk(error, `noting how the container ${id} has ended`);
  }
}

/** How a container has ended; undefined where nobody noted it. */
export async function endOf(id: string): Promise<Ended | undefined> {
  const text = await readFile(join(directoryOf(id), "ended.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Ended);
}

/** Where it is noted that a container has never been started. */
function createdOf(id: string): string {
  return join(directoryOf(id), "created");
}

/** Notes that a container has been made, and not started. */
export async function noteCreated(id: string): Promise<void> {
  await writeFile(createdOf(id), "");
}

/** Whether a container has been made, and never started. */
export async function isCreated(id: string): Promise<boolean> {
  return await access(createdOf(id)).then(
    () => true,
    () => false,
  );
}

/** Forgets that a container has ended, or has not been started: it runs. */
export async function forgetRest(id: string): Promise<void> {
  await rm(createdOf(id), { force: true });
  await rm(join(directoryOf(id), "ended.json"), { force: true });
}

/** The record beside an image's artefacts: what they were made of, so that making them again can be left out. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "./files.js";
import type { Lock } from "./lock.js";

const FILE = "manifest.json";

export interface Manifest {
  /** Checksum over everything the build depended on. */
  readonly inputs: string;
  /** The lock file as it was. */
  readonly lock: Lock;
  /** The packages that were used; other than the locked ones where those were gone. */
  readonly packages: Lock;
  /** Bytes of each artefact, by file name. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** The manifest in `directory`; undefined where none can be read, which only means to build again. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, FILE), "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

/** Written after the artefacts, so that it vouches for them. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  await replaceFile(join(directory, FILE), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Whether the artefacts are there in full. */
export async function isComplete(directory: string, manifest: Manifest): Promise<boolean> {
  const sizes = Object.entries(manifest.sizes).map(async ([name, bytes]) => {
    const found = await stat(join(directory, name)).catch(() => undefined);
    return found?.size === bytes;
  });
  return (await Promise.all(sizes)).every(Boolean);
}

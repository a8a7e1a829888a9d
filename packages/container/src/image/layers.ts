/**
 * Layers unpacked, each a directory that overlayfs stacks. They are named by their chain (OCI image specification,
 * config.md, "Layer ChainID"), and images that begin alike share them.
 */

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { perform, type ArchiveLimits } from "../work.js";
import { corrupt, Meter, syncDirectory } from "./blobs.js";
import { onDisk } from "../disk.js";
import { decompressed } from "./compression.js";
import { partsOf, type Digest } from "./format/digest.js";
import type { OpenedImage } from "./image.js";
import type { Store } from "./store.js";

/** What one layer may become: more than any image has, less than fills a disk before anybody looks. */
export const LIMITS: ArchiveLimits = { bytes: 64 * 2 ** 30, entries: 2_000_000 };

/** The names of an image's layers, lowest first. */
export function chainsOf(diffIds: readonly Digest[]): Digest[] {
  const chains: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    const text = below === undefined ? undefined : `${below} ${diffId}`;
    chains.push(text === undefined ? diffId : `sha256:${createHash("sha256").update(text).digest("hex")}`);
  }
  return chains;
}

/** Name of a chain in the store. */
export function directoryOf(chain: Digest): string {
  return partsOf(chain).hex;
}

/** Unpacks what is not unpacked yet; the directories to stack, topmost first. Call it while the store is in use. */
export async function unpackLayers(store: Store, image: OpenedImage): Promise<string[]> {
  const directories: string[] = [];
  for (const [index, chain] of chainsOf(image.config.diffIds).entries()) {
    const directory = join(store.directory, "layers", directoryOf(chain));
    if (!(await exists(directory))) await unpackLayer(store, image, index, directory, directories);
    const { opaque } = JSON.parse(await readFile(join(directory, "layer.json"), "utf8")) as Unpacked;
    // A mark on the root of a layer is one that overlayfs does not heed.
    if (opaque) directories.length = 0;
    directories.unshift(join(directory, "tree"));
  }
  if (directories.length > 0) return directories;
  const empty = join(store.directory, "empty");
  await mkdir(empty, { recursive: true });
  return [empty];
}

/** What emulator-core/crates/container/src/archive/unpack.rs tells. */
interface Unpacked {
  readonly entries: number;
  readonly bytes: number;
  readonly opaque: boolean;
}

async function unpackLayer(
  store: Store,
  { source, manifest, config }: OpenedImage,
  index: number,
  directory: string,
  lowers: readonly string[],
): Promise<void> {
  const [layer, diffId] = [manifest.layers[index], config.diffIds[index]];
  if (layer === undefined || diffId === undefined) return;
  await store.temporarily(async (temporary) => {
    const whole = join(temporary, "layer");
    const tree = join(whole, "tree");
    await mkdir(tree, { recursive: true, mode: 0o755 });
    const meter = new Meter();
    const archive = meter.through(decompressed(source.read(layer)));
    const unpacked = await perform({ kind: "unpack", directory: tree, lowers, limits: LIMITS }, archive);
    const actual = meter.digest();
    if (actual !== diffId) throw corrupt(layer.digest, `unpacked it hashes to ${actual}, not to ${diffId}`);
    await writeFile(join(whole, "layer.json"), unpacked);
    await syncDirectory(whole);
    await place(whole, directory);
  });
}

/** Gives a directory its name, unless another process was first. */
async function place(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes(String((error as NodeJS.ErrnoException).code))) {
      throw onDisk(error, "placing a layer");
    }
  }
  await syncDirectory(dirname(to));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

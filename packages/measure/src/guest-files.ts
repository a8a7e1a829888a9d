/** Puts files beside those that an image has. */

import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { packCpio, type Entry } from "@terrarium/images/cpio";
import type { Image } from "@terrarium/machine";
import { CACHE, PROGRAM } from "./program.js";

/** The program at `path`, to be found on the PATH of a guest. */
export async function programEntry(path: string): Promise<Entry> {
  return { type: "file", path: `usr/bin/${PROGRAM}`, mode: 0o755, data: await readFile(path) };
}

/**
 * `image` with `files` besides its own, its initial RAM disk written to the cache as `name`: the kernel unpacks archives
 * one after the other.
 */
export async function withFiles(image: Image, files: readonly Entry[], name: string): Promise<Image> {
  const initrd = await initrdOf(image);
  // Each archive starts at a multiple of four (Documentation/driver-api/early-userspace/buffer-format.rst).
  const path = join(CACHE, name);
  // Another guest may be about to read it.
  const unfinished = `${path}-${process.pid}`;
  await writeFile(unfinished, Buffer.concat([initrd, Buffer.alloc(-initrd.length & 3), packCpio(files)]));
  await rename(unfinished, path);
  return { ...image, initrd: pathToFileURL(path).href };
}

/** The initial RAM disk of an image. */
export async function initrdOf({ initrd = "" }: Image): Promise<Buffer> {
  return await readFile(fileURLToPath(initrd));
}

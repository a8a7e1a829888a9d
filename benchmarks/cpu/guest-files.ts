/** The files of a guest: what the benchmark puts beside an image's own, and all of them as a directory of the host. */

import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { unpackCpio, type Entry } from "@terrarium/images/cpio";
import type { Image } from "@terrarium/machine";
import { CACHE, initrdOf, programEntry } from "@terrarium/measure";
import { INPUTS } from "./workloads.js";

/** Compiled, this module is benchmarks/dist/cpu/guest-files.js. */
const INPUT_DIRECTORY = fileURLToPath(new URL("../../cpu/inputs/", import.meta.url));

/** RFC 1952, 2.3.1. */
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b);

/** The program and the inputs, as entries of an initramfs. */
export async function ownFiles(program: string): Promise<Entry[]> {
  const inputs = (await readdir(INPUT_DIRECTORY)).map(async (name): Promise<Entry> => {
    return { type: "file", path: `${INPUTS}/${name}`, data: await readFile(join(INPUT_DIRECTORY, name)) };
  });
  return [{ type: "directory", path: INPUTS }, await programEntry(program), ...(await Promise.all(inputs))];
}

/** The files of `image`, and `files`, in a directory of the host: its path. What was there before goes. */
export async function unpacked(image: Image, files: readonly Entry[]): Promise<string> {
  const initrd = await initrdOf(image);
  const isCompressed = initrd.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC);
  const root = join(CACHE, image.name);
  await rm(root, { recursive: true, force: true });
  await mkdir(root);
  for (const entry of [...unpackCpio(isCompressed ? gunzipSync(initrd) : initrd), ...files]) await write(root, entry);
  return root;
}

async function write(root: string, entry: Entry): Promise<void> {
  const path = join(root, entry.path);
  if (entry.type === "directory") await mkdir(path, { recursive: true });
  else if (entry.type === "symlink") await symlink(entry.target, path);
  else if (entry.type === "file") {
    await writeFile(path, entry.data);
    await chmod(path, entry.mode ?? 0o644);
  }
  // Devices need privileges, and no workload a device.
}

/** A root file system of Debian packages, as a tar archive: for containers, which have no kernel or init of their own. */

import { join } from "node:path";
import { pack } from "tar-stream";
import type { Architecture } from "../recipe.js";
import type { Say } from "./archive.js";
import type { Entry } from "./cpio.js";
import { treeFromDeb } from "./deb.js";
import { merged, MERGED, onePerPath } from "./initramfs.js";
import { PackageStore } from "./packages.js";

/** What every root has, whatever packages bring. */
const DIRECTORIES = ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var"];

/**
 * The files of `packages` and of all they depend on. Packages are kept in `directory`; their scripts do not run, so that
 * users besides root, and alternatives, are for the caller to make.
 */
export async function rootFromPackages(
  packages: readonly string[],
  architecture: Architecture,
  directory: string,
  say: Say,
): Promise<AsyncIterable<Uint8Array>> {
  await using store = new PackageStore(join(directory, "packages"), say);
  const unpacked: Entry[] = [];
  for (const name of await store.closure(packages, architecture)) {
    const { path } = await store.newest(name, architecture);
    unpacked.push(...(await treeFromDeb(path, () => true)));
  }
  const own: Entry[] = [
    ...DIRECTORIES.map((path): Entry => ({ type: "directory", path, mode: path === "tmp" ? 0o1777 : 0o755 })),
    ...MERGED.map((path): Entry => ({ type: "directory", path: `usr/${path}` })),
    ...MERGED.map((path): Entry => ({ type: "symlink", path, target: `usr/${path}` })),
    { type: "file", path: "etc/passwd", data: Buffer.from("root:x:0:0:root:/root:/bin/sh\n") },
    { type: "file", path: "etc/group", data: Buffer.from("root:x:0:\n") },
  ];
  return tarOf(onePerPath([...own.slice(0, DIRECTORIES.length + MERGED.length), ...unpacked.map(merged), ...own]));
}

function tarOf(entries: readonly Entry[]): AsyncIterable<Uint8Array> {
  const archive = pack();
  const mtime = new Date(0);
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  for (const entry of sorted) {
    const mode = entry.mode ?? (entry.type === "file" ? 0o644 : 0o755);
    const header = { name: entry.path, mode, mtime };
    if (entry.type === "file") archive.entry({ ...header, type: "file" }, Buffer.from(entry.data));
    else if (entry.type === "directory") archive.entry({ ...header, type: "directory" });
    else if (entry.type === "symlink") archive.entry({ ...header, type: "symlink", linkname: entry.target });
  }
  archive.finalize();
  return archive as AsyncIterable<unknown> as AsyncIterable<Uint8Array>;
}

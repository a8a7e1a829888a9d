/** The root file system of an image, packed as an initramfs. */
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { packCpio, type Entry } from "./cpio.js";

/** What goes in besides the files every image shares. */
export interface RootParts {
  readonly hostname: string;
  /** Name of the terminal that is the console, such as `ttyS0`. */
  readonly console: string;
  /** The static BusyBox binary. */
  readonly busybox: Uint8Array;
  /** The agent behind `run()`. */
  readonly agent: Uint8Array;
  /** Files every image shares, by path. */
  readonly shared: ReadonlyMap<string, Uint8Array>;
}

const DIRECTORIES = [
  ...["bin", "dev", "etc", "etc/init.d", "proc", "root", "run", "sbin", "sys", "tmp"],
  ...["usr", "usr/bin", "usr/sbin", "var"],
];

/** Builds the gzip-compressed archive the kernel unpacks into its root file system. */
export async function packInitramfs(parts: RootParts): Promise<Buffer> {
  const entries: Entry[] = [
    ...DIRECTORIES.map((path): Entry => ({ type: "directory", path })),
    // The kernel opens /dev/console for init before anything could mount devtmpfs. 5, 1: Documentation/admin-guide/devices.txt.
    { type: "characterDevice", path: "dev/console", major: 5, minor: 1 },
    { type: "file", path: "bin/busybox", mode: 0o755, data: parts.busybox },
    { type: "symlink", path: "bin/sh", target: "busybox" },
    { type: "symlink", path: "init", target: "bin/busybox" },
    { type: "file", path: "sbin/terrarium-agent", mode: 0o755, data: parts.agent },
    { type: "file", path: "etc/hostname", data: Buffer.from(`${parts.hostname}\n`) },
    ...[...parts.shared].map(([path, data]): Entry => ({
      type: "file",
      path,
      data: filledIn(data, parts),
      mode: modeOf(path),
    })),
  ];
  return promisify(gzip)(packCpio(entries), { level: 9 });
}

/** Reads all files below the directory `root`, by their path from there. */
export async function readFiles(root: string): Promise<Map<string, Uint8Array>> {
  const listed = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = listed.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = paths.sort().map(async (path) => [relative(root, path), await readFile(path)] as const);
  return new Map(await Promise.all(files));
}

/** A shared file with what differs from image to image in it. */
function filledIn(data: Uint8Array, { console }: RootParts): Uint8Array {
  return Buffer.from(Buffer.from(data).toString("latin1").replaceAll("@CONSOLE@", console), "latin1");
}

/** Not taken from the checkout, where a umask or a file system without modes may have changed it. */
function modeOf(path: string): number {
  return path.startsWith("etc/init.d/") ? 0o755 : 0o644;
}

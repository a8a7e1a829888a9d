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
  /** What packages bring. */
  readonly unpacked: readonly Entry[];
}

/** Directories of the root that are links into /usr. */
export const MERGED = ["bin", "lib", "lib64", "sbin"];

const DIRECTORIES = [
  ...["dev", "etc", "etc/init.d", "proc", "root", "run", "sys", "tmp", "usr", "var"],
  ...MERGED.map((name) => `usr/${name}`),
];

/** Builds the archive the kernel unpacks into its root file system. */
export async function packInitramfs(parts: RootParts): Promise<Buffer> {
  const own: Entry[] = [
    ...DIRECTORIES.map((path): Entry => ({ type: "directory", path })),
    ...MERGED.map((path): Entry => ({ type: "symlink", path, target: `usr/${path}` })),
    // The kernel opens /dev/console for init before anything could mount devtmpfs. 5, 1: Documentation/admin-guide/devices.txt.
    { type: "characterDevice", path: "dev/console", major: 5, minor: 1 },
    { type: "file", path: "usr/bin/busybox", mode: 0o755, data: parts.busybox },
    { type: "symlink", path: "usr/bin/sh", target: "busybox" },
    { type: "symlink", path: "init", target: "usr/bin/busybox" },
    { type: "file", path: "usr/sbin/terrarium-agent", mode: 0o755, data: parts.agent },
    { type: "file", path: "etc/hostname", data: Buffer.from(`${parts.hostname}\n`) },
    ...[...parts.shared].map(([path, data]): Entry => ({
      type: "file",
      path,
      data: filledIn(data, parts),
      mode: modeOf(path),
    })),
  ];
  const archive = packCpio(onePerPath([...parts.unpacked.map(merged), ...own]));
  // A large one is quicker copied than inflated by the guest's processor: debian-tools with its 161 MB takes 15 seconds of
  // the host's processor to its prompt as it is, 30 compressed.
  return parts.unpacked.length > 0 ? archive : promisify(gzip)(archive, { level: 9 });
}

/** Where a package file lies once /bin and its like are links into /usr: usrmerge, which Debian 12 requires. */
export function merged(entry: Entry): Entry {
  const isMerged = MERGED.some((name) => entry.path === name || entry.path.startsWith(`${name}/`));
  return isMerged ? { ...entry, path: `usr/${entry.path}` } : entry;
}

/** Of several entries with one path the last. */
export function onePerPath(entries: readonly Entry[]): Entry[] {
  return [...new Map(entries.map((entry) => [entry.path, entry])).values()];
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

/**
 * A writer for the cpio "newc" format, the one the kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Entries come out sorted with fixed owners and times, so equal content gives equal bytes.
 */

/** File type bits of `c_mode`, as in stat(2). */
const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000, characterDevice: 0o020000 } as const;

export type Entry = { readonly path: string; readonly mode?: number } & (
  | { readonly type: "directory" }
  | { readonly type: "file"; readonly data: Uint8Array }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "characterDevice"; readonly major: number; readonly minor: number }
);

/** Permission bits where an entry names none. */
const DEFAULT_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, characterDevice: 0o600 } as const;

/** Packs `entries` (paths without a leading slash) into one archive; parents sort before their children. */
export function packCpio(entries: readonly Entry[]): Buffer {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const records = sorted.map((entry, index) => record(entry, index + 1));
  return Buffer.concat([...records, trailer()]);
}

function record(entry: Entry, inode: number): Buffer {
  const data = contentOf(entry);
  const [major, minor] = entry.type === "characterDevice" ? [entry.major, entry.minor] : [0, 0];
  const mode = TYPE[entry.type] | (entry.mode ?? DEFAULT_MODE[entry.type]);
  return serialize({ path: entry.path, inode, mode, links: entry.type === "directory" ? 2 : 1, major, minor, data });
}

function trailer(): Buffer {
  return serialize({ path: "TRAILER!!!", inode: 0, mode: 0, links: 1, major: 0, minor: 0, data: new Uint8Array() });
}

function contentOf(entry: Entry): Uint8Array {
  if (entry.type === "file") return entry.data;
  if (entry.type === "symlink") return Buffer.from(entry.target);
  return new Uint8Array();
}

interface Header {
  path: string;
  inode: number;
  mode: number;
  links: number;
  major: number;
  minor: number;
  data: Uint8Array;
}

function serialize({ path, inode, mode, links, major, minor, data }: Header): Buffer {
  const name = Buffer.from(`${path}\0`);
  // ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize chksum
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = "070701" + fields.map((value) => value.toString(16).padStart(8, "0")).join("");
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(data)]);
}

/** Header with name, and data, are each padded to four bytes. */
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

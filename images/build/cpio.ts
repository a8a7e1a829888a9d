/**
 * The cpio "newc" format, the one the kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Entries come out sorted with fixed owners and times, so equal content gives equal bytes.
 */

const MAGIC = "070701";
const END = "TRAILER!!!";
/** The magic number and thirteen fields of eight hexadecimal digits. */
const HEADER_BYTES = MAGIC.length + 13 * 8;

/** File type bits of `c_mode`, as in stat(2). */
const TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  characterDevice: 0o020000,
  blockDevice: 0o060000,
  fifo: 0o010000,
} as const;

export type Entry = {
  readonly path: string;
  readonly mode?: number;
  /** Root's where absent. */
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970; then where absent. */
  readonly modified?: number;
} & (
  | { readonly type: "directory" | "fifo" }
  | {
      readonly type: "file";
      readonly data: Uint8Array;
      /** More paths of the same file. */
      readonly links?: readonly string[];
    }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "characterDevice" | "blockDevice"; readonly major: number; readonly minor: number }
);

/** Permission bits where an entry names none. */
const DEFAULT_MODE = {
  directory: 0o755,
  file: 0o644,
  symlink: 0o777,
  characterDevice: 0o600,
  blockDevice: 0o600,
  fifo: 0o600,
} as const;

/** Packs `entries` (paths without a leading slash) into one archive; parents sort before their children. */
export function packCpio(entries: readonly Entry[]): Buffer {
  const named = entries.flatMap((entry) =>
    [entry.path, ...linksOf(entry)].map((path, index) => ({ path, entry, isFirst: index === 0 })),
  );
  const sorted = named.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const inodes = new Map<Entry, number>();
  const records = sorted.flatMap(({ path, entry, isFirst }, index) => {
    const inode = inodes.get(entry) ?? index + 1;
    inodes.set(entry, inode);
    return record(path, entry, inode, isFirst);
  });
  return Buffer.concat([...records, ...trailer()]);
}

function linksOf(entry: Entry): readonly string[] {
  return entry.type === "file" ? (entry.links ?? []) : [];
}

/** The entries of an archive that {@link packCpio} packed. */
export function unpackCpio(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; ;) {
    const header = archive.toString("latin1", at, at + HEADER_BYTES);
    if (header.length < HEADER_BYTES || !header.startsWith(MAGIC)) throw new Error(`no cpio entry at offset ${at}`);
    const field = (index: number): number => parseInt(header.slice(MAGIC.length + 8 * index).slice(0, 8), 16);
    const [mode, size, major, minor, nameBytes] = [field(1), field(6), field(9), field(10), field(11)];
    const path = archive.toString("utf8", at + HEADER_BYTES, at + HEADER_BYTES + nameBytes - 1);
    if (path === END) return entries;
    const start = aligned(at + HEADER_BYTES + nameBytes);
    entries.push(entryOf(path, mode, archive.subarray(start, start + size), [major, minor]));
    at = aligned(start + size);
  }
}

function entryOf(path: string, typeAndMode: number, data: Buffer, [major, minor]: [number, number]): Entry {
  const mode = typeAndMode & 0o7777;
  switch (typeAndMode & 0o170000) {
    case TYPE.directory:
      return { type: "directory", path, mode };
    case TYPE.file:
      return { type: "file", path, mode, data };
    case TYPE.symlink:
      return { type: "symlink", path, mode, target: data.toString() };
    case TYPE.characterDevice:
      return { type: "characterDevice", path, mode, major, minor };
    default:
      throw new Error(`${path} is of a type that initramfs archives of ours do not hold`);
  }
}

/** The kernel takes a file's contents from any one of its names. */
function record(path: string, entry: Entry, inode: number, withContent: boolean): Uint8Array[] {
  const [major, minor] = "major" in entry ? [entry.major, entry.minor] : [0, 0];
  const mode = TYPE[entry.type] | (entry.mode ?? DEFAULT_MODE[entry.type]);
  const links = entry.type === "directory" ? 2 : 1 + linksOf(entry).length;
  const { uid = 0, gid = 0, modified = 0 } = entry;
  const data = withContent ? contentOf(entry) : new Uint8Array();
  return serialize({ path, inode, mode, uid, gid, links, modified, major, minor, data });
}

function trailer(): Uint8Array[] {
  const none = { inode: 0, mode: 0, uid: 0, gid: 0, modified: 0, major: 0, minor: 0 };
  return serialize({ ...none, path: END, links: 1, data: new Uint8Array() });
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
  uid: number;
  gid: number;
  links: number;
  modified: number;
  major: number;
  minor: number;
  data: Uint8Array;
}

/** Header with name, and data, are each padded to four bytes. */
function serialize({ path, inode, mode, uid, gid, links, modified, major, minor, data }: Header): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  // ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize chksum
  const fields = [inode, mode, uid, gid, links, modified, data.length, 0, 0, major, minor, name.length, 0];
  const header = MAGIC + fields.map((value) => value.toString(16).padStart(8, "0")).join("");
  return [Buffer.from(header), name, padding(HEADER_BYTES + name.length), data, padding(data.length)];
}

function padding(bytes: number): Uint8Array {
  return new Uint8Array(aligned(bytes) - bytes);
}

function aligned(bytes: number): number {
  return (bytes + 3) & ~3;
}

/**
 * Archives of layers, read to memory (POSIX.1-2024, pax; GNU tar manual, "Basic Tar Format", "Storing Sparse Files"), with
 * the rules of emulator-core/crates/archive. Hostile input: what is promised is not believed before it has come.
 */

import { MachineError } from "@terrarium/machine";
import { extended, sparseRecords, type Records } from "./records.js";
import { ByteStream } from "./stream.js";
import { damaged, refused } from "./tree.js";

const BLOCK_BYTES = 512;
/** Of an extended header, in bytes: they hold paths and attributes. */
const MAX_EXTENDED_BYTES = 1 << 20;
/** Where the checksum stands; it is computed as if there were spaces. */
const CHECKSUM = [148, 156] as const;

/** What a member is, by the letter in its header. */
const KINDS: Readonly<Partial<Record<string, Kind>>> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "characterDevice",
  "4": "blockDevice",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  S: "file",
};

/** Kinds of members. */
export type Kind = "file" | "link" | "symlink" | "characterDevice" | "blockDevice" | "directory" | "fifo";

/** Where a piece of a file goes, and its length. */
type Piece = readonly [offset: number, length: number];

/** A member of an archive. */
export interface Member {
  readonly path: string;
  /** Undefined where layers have none such. */
  readonly kind: Kind | undefined;
  /** What a link leads to. */
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly device: readonly [major: number, minor: number];
  /** What a program may do beyond its user, as the attribute `security.capability` has it. */
  readonly capability: Uint8Array | undefined;
  /** Length of the file, in bytes. */
  readonly size: number;
  /** Reads the file; once, before the next member. */
  read(): Promise<Uint8Array>;
}

/** The members of an archive; all of it has been read when they end. */
export async function* membersOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Member, void> {
  const stream = new ByteStream(chunks);
  for (let header = await nextHeader(stream); header !== undefined; header = await nextHeader(stream)) {
    const { block, records } = header;
    const size = sizeOf(block, records);
    const left = { bytes: size };
    yield await describe(block, records, stream, left);
    await stream.skip(left.bytes);
    await stream.skip(paddingOf(size));
  }
  await stream.drain();
}

interface Header {
  readonly block: Buffer;
  readonly records: Records;
}

/** The next header that is no extended one, with what those before it say. */
async function nextHeader(stream: ByteStream): Promise<Header | undefined> {
  const records: Records = new Map();
  for (;;) {
    const block = await stream.block(BLOCK_BYTES);
    if (block?.some((byte) => byte !== 0) !== true) {
      if (records.size > 0) throw damaged("it ends with an extended header");
      return undefined;
    }
    checkSum(block);
    const letter = String.fromCharCode(block[156] ?? 0);
    if (!"LKxg".includes(letter)) return { block, records };
    const size = number(block, 124, 12);
    if (size > MAX_EXTENDED_BYTES) {
      const limit = `${MAX_EXTENDED_BYTES} bytes of an extended header`;
      throw new MachineError("ARCHIVE_TOO_LARGE", `The archive is refused: it is more than ${limit}.`, { limit });
    }
    const bytes = await stream.take(size);
    await stream.skip(paddingOf(size));
    if (letter === "L") records.set("path", [untilZero(bytes)]);
    else if (letter === "K") records.set("linkpath", [untilZero(bytes)]);
    else if (letter === "x") extended(bytes, records);
  }
}

async function describe(block: Buffer, records: Records, stream: ByteStream, left: { bytes: number }): Promise<Member> {
  const text = (name: string): string | undefined => records.get(name)?.at(-1)?.toString();
  const value = (name: string, at: number, length: number): number => {
    const given = text(name);
    return given === undefined ? number(block, at, length) : Math.floor(Number(given));
  };
  const path = text("GNU.sparse.name") ?? text("path") ?? pathOf(block);
  const letter = String.fromCharCode(block[156] ?? 0);
  const stated = text("size");
  if (stated !== undefined && Number(stated) !== left.bytes) {
    throw refused(path, "its two headers disagree about its size");
  }
  const map = await mapOf(path, letter, block, records, stream, left);
  return {
    path,
    kind: KINDS[letter],
    target: text("linkpath") ?? untilZero(block.subarray(157, 257)).toString(),
    mode: number(block, 100, 8),
    uid: value("uid", 108, 8),
    gid: value("gid", 116, 8),
    modified: value("mtime", 136, 12),
    device: [number(block, 329, 8), number(block, 337, 8)],
    capability: records.get("SCHILY.xattr.security.capability")?.at(-1),
    size: map?.length ?? left.bytes,
    read: async () => await readFile(map, stream, left),
  };
}

async function readFile(map: SparseMap | undefined, stream: ByteStream, left: { bytes: number }): Promise<Uint8Array> {
  const data = await stream.take(left.bytes);
  left.bytes = 0;
  if (map === undefined) return data;
  const file = new Uint8Array(map.length);
  let at = 0;
  for (const [offset, length] of map.pieces) {
    file.set(data.subarray(at, at + length), offset);
    at += length;
  }
  return file;
}

/** Which parts of a file with holes an archive has. */
interface SparseMap {
  readonly length: number;
  readonly pieces: readonly Piece[];
}

async function mapOf(
  path: string,
  letter: string,
  block: Buffer,
  records: Records,
  stream: ByteStream,
  left: { bytes: number },
): Promise<SparseMap | undefined> {
  if (letter === "S") {
    return checked(path, number(block, 483, 12), await oldPieces(block, stream), left.bytes);
  }
  const found = await sparseRecords(path, records, stream, left);
  if (found === undefined) return undefined;
  if (KINDS[letter] !== "file") throw refused(path, "it is sparse, and no file");
  return checked(path, found.length, found.pieces, left.bytes);
}

/** Four pieces in the header, and twenty-one in each block behind it. */
async function oldPieces(header: Buffer, stream: ByteStream): Promise<Piece[]> {
  const pieces: Piece[] = [];
  const add = (block: Buffer, at: number, count: number): void => {
    for (let index = 0; index < count; index += 1) {
      const place = at + 24 * index;
      if (block[place] !== 0 && block[place + 12] !== 0) {
        pieces.push([number(block, place, 12), number(block, place + 12, 12)]);
      }
    }
  };
  add(header, 386, 4);
  for (let more = header[482] === 1; more;) {
    const block = await stream.take(BLOCK_BYTES);
    add(block, 0, 21);
    more = block[504] === 1;
  }
  return pieces;
}

function checked(path: string, length: number, pieces: readonly Piece[], stored: number): SparseMap {
  let [end, sum] = [0, 0];
  for (const [offset, bytes] of pieces) {
    if (offset < end) throw refused(path, "its pieces overlap");
    end = offset + bytes;
    sum += bytes;
  }
  if (end > length) throw refused(path, "a piece of it is beyond its end");
  if (sum !== stored) throw refused(path, "its pieces are not what the archive has of it");
  return { length, pieces };
}

function sizeOf(block: Buffer, records: Records): number {
  const size = number(block, 124, 12);
  if (!Number.isSafeInteger(size)) {
    throw refused(records.get("path")?.at(-1)?.toString() ?? pathOf(block), "its length is none");
  }
  return size;
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function pathOf(block: Buffer): string {
  const name = untilZero(block.subarray(0, 100)).toString();
  // GNU tar's own headers have other things in the place of the prefix.
  const isPosix = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? untilZero(block.subarray(345, 500)).toString() : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Octal digits, or, where the first bit is set, the number itself (GNU tar). */
function number(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.reduce((sum, byte, index) => sum * 256 + (index === 0 ? byte & 0x7f : byte), 0);
  }
  const text = untilZero(field).toString("latin1").trim();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text)) throw damaged("a header holds what is no number");
  return parseInt(text, 8);
}

function checkSum(block: Buffer): void {
  const [from, to] = CHECKSUM;
  const sum = block.reduce((total, byte, at) => total + (at >= from && at < to ? 0x20 : byte), 0);
  if (number(block, from, to - from) !== sum) throw damaged("a header's checksum is wrong");
}

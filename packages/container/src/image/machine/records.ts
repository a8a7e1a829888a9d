/** Extended headers of archives (POSIX.1-2024, pax), and what they say of files with holes (GNU tar manual, "Storing Sparse Files"). */

import type { ByteStream } from "./stream.js";
import { damaged, refused } from "./tree.js";

/** Digits of the longest number that is taken. */
const MAX_DIGITS = 15;
const MAP_BLOCK_BYTES = 512;
/** More pieces no file has that anybody packs. */
const MAX_PIECES = 1 << 20;

/** Values by their keys; of a key that is there several times, all. */
export type Records = Map<string, Buffer[]>;

/** Adds records of the form `LENGTH KEY=VALUE\n`, where the length is that of the record. */
export function extended(bytes: Buffer, records: Records): void {
  for (let rest = bytes; rest.length > 0;) {
    const space = rest.indexOf(0x20);
    const length = decimal(rest.subarray(0, Math.max(space, 0)).toString("latin1"));
    const equals = rest.indexOf(0x3d, space);
    if (space < 0 || length === undefined || equals < 0 || equals >= length || rest[length - 1] !== 0x0a) {
      throw damaged("an extended header is malformed");
    }
    const key = rest.toString("utf8", space + 1, equals);
    const value = rest.subarray(equals + 1, length - 1);
    // Pieces of a sparse file come one after another; of all else the last counts.
    if (records.has(key) && /^GNU\.sparse\.(offset|numbytes)$/.test(key)) {
      records.get(key)?.push(value);
    } else records.set(key, [value]);
    rest = rest.subarray(length);
  }
}

/** A file with holes, of versions 0.0, 0.1 and 1.0 of the format; undefined where the records tell of none. */
export async function sparseRecords(
  path: string,
  records: Records,
  stream: ByteStream,
  left: { bytes: number },
): Promise<{ readonly length: number; readonly pieces: readonly (readonly [number, number])[] } | undefined> {
  const keys = [...records.keys()];
  if (!keys.some((key) => key.startsWith("GNU.sparse."))) return undefined;
  const text = (key: string): string | undefined => records.get(`GNU.sparse.${key}`)?.at(-1)?.toString("latin1");
  const length = decimal(text("realsize") ?? text("size") ?? "");
  if (length === undefined) throw damaged("a sparse file has no length");
  const major = text("major") ?? "0";
  if (!["0", "1"].includes(major)) throw refused(path, `it is sparse by version ${major} of the format`);
  const numbers = major === "1" ? await mapInData(path, stream, left) : mapInRecords(records, text("map"));
  if (numbers.length % 2 !== 0) throw damaged("a piece of a sparse file has no length");
  const pieces = numbers.flatMap((offset, at) => (at % 2 === 0 ? [[offset, numbers[at + 1] ?? 0] as const] : []));
  return { length, pieces };
}

function mapInRecords(records: Records, map: string | undefined): number[] {
  const all = (key: string): number[] =>
    (records.get(`GNU.sparse.${key}`) ?? []).map((value) => need(value.toString("latin1")));
  if (map !== undefined) return map.split(",").map(need);
  const [offsets, lengths] = [all("offset"), all("numbytes")];
  if (offsets.length !== lengths.length) throw damaged("the pieces of a sparse file are out of order");
  return offsets.flatMap((offset, at) => [offset, lengths[at] ?? 0]);
}

/** How many pieces, then offset and length of each, a line a number, up to the end of a block. */
async function mapInData(path: string, stream: ByteStream, left: { bytes: number }): Promise<number[]> {
  let text = "";
  for (;;) {
    if (left.bytes < MAP_BLOCK_BYTES) throw damaged("the map of a sparse file is cut off");
    text += (await stream.take(MAP_BLOCK_BYTES)).toString("latin1");
    left.bytes -= MAP_BLOCK_BYTES;
    const lines = text.split("\n");
    if (lines.length < 2) {
      if (text.length > MAX_DIGITS) throw damaged("the map of a sparse file holds what is no number");
      continue;
    }
    const pieces = need(lines[0] ?? "");
    if (pieces > MAX_PIECES) throw refused(path, `it has over ${MAX_PIECES} pieces`);
    if (lines.length > 1 + 2 * pieces) return lines.slice(1, 1 + 2 * pieces).map(need);
  }
}

function need(text: string): number {
  const number = decimal(text);
  if (number === undefined) throw damaged("the map of a sparse file holds what is no number");
  return number;
}

function decimal(text: string): number | undefined {
  return /^\d+$/.test(text) && text.length <= MAX_DIGITS ? Number(text) : undefined;
}

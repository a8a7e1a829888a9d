/** Layers as they are stored and as they are unpacked. */

import { pipeline, Readable, type Duplex } from "node:stream";
import { createGunzip, createGzip, createZstdDecompress } from "node:zlib";
import { MachineError } from "@terrarium/machine";

const GZIP = [0x1f, 0x8b];
/** RFC 8878, 3.1.1. */
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

/** How bytes that begin with `head` are compressed; media types are not to be relied on, archives of Docker have none. */
export function compressionOf(head: Uint8Array): "gzip" | "zstd" | "none" {
  const begins = (magic: readonly number[]): boolean => magic.every((byte, index) => head[index] === byte);
  if (begins(GZIP)) return "gzip";
  return begins(ZSTD) ? "zstd" : "none";
}

/** The archive in `chunks`, whatever it is compressed with. */
export async function* decompressed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = new Uint8Array();
  while (head.length < ZSTD.length) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const all = joined(head, rest(iterator));
  const kind = compressionOf(head);
  if (kind === "none") yield* all;
  else yield* through(all, kind === "gzip" ? createGunzip() : createZstdDecompress());
}

/** `chunks` compressed as most layers are. */
export function gzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  return through(chunks, createGzip());
}

async function* through(chunks: AsyncIterable<Uint8Array>, codec: Duplex): AsyncGenerator<Uint8Array, void> {
  const source = Readable.from(chunks, { objectMode: false });
  pipeline(source, codec, () => undefined);
  try {
    for await (const chunk of codec) yield chunk as Uint8Array;
  } catch (error) {
    if (error instanceof Error && "code" in error && /^(Z_|ERR_ZSTD|ZSTD_)/.test(String(error.code))) {
      const reason = `it cannot be decompressed (${error.message})`;
      throw new MachineError("ARCHIVE_DAMAGED", `The archive is damaged: ${reason}.`, { reason }, { cause: error });
    }
    throw error;
  } finally {
    source.destroy();
  }
}

async function* joined(head: Uint8Array, tail: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  if (head.length > 0) yield head;
  yield* tail;
}

async function* rest(iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

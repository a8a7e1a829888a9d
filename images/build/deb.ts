/** Reads files out of a Debian binary package: an ar archive with a compressed tar inside (deb(5)). */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract, type Extract, type Header } from "tar-stream";
import xz from "xz-decompress";
import type { Entry } from "./cpio.js";

const AR_MAGIC = "!<arch>\n";
const AR_HEADER_BYTES = 60;

interface Member {
  readonly name: string;
  /** Offset of the first content byte in the package file. */
  readonly start: number;
  readonly size: number;
}

type TarEntry = Extract extends AsyncIterable<infer Element> ? Element : never;

/** One regular file of a package, its path without the leading `./`. */
export interface PackagedFile {
  readonly path: string;
  readonly data: Buffer;
}

/**
 * The first file of the package whose path `wanted` accepts. Reading stops there: a kernel package is half a
 * gigabyte of modules behind the one file we need.
 */
export async function fileFromDeb(deb: string, wanted: (path: string) => boolean): Promise<PackagedFile> {
  for await (const entry of packaged(deb)) {
    const path = pathOf(entry.header);
    if (entry.header.type === "file" && wanted(path)) return { path, data: await contentOf(entry) };
    entry.resume();
  }
  throw new Error(`${deb} holds no file of the kind looked for`);
}

/** All that the package unpacks to and whose path `wanted` accepts. */
export async function treeFromDeb(deb: string, wanted: (path: string) => boolean): Promise<Entry[]> {
  const found = new Map<string, Entry>();
  for await (const entry of packaged(deb)) {
    const { type, linkname, mode } = entry.header;
    const path = pathOf(entry.header);
    if (path === "" || !wanted(path)) entry.resume();
    else if (type === "file") found.set(path, { type, path, mode, data: await contentOf(entry) });
    else {
      entry.resume();
      if (type === "directory") found.set(path, { type, path, mode });
      else if (type === "symlink") found.set(path, { type, path, target: linkname });
      else if (type === "link") found.set(path, { ...hardLinked(found, linkname), path });
      else throw new Error(`${deb}: ${path} is a ${type}, which packages do not hold`);
    }
  }
  return [...found.values()];
}

/** A hard link names a file that came before it. */
function hardLinked(found: ReadonlyMap<string, Entry>, linkname: string): Entry {
  const target = found.get(withoutDot(linkname));
  if (target === undefined) throw new Error(`a hard link to ${linkname}, which is not there or left out`);
  return target;
}

function pathOf({ name }: Header): string {
  return withoutDot(name).replace(/\/$/, "");
}

function withoutDot(path: string): string {
  return path.replace(/^\.\//, "");
}

async function contentOf(entry: TarEntry): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The entries of the package's data archive, each to be read or resumed before the next. */
async function* packaged(deb: string): AsyncGenerator<TarEntry> {
  const member = (await members(deb)).find(({ name }) => name.startsWith("data.tar"));
  if (member === undefined) throw new Error(`${deb} is not a Debian package: it has no data.tar`);
  const packed = createReadStream(deb, { start: member.start, end: member.start + member.size - 1 });
  const tar = extract();
  const source = decompressed(packed, member.name);
  source.on("error", (error) => {
    tar.destroy(error);
  });
  source.pipe(tar);
  try {
    yield* tar;
  } finally {
    source.unpipe(tar);
    source.destroy();
    packed.destroy();
  }
}

function decompressed(packed: Readable, name: string): Readable {
  if (name === "data.tar.xz")
    return Readable.from(webChunks(new xz.XzReadableStream(Readable.toWeb(packed) as ReadableStream<Uint8Array>)));
  if (name === "data.tar.gz") return packed.pipe(createGunzip());
  if (name === "data.tar") return packed;
  throw new Error(`${name}: a package compression this recipe does not know`);
}

async function* webChunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function members(deb: string): Promise<Member[]> {
  const file = await open(deb);
  try {
    const { size } = await file.stat();
    const magic = Buffer.alloc(AR_MAGIC.length);
    await file.read(magic, 0, magic.length, 0);
    if (magic.toString("latin1") !== AR_MAGIC) throw new Error(`${deb} is not a Debian package`);
    const found: Member[] = [];
    let offset = AR_MAGIC.length;
    while (offset + AR_HEADER_BYTES <= size) {
      const header = Buffer.alloc(AR_HEADER_BYTES);
      await file.read(header, 0, AR_HEADER_BYTES, offset);
      const bytes = Number.parseInt(header.toString("latin1", 48, 58), 10);
      const start = offset + AR_HEADER_BYTES;
      if (!(bytes >= 0) || start + bytes > size) throw new Error(`${deb} is cut short or damaged`);
      found.push({ name: header.toString("latin1", 0, 16).trim().replace(/\/$/, ""), start, size: bytes });
      // Members start at even offsets.
      offset = start + bytes + (bytes & 1);
    }
    return found;
  } finally {
    await file.close();
  }
}

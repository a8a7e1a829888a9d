/** Reads single files out of a Debian binary package: an ar archive with a compressed tar inside (deb(5)). */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import xz from "xz-decompress";

const AR_MAGIC = "!<arch>\n";
const AR_HEADER_BYTES = 60;

interface Member {
  readonly name: string;
  /** Offset of the first content byte in the package file. */
  readonly start: number;
  readonly size: number;
}

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
    for await (const entry of tar) {
      const path = entry.header.name.replace(/^\.\//, "");
      if (entry.header.type === "file" && wanted(path)) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
        return { path, data: Buffer.concat(chunks) };
      }
      entry.resume();
    }
  } finally {
    source.unpipe(tar);
    source.destroy();
    packed.destroy();
  }
  throw new Error(`${deb} holds no file of the kind looked for`);
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

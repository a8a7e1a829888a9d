/** Blobs by their digests, in a directory as the OCI image specification lays it out (image-layout.md). */

import { createHash, randomUUID, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MachineError } from "@terrarium/machine";
import { onDisk } from "../disk.js";
import { partsOf, type Digest } from "./format/digest.js";
import type { Descriptor } from "./format/documents.js";
import { invalid, MAX_DOCUMENT_BYTES } from "./format/json.js";

/** Where blobs come from. */
export interface BlobSource {
  /**
   * The bytes of a blob, which are sure to be what the descriptor says once all have come.
   * @throws MachineError `BLOB_MISSING`, `BLOB_CORRUPT`
   */
  read(descriptor: Descriptor): AsyncIterable<Uint8Array>;
}

/** A blob that is a document, whole. */
export async function readDocument(source: BlobSource, descriptor: Descriptor): Promise<Uint8Array> {
  if (descriptor.size > MAX_DOCUMENT_BYTES) {
    throw invalid(descriptor.mediaType, `it has over ${MAX_DOCUMENT_BYTES} bytes`);
  }
  return await collect(source.read(descriptor));
}

/** All of `chunks` in one piece. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** Passes `chunks` on, and fails when they turn out not to be what `descriptor` says. */
export async function* verified(
  descriptor: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const { digest, size } = descriptor;
  const { algorithm, hex } = partsOf(digest);
  const hash = createHash(algorithm);
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > size) throw corrupt(digest, `it has more than its ${size} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  if (length < size) throw corrupt(digest, `it has ${length} of its ${size} bytes`);
  const actual = hash.digest("hex");
  if (actual !== hex) throw corrupt(digest, `its contents hash to ${actual}`);
}

/** The error for a blob that is not what it is called. */
export function corrupt(digest: string, reason: string): MachineError<"BLOB_CORRUPT"> {
  return new MachineError("BLOB_CORRUPT", `The blob ${digest} is not what it should be: ${reason}.`, {
    digest,
    reason,
  });
}

/** Counts and hashes what passes through. */
export class Meter {
  readonly #hash: Hash = createHash("sha256");
  size = 0;

  /** Passes `chunks` on. */
  async *through(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.size += chunk.length;
      yield chunk;
    }
  }

  /** What has passed hashes to; once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest("hex")}`;
  }
}

/** The blobs of a layout. */
export class BlobDirectory implements BlobSource {
  readonly #layout: string;

  constructor(layout: string) {
    this.#layout = layout;
  }

  /** Where a blob lies. */
  path(digest: Digest): string {
    const { algorithm, hex } = partsOf(digest);
    return join(this.#layout, "blobs", algorithm, hex);
  }

  /** Whether a blob is there; whether it is whole is seen when it is read. */
  async has({ digest, size }: Descriptor): Promise<boolean> {
    const found = await stat(this.path(digest)).catch(() => undefined);
    return found?.isFile() === true && found.size === size;
  }

  async *read(descriptor: Descriptor): AsyncGenerator<Uint8Array, void> {
    await using file = await this.#open(descriptor.digest);
    yield* verified(descriptor, file.createReadStream({ autoClose: false, highWaterMark: 1 << 18 }));
  }

  async #open(digest: Digest): Promise<FileHandle> {
    // The layout may be a stranger's, and what has a blob's name a pipe nobody writes to.
    const file = await open(this.path(digest), constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
      throw new MachineError("BLOB_MISSING", `The blob ${digest} is not there.`, { digest }, { cause: error });
    });
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw corrupt(digest, "it is no file");
  }

  /** Takes in a blob. Until all of it is there, and on the disk, it has no name. */
  async write(descriptor: Descriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (await this.has(descriptor)) return;
    await this.#place(verified(descriptor, chunks), () => descriptor.digest);
  }

  /** Takes in what is not yet known; resolves with its descriptor. */
  async add(mediaType: string, chunks: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    const meter = new Meter();
    const digest = await this.#place(meter.through(chunks), () => meter.digest());
    return { mediaType, digest, size: meter.size };
  }

  /** Takes in a document. */
  async addDocument(mediaType: string, document: unknown): Promise<Descriptor> {
    return await this.add(mediaType, one(Buffer.from(JSON.stringify(document))));
  }

  /** The same blob in another layout, by another name for it where the file system can. */
  async copyTo(other: BlobDirectory, descriptor: Descriptor): Promise<void> {
    const target = other.path(descriptor.digest);
    await mkdir(dirname(target), { recursive: true });
    await link(this.path(descriptor.digest), target).catch(() => other.write(descriptor, this.read(descriptor)));
  }

  async #place(chunks: AsyncIterable<Uint8Array>, name: () => Digest): Promise<Digest> {
    const temporary = join(this.#layout, "tmp", randomUUID());
    try {
      await mkdir(dirname(temporary), { recursive: true });
      await writeDurably(temporary, chunks);
      const digest = name();
      const path = this.path(digest);
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      await syncDirectory(dirname(path));
      return digest;
    } catch (error) {
      await rm(temporary, { force: true });
      throw onDisk(error, "writing a blob");
    }
  }
}

/** A file with `chunks` in it, which is on the disk when this resolves. */
export async function writeDurably(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of chunks) await file.writeFile(chunk);
  await file.sync();
}

/** Makes the names in a directory outlast a loss of power. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}

/** One chunk. */
// eslint-disable-next-line @typescript-eslint/require-await -- an asynchronous iterable is what is asked for
export async function* one(chunk: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield chunk;
}

/** An image's layers become one tree (OCI image specification, layer.md). */

import { MachineError } from "@terrarium/machine";
import { corrupt, Meter } from "../blobs.js";
import { decompressed } from "../compression.js";
import type { OpenedImage } from "../image.js";
import { membersOf, type Member } from "./archive.js";
import { checkLength, partsOf, refused, Tree, type Attributes } from "./tree.js";

/** What an image may become: it is held in memory, here and then in the guest's. */
const MAX_BYTES = 2 ** 30;
const MAX_ENTRIES = 500_000;

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const WHITEOUT_META = ".wh..wh.";

/** A tree, and how much it is at most: of what lower layers have, some may be hidden. */
export interface Merged {
  readonly tree: Tree;
  /** Of its files. */
  readonly bytes: number;
  readonly entries: number;
}

/**
 * Reads all layers of an image.
 * @throws MachineError `ARCHIVE_REFUSED`, `ARCHIVE_TOO_LARGE`, `ARCHIVE_DAMAGED`, `BLOB_CORRUPT`, `BLOB_MISSING`
 */
export async function mergeLayers({ source, manifest, config }: OpenedImage): Promise<Merged> {
  const merger = new Merger();
  for (const [index, layer] of manifest.layers.entries()) {
    const meter = new Meter();
    await merger.read(meter.through(merger.bounded(decompressed(source.read(layer)))), index);
    const actual = meter.digest();
    const wanted = config.diffIds[index] ?? "";
    if (actual !== wanted) throw corrupt(layer.digest, `unpacked it hashes to ${actual}, not to ${wanted}`);
  }
  const { tree, bytes, entries } = merger;
  return { tree, bytes, entries };
}

class Merger {
  readonly tree = new Tree();
  bytes = 0;
  entries = 0;
  #archived = 0;

  /** Passes archives on, which are more than what is in them. */
  async *bounded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.#archived += chunk.length;
      if (this.#archived > 2 * MAX_BYTES) throw tooLarge(`${2 * MAX_BYTES} bytes of archives`);
      yield chunk;
    }
  }

  /** Adds one layer. */
  async read(archive: AsyncIterable<Uint8Array>, layer: number): Promise<void> {
    for await (const member of membersOf(archive)) await this.#add(member, layer);
  }

  async #add(member: Member, layer: number): Promise<void> {
    this.#count(member);
    const parts = partsOf(member.path);
    const name = parts.at(-1) ?? "";
    const inParent = (sibling: string): string => [...parts.slice(0, -1), sibling].join("/");
    if (name === OPAQUE) this.tree.hideContents(inParent("."), layer);
    else if (name.startsWith(WHITEOUT_META)) return;
    else if (name.startsWith(WHITEOUT)) {
      const hidden = name.slice(WHITEOUT.length);
      if (["", ".", ".."].includes(hidden)) throw refused(member.path, "it hides nothing that has a name");
      this.tree.hide(inParent(hidden), layer);
    } else await this.#addNode(member, layer);
  }

  async #addNode(member: Member, layer: number): Promise<void> {
    const { path, kind, target, device, capability } = member;
    const attributes = attributesOf(member);
    switch (kind) {
      case "directory":
        this.tree.addDirectory(path, attributes, layer);
        break;
      case "file": {
        const data = await member.read();
        const more = capability === undefined ? {} : { capability };
        this.tree.add(path, { ...attributes, type: "file", data, ...more }, layer);
        break;
      }
      case "symlink":
        if (target === "" || target.includes("\0")) throw refused(path, "it leads nowhere");
        checkLength(target);
        this.tree.add(path, { ...attributes, mode: 0o777, type: "symlink", target }, layer);
        break;
      case "link":
        this.tree.link(path, target, layer);
        break;
      case "fifo":
        this.tree.add(path, { ...attributes, type: "fifo" }, layer);
        break;
      case "characterDevice":
      case "blockDevice":
        this.tree.add(path, { ...attributes, type: kind, major: device[0], minor: device[1] }, layer);
        break;
      case undefined:
        throw refused(path, "it is of a kind that layers have not");
    }
  }

  #count({ size }: Member): void {
    this.entries += 1;
    this.bytes += size;
    if (this.bytes > MAX_BYTES) throw tooLarge(`${MAX_BYTES} bytes`);
    if (this.entries > MAX_ENTRIES) throw tooLarge(`${MAX_ENTRIES} members`);
  }
}

/** Ids and times that the guest's kernel would cut off are refused. */
function attributesOf({ path, mode, uid, gid, modified }: Member): Attributes {
  for (const id of [uid, gid]) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffff_fffe) throw refused(path, "its owner is beyond 32 bits");
  }
  const seconds = Number.isFinite(modified) ? Math.min(Math.max(modified, 0), 0xffff_ffff) : 0;
  return { mode: mode & 0o7777, uid, gid, modified: seconds };
}

function tooLarge(limit: string): MachineError<"ARCHIVE_TOO_LARGE"> {
  return new MachineError("ARCHIVE_TOO_LARGE", `The image is refused as a machine: it is more than ${limit}.`, {
    limit,
  });
}

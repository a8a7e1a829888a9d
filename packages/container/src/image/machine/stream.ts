/** Bytes that come in chunks, taken in other portions. */

import { damaged } from "./tree.js";

/** What may follow the end of an archive: tar pads to whole records, of which the largest known has a mebibyte. */
const MAX_PADDING_BYTES = 16 << 20;

/** A stream of bytes. */
export class ByteStream {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #pending: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes, or none at the end. */
  async block(bytes: number): Promise<Buffer | undefined> {
    if (this.#pending.length === 0 && !(await this.#fill())) return undefined;
    return await this.take(bytes);
  }

  /** The next bytes, of which memory is only taken for those that have come. */
  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = bytes; missing > 0;) {
      if (this.#pending.length === 0 && !(await this.#fill())) throw damaged("it is cut off");
      const part = this.#pending.subarray(0, missing);
      this.#pending = this.#pending.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  /** Leaves bytes out. */
  async skip(bytes: number): Promise<void> {
    for (let missing = bytes; missing > 0;) {
      if (this.#pending.length === 0 && !(await this.#fill())) throw damaged("it is cut off");
      const skipped = Math.min(missing, this.#pending.length);
      this.#pending = this.#pending.subarray(skipped);
      missing -= skipped;
    }
  }

  /** Reads to the end: whoever sends counts on all of it being taken. */
  async drain(): Promise<void> {
    let rest = this.#pending.length;
    while (await this.#fill()) {
      rest += this.#pending.length;
      if (rest > MAX_PADDING_BYTES) throw damaged("there is more behind its end");
    }
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#pending = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      if (this.#pending.length > 0) return true;
    }
  }
}

/** Messages on the helper's socket: two lengths (32 bits, least byte first), then JSON, then bytes that are none. */

const HEADER_BYTES = 8;

/** A message and the bytes that came with it. */
export interface Frame {
  readonly message: unknown;
  readonly data: Uint8Array;
}

/** The bytes of a message. */
export function encodeFrame(message: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(HEADER_BYTES + json.length + data.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, json.length, true);
  view.setUint32(4, data.length, true);
  frame.set(json, HEADER_BYTES);
  frame.set(data, HEADER_BYTES + json.length);
  return frame;
}

/** Cuts a stream of bytes into messages. */
export class FrameReader {
  #pending: Uint8Array[] = [];
  #length = 0;
  /** Bytes the next message needs, as far as is known. */
  #needed = HEADER_BYTES;

  /** Takes what has arrived; the messages that are complete now. */
  push(bytes: Uint8Array): Frame[] {
    this.#pending.push(bytes);
    this.#length += bytes.length;
    const frames: Frame[] = [];
    while (this.#length >= this.#needed) {
      const all = this.#join();
      const view = new DataView(all.buffer, all.byteOffset, all.length);
      const [json, data] = [view.getUint32(0, true), view.getUint32(4, true)];
      this.#needed = HEADER_BYTES + json + data;
      if (this.#length < this.#needed) break;
      const text = new TextDecoder().decode(all.subarray(HEADER_BYTES, HEADER_BYTES + json));
      frames.push({ message: JSON.parse(text), data: all.slice(HEADER_BYTES + json, this.#needed) });
      this.#pending = [all.subarray(this.#needed)];
      this.#length -= this.#needed;
      this.#needed = HEADER_BYTES;
    }
    return frames;
  }

  #join(): Uint8Array {
    const [first] = this.#pending;
    if (first !== undefined && this.#pending.length === 1) return first;
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#pending) {
      all.set(part, at);
      at += part.length;
    }
    this.#pending = [all];
    return all;
  }
}

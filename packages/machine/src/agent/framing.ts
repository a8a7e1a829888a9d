/**
 * Frames on the agent's channel: consistent overhead byte stuffing (Cheshire and Baker, 1997), ended by a zero byte.
 * emulator-core/crates/agent/PROTOCOL.md is the description.
 */

/** Longest frame taken from the guest, encoded, in bytes. */
const MAX_FRAME_BYTES = 40 << 10;

/** The longest run of non-zero bytes one code byte can announce. */
const MAX_RUN = 254;

/** Encodes `frame`, with the zero byte at its end. */
export function encodeFrame(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(frame.length + Math.ceil(frame.length / MAX_RUN) + 2);
  let code = 0;
  let end = 1;
  const closeRun = (): void => {
    out[code] = end - code;
    code = end++;
  };
  frame.forEach((byte, index) => {
    if (byte === 0) {
      closeRun();
      return;
    }
    out[end++] = byte;
    if (end - code > MAX_RUN && index < frame.length - 1) closeRun();
  });
  closeRun();
  return out.subarray(0, end);
}

/** The frame in `encoded` (without its zero byte); undefined where the encoding is broken. */
export function decodeFrame(encoded: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(encoded.length);
  let length = 0;
  for (let at = 0; at < encoded.length;) {
    const code = encoded[at] ?? 0;
    const next = at + code;
    if (code === 0 || next > encoded.length) return undefined;
    out.set(encoded.subarray(at + 1, next), length);
    length += code - 1;
    // A run of full length has no zero behind it, and neither has the last.
    if (code <= MAX_RUN && next < encoded.length) length++;
    at = next;
  }
  return out.subarray(0, length);
}

/** Cuts a stream of bytes into frames; what does not decode is dropped. */
export class FrameReader {
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** The frames that `bytes` completes. */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    for (let start = 0; start < bytes.length;) {
      const zero = bytes.indexOf(0, start);
      this.#hold(bytes.subarray(start, zero < 0 ? undefined : zero));
      if (zero < 0) return;
      const frame = this.#take();
      if (frame !== undefined) yield frame;
      start = zero + 1;
    }
  }

  #hold(part: Uint8Array): void {
    this.#heldBytes += part.length;
    // Of an overlong frame only the length is kept, until its end.
    if (this.#heldBytes <= MAX_FRAME_BYTES) this.#held.push(part.slice());
    else this.#held = [];
  }

  #take(): Uint8Array | undefined {
    const encoded = new Uint8Array(this.#heldBytes > MAX_FRAME_BYTES ? 0 : this.#heldBytes);
    let at = 0;
    for (const part of this.#held) {
      encoded.set(part, at);
      at += part.length;
    }
    this.#held = [];
    this.#heldBytes = 0;
    return encoded.length === 0 ? undefined : decodeFrame(encoded);
  }
}

/** What a process writes, as a stream that its reader sets the pace of. */

import type { GuestProcess, Output } from "./agent/client.js";
import { SIGKILL } from "./agent/linux-names.js";

/** While more than this waits to be taken, no more is asked for, in bytes. */
const QUEUE_BYTES = 1 << 20;

/**
 * The standard output of a process without input. `check` is told its exit code and what it wrote on its standard error, and
 * throws where it has failed. Who stops reading has it killed.
 */
export async function* outputOf(
  start: (output: Output) => Promise<GuestProcess>,
  check: (exitCode: number | null, told: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void> {
  const queue = new Queue();
  let told: Uint8Array = new Uint8Array();
  const running: { process?: GuestProcess } = {};
  const process = await start((stream, bytes) => {
    if (stream === "stderr") told = joined([told, bytes]);
    else if (queue.push(bytes) > QUEUE_BYTES) running.process?.hold?.(true);
  });
  running.process = process;
  process.closeStdin();
  const ended = process.ended.finally(() => {
    queue.end();
  });
  ended.catch(() => undefined);
  let finished = false;
  try {
    for await (const chunk of queue) {
      yield chunk;
      if (queue.length === 0) process.hold?.(false);
    }
    finished = true;
    check((await ended).exitCode, told);
  } finally {
    if (!finished) process.kill(SIGKILL);
  }
}

/** All of `chunks` in one piece. */
export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Chunks that have come and have not been taken. */
class Queue {
  #chunks: Uint8Array[] = [];
  #ended = false;
  #change = Promise.withResolvers<void>();
  /** Bytes that wait. */
  length = 0;

  /** Adds a chunk; how much waits now. */
  push(chunk: Uint8Array): number {
    this.#chunks.push(chunk);
    this.length += chunk.length;
    this.#change.resolve();
    return this.length;
  }

  end(): void {
    this.#ended = true;
    this.#change.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunks = this.#chunks;
      this.#chunks = [];
      this.length = 0;
      yield* chunks;
      if (this.#chunks.length > 0) continue;
      if (this.#ended) return;
      this.#change = Promise.withResolvers();
      await this.#change.promise;
    }
  }
}

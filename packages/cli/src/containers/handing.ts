/**
 * This process's own streams, on their way to a process that somebody else holds the container of: their descriptors go by a
 * socket beside that of its requests, in one datagram, before the request does that names them.
 */

import { randomUUID } from "node:crypto";
import { closeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isatty } from "node:tty";
import { native, STREAMS, type Descriptors, type StreamName } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import type { AttachFlags } from "./attach.js";
import { filesOf } from "./place.js";

/** How many processes' streams may wait for requests that do not come: of who has been killed in between. */
const MOST_WAITING = 16;

/** What a request says of streams that have been handed over. */
export interface Handed {
  readonly token: string;
  readonly streams: readonly StreamName[];
}

/**
 * Streams of this process that a program of a container may have as they are. Terminals are not among them: with one, it
 * could read what is typed here, and change how that is shown.
 */
export function ownStreams({ interactive, tty }: AttachFlags): Descriptors {
  if (tty === true) return {};
  const wanted = STREAMS.filter((name) => interactive === true || name !== "stdin");
  const numbers = wanted.map((name) => [name, STREAMS.indexOf(name)] as const);
  return Object.fromEntries(numbers.filter(([, number]) => !isatty(number)));
}

/** Hands streams over to who holds container `id`; nothing where that cannot be, and they have to be carried. */
export function handOver(id: string, own: Descriptors): Handed | undefined {
  const streams = STREAMS.filter((name) => own[name] !== undefined);
  if (streams.length === 0) return undefined;
  const token = randomUUID();
  try {
    const socket = native().connectSocket(filesOf(id));
    try {
      native().sendMessage(
        socket,
        Buffer.from(token),
        streams.flatMap((name) => own[name] ?? []),
      );
    } finally {
      closeSync(socket);
    }
  } catch {
    return undefined;
  }
  return { token, streams };
}

/** Where streams come to who holds a container. */
export class Receiver implements AsyncDisposable {
  readonly #path: string;
  readonly #socket: number;
  readonly #waiting = new Map<string, readonly number[]>();

  private constructor(path: string, socket: number) {
    this.#path = path;
    this.#socket = socket;
  }

  /** Begins to receive, as the only one who holds container `id`. */
  static async open(id: string): Promise<Receiver> {
    const path = filesOf(id);
    // Of a holder that was killed.
    await rm(path, { force: true });
    return new Receiver(path, native().bindSocket(path));
  }

  /**
   * Calls `use` with the streams that have been handed over, and then closes them here.
   * @throws MachineError `SYSTEM` where they have not
   */
  async use<T>({ token, streams }: Handed, use: (own: Descriptors) => Promise<T>): Promise<T> {
    this.#receive();
    const descriptors = this.#waiting.get(token);
    this.#waiting.delete(token);
    try {
      if (descriptors?.length !== streams.length) {
        const details = { operation: "receiving streams", reason: "they have not come" };
        throw new MachineError("SYSTEM", "The streams for the process have not come: try again.", details);
      }
      return await use(Object.fromEntries(streams.map((name, index) => [name, descriptors[index]])));
    } finally {
      close(descriptors ?? []);
    }
  }

  #receive(): void {
    for (;;) {
      const message = native().receiveMessage(this.#socket);
      if (message === null) return;
      this.#waiting.set(Buffer.from(message.bytes).toString(), message.descriptors);
      const [oldest] = this.#waiting;
      if (this.#waiting.size <= MOST_WAITING || oldest === undefined) continue;
      close(oldest[1]);
      this.#waiting.delete(oldest[0]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.forEach(close);
    closeSync(this.#socket);
    await rm(this.#path, { force: true });
  }
}

function close(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) closeSync(descriptor);
}

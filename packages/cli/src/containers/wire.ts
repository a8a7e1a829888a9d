/** What is said over the socket of a container that runs: one line of JSON a message, bytes in base64. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { ExecOptions } from "@terrarium/container";
import type { ErrorCode, ErrorDetails, PackOptions, UnpackOptions } from "@terrarium/machine";
import type { Handed } from "./handing.js";

/** The first line: what is asked of the holder. */
export type Request =
  | {
      readonly type: "exec";
      readonly command: readonly string[];
      readonly options: ExecOptions;
      readonly handed?: Handed | undefined;
    }
  | { readonly type: "kill"; readonly signal: string }
  | { readonly type: "stop"; readonly seconds: number }
  | { readonly type: "pack"; readonly path: string; readonly options: PackOptions }
  | { readonly type: "unpack"; readonly directory: string; readonly options: UnpackOptions }
  | { readonly type: "pause" | "resume" | "stats" | "ping" };

/** More lines, to a process. */
export type Message =
  | { readonly input: string }
  | { readonly end: true }
  | { readonly signal: number }
  | { readonly size: readonly [number, number] };

/** What comes back. */
export type Answer =
  | { readonly output: "stdout" | "stderr"; readonly bytes: string }
  | { readonly exit: { readonly exitCode: number | null; readonly signal: string | null } }
  | { readonly done: unknown }
  | {
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails[ErrorCode] };
    };

/** Sends one message. */
export function send(socket: Socket, message: Request | Message | Answer): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Sends one message, and waits until the other end has room for more. */
export async function sendSlowly(socket: Socket, message: Message | Answer): Promise<void> {
  if (!socket.writable || socket.write(`${JSON.stringify(message)}\n`)) return;
  const closed = new AbortController();
  const { signal } = closed;
  await Promise.race([once(socket, "drain", { signal }), once(socket, "close", { signal })]).finally(() => {
    closed.abort();
  });
}

/** The messages that come, until the other end is closed. */
export async function* messages<T>(socket: Socket): AsyncGenerator<T, void> {
  try {
    for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) yield JSON.parse(line) as T;
  } catch (error) {
    // Whoever ends with something unread resets the connection: it is closed all the same.
    if (!(error instanceof Error && "code" in error && error.code === "ECONNRESET")) throw error;
  }
}

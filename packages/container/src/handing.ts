/** Standard streams of the caller's own, on their way to the helper: emulator-core/crates/container/src/serve/handed.rs. */

import { closeSync, fstatSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MachineError, type StandardStreams } from "@terrarium/machine";
import { malformed } from "@terrarium/machine/guest-kit";
import { native } from "./native.js";

/** Names of standard streams, in the order of their numbers. */
export const STREAMS = ["stdin", "stdout", "stderr"] as const;

/** Name of a standard stream. */
export type StreamName = (typeof STREAMS)[number];

/** Descriptors of this process, by what they are to be. */
export type Descriptors = Partial<Record<StreamName, number>>;

/**
 * The descriptors among `streams`.
 * @throws MachineError `OPTION_INVALID` where one is none
 */
export function descriptorsOf(streams: StandardStreams): Descriptors {
  const given: Descriptors = {};
  for (const name of STREAMS) {
    const stream = streams[name];
    if (stream === undefined) continue;
    const number: unknown = typeof stream === "object" && (stream as unknown) !== null ? stream.fd : stream;
    if (!isOpen(number)) {
      const shown = typeof number === "number" ? String(number) : number;
      throw malformed(name, shown, "an open descriptor, or what has one as its fd");
    }
    given[name] = number;
  }
  return given;
}

function isOpen(value: unknown): value is number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0x7fff_ffff) return false;
  try {
    fstatSync(value);
    return true;
  } catch {
    return false;
  }
}

/** So much is under way that the helper has to take some of it first: in the socket, or of this user's altogether (unix(7)). */
const FULL: readonly unknown[] = ["EAGAIN", "ENOBUFS", "ETOOMANYREFS"];

/** The way descriptors go. Where there is no addon, that is told who has some. */
export class Handing {
  /** The helper's end. */
  readonly theirs: number | undefined;
  #ours: number | undefined;
  readonly #missing: unknown;

  constructor() {
    try {
      [this.#ours, this.theirs] = native().socketPair();
    } catch (error) {
      this.#missing = error;
    }
  }

  /** Closes the helper's end here, once the helper has it. */
  passOn(): void {
    if (this.theirs !== undefined) closeSync(this.theirs);
  }

  /**
   * Hands over what is to be the streams of process `number`, which is not yet asked for; resolves with their names.
   * @throws MachineError `ADDON_UNAVAILABLE`, `SYSTEM`
   */
  async hand(number: number, given: Descriptors): Promise<StreamName[]> {
    const names = STREAMS.filter((name) => given[name] !== undefined);
    if (this.#ours === undefined) throw this.#missing;
    const bytes = new Uint8Array(Uint32Array.of(number).buffer);
    const descriptors = names.flatMap((name) => given[name] ?? []);
    while (!send(this.#ours, bytes, descriptors)) await sleep(1);
    return names;
  }

  /** The helper has gone. */
  close(): void {
    if (this.#ours !== undefined) closeSync(this.#ours);
    this.#ours = undefined;
  }
}

function send(socket: number, bytes: Uint8Array, descriptors: number[]): boolean {
  try {
    native().sendMessage(socket, bytes, descriptors);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && FULL.includes(error.code)) return false;
    const reason = error instanceof Error ? error.message : String(error);
    const operation = "handing streams over";
    throw new MachineError("SYSTEM", `${operation}: ${reason}.`, { operation, reason }, { cause: error });
  }
}

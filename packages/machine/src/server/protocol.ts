/** What crosses between the caller's thread and the worker that runs the machine. */

import type { CoreError, CoreStats, DebugOutput, HotRegion, RegionListing } from "@terrarium/core";
import type { Engine, ResolvedConfig } from "../config.js";
import type { ErrorWire } from "../errors.js";
import type { Startup } from "./startup.js";

/** How a run ended. */
export type Exit =
  /** The guest switched itself off. */
  | { readonly reason: "powered-off" }
  /** The guest reset itself and `onReset` is `"stop"`. */
  | { readonly reason: "reset" }
  /** The program of a container, or of an image in a machine, has ended by itself: with an exit code, or by a signal such as `SIGKILL`. */
  | { readonly reason: "exited"; readonly exitCode: number | null; readonly signal: string | null }
  /** The caller called `stop()`. */
  | { readonly reason: "stopped" }
  /** The guest wrote to the `isa-debug-exit` port; as in QEMU, `code` is twice the value plus one. */
  | { readonly reason: "debug-exit"; readonly code: number }
  /** The guest's processor could not go on; `dump` is its state. */
  | { readonly reason: "fault"; readonly dump: string }
  /** A mistake of Terrarium, which cost this machine; or what it boots could not be had again after a reset. */
  | { readonly reason: "failed"; readonly error: ErrorWire };

/** What the worker tells the caller's thread, in order. A resolved promise is the permission to send more. */
export interface MachineEvents {
  /** The guest sent `bytes` on serial port `port`. */
  serial(port: number, bytes: Uint8Array): void | Promise<void>;
  /** Trace lines. */
  trace(text: string): void | Promise<void>;
  /** The machine runs no more. The last event. */
  exited(exit: Exit): void | Promise<void>;
}

/** A machine at one moment. */
export interface MachineState {
  /** The core's own format. */
  readonly bytes: Uint8Array;
  /** What a reset boots, with the bytes of its files. */
  readonly startup: Startup;
}

/** The machine as the caller's thread sees it. */
export interface MachineServer {
  /** Powers on. */
  start(config: ResolvedConfig, events: MachineEvents): Promise<void>;
  /** Goes on from a snapshot. */
  restore(snapshot: MachineState, engine: Engine, events: MachineEvents): Promise<void>;
  /** Queues bytes for a serial port. */
  write(port: number, bytes: Uint8Array): void;
  /** Stands still after the current slice. Guest time stands still too. */
  pause(): void;
  /** Goes on. */
  resume(): void;
  /** The whole machine as data. */
  snapshot(): Promise<MachineState>;
  /** Counters. */
  stats(): CoreStats;
  /** The regions that count, the hottest first. */
  profile(): readonly HotRegion[];
  /** What is in one of them. */
  region(slot: number): RegionListing | undefined;
  /** What the guest wrote to the ports for debugging since the last call. */
  debug(): DebugOutput;
  /** Ends the run. */
  stop(): void;
  /** Fails with that core error, so that a test can follow every code to the caller. */
  raise(error: Omit<CoreError, "message">): Promise<void>;
}

/** What every guest offers, machine or container. */

import type { Console } from "./console.js";
import type { Exit } from "./server/protocol.js";
import type { Snapshot } from "./snapshot.js";
import type { Bytes, Duration } from "./units.js";

/** How a command is run in the guest. */
export interface RunOptions {
  /** What the command reads on its standard input; nothing where absent. */
  readonly stdin?: string | Uint8Array;
  /** Environment variables to add. */
  readonly env?: Readonly<Record<string, string>>;
  /** Directory to run in. */
  readonly cwd?: string;
  /** Kills the command and rejects with `ABORTED`. */
  readonly signal?: AbortSignal;
  /** After this long, kills the command and rejects with a TimeoutError. No limit where absent. */
  readonly timeout?: Duration;
  /** The most the command may write, both streams together, before it is killed; `"64MiB"` where absent. */
  readonly maxOutput?: Bytes;
  /** What the output comes as: text decoded from UTF-8 (`"utf8"`, the default), or `"bytes"`. */
  readonly output?: "utf8" | "bytes";
}

/** What became of a command. */
export interface RunResult<T extends string | Uint8Array = string> {
  readonly stdout: T;
  readonly stderr: T;
  /** Its exit code; null where a signal ended it. */
  readonly exitCode: number | null;
  /** Name of the signal that ended it, such as `SIGKILL`; null where it exited. */
  readonly signal: string | null;
}

/** What a guest can do. */
export interface Capabilities {
  /** Whether `run()` works: the guest has an agent. */
  readonly run: boolean;
  /** Whether `pause()` works: a container needs a cgroup for that. */
  readonly pause: boolean;
  /** Whether `snapshot()` works. */
  readonly snapshot: boolean;
  /** Whether files can be copied in and out. */
  readonly copy: boolean;
}

/** What `stats()` tells: counters, of which each kind of guest has its own. */
export type GuestStats = object;

/** A running guest. There are no others: `boot()` makes one, and its end is final. */
export interface Guest extends AsyncDisposable {
  /** Tells the guests of this process apart. */
  readonly id: string;
  /** What kind of isolation this is. */
  readonly kind: "machine" | "container";
  readonly capabilities: Capabilities;
  readonly console: Console;
  /**
   * Runs a command in the guest through its agent: a string goes to `/bin/sh -c`, an array is the argument vector.
   * @throws MachineError `AGENT_MISSING`, `GUEST_STOPPED`, `ABORTED`, `COMMAND_NOT_STARTED`, `OUTPUT_TOO_LARGE`, `OPTION_INVALID`
   * @throws TimeoutError
   */
  run(
    command: string | readonly string[],
    options: RunOptions & { readonly output: "bytes" },
  ): Promise<RunResult<Uint8Array>>;
  run(command: string | readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Stands still until {@link resume}; guest time stands still with it. */
  pause(): Promise<void>;
  /** Goes on after {@link pause}. */
  resume(): Promise<void>;
  /** The whole guest as data; `boot(snapshot)` goes on from there, as often as wanted. */
  snapshot(): Promise<Snapshot>;
  /** Counters. */
  stats(): Promise<GuestStats>;
  /** Ends the guest, as pulling the plug does. Resolves when it has ended; more than once does no harm. */
  stop(): Promise<void>;
  /** Resolves with how the guest ended, whatever ended it. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Calls `listener` with how the guest ended. */
  onExit(listener: (exit: Exit) => void): Disposable;
}

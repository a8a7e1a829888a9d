/** What every guest offers, machine or container. */

import type { Console } from "./console.js";
import type { Exit } from "./server/protocol.js";
import type { Descriptor } from "./streams.js";
import type { Bytes, Duration } from "./units.js";

/** How a command is run in the guest. */
export interface RunOptions {
  /** What the command reads on its standard input; nothing where absent. In containers a descriptor, too, as in `StandardStreams`. */
  readonly stdin?: string | Uint8Array | Descriptor;
  /** Where its standard output goes instead of to the result. In containers. */
  readonly stdout?: Descriptor;
  /** Where its standard error goes instead of to the result. In containers. */
  readonly stderr?: Descriptor;
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
  /** Empty where it went to a descriptor. */
  readonly stdout: T;
  /** Empty where it went to a descriptor. */
  readonly stderr: T;
  /** Its exit code; null where a signal ended it. */
  readonly exitCode: number | null;
  /** Name of the signal that ended it, such as `SIGKILL`; null where it exited. */
  readonly signal: string | null;
}

/** How a file is written. */
export interface CopyInOptions {
  /** Its permissions where it is new; 0o644 where absent. */
  readonly mode?: number;
}

/** How a tree is packed. */
export interface PackOptions {
  /** What it is called in the archive; its own name where absent. */
  readonly name?: string;
  /** Whether what a link at the path leads to is packed, by the link's name; otherwise the link is. */
  readonly followLink?: boolean;
}

/** How an archive is unpacked. */
export interface UnpackOptions {
  /** Whether files become those of whom the archive says, which takes the right to give them away. */
  readonly keepOwners?: boolean;
}

/** A tar archive (POSIX.1-2024, pax, or GNU tar's), whole or as it comes. */
export type ArchiveSource = Uint8Array | AsyncIterable<Uint8Array>;

/** What a guest can do. */
export interface Capabilities {
  /** Whether `run()` works: the guest has an agent. */
  readonly run: boolean;
  /** Whether `pause()` works: a container needs a cgroup for that. */
  readonly pause: boolean;
  /** What `snapshot()` keeps: the whole machine, or the files a container has written; false where it does not work. */
  readonly snapshot: "machine" | "files" | false;
  /** Whether `copyIn()`, `copyOut()`, `pack()` and `unpack()` work: they, too, need an agent. */
  readonly copy: boolean;
}

/** What `stats()` tells: counters, of which each kind of guest has its own. */
export type GuestStats = object;

/** A guest as data, of which each kind has its own. Structured-cloneable. */
export interface GuestSnapshot {
  readonly kind: "terrarium-snapshot" | "terrarium-files";
}

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
   * @throws MachineError `AGENT_MISSING`, `GUEST_STOPPED`, `ABORTED`, `COMMAND_NOT_STARTED`, `OUTPUT_TOO_LARGE`, `OPTION_INVALID`, `UNSUPPORTED`
   * @throws TimeoutError
   */
  run(
    command: string | readonly string[],
    options: RunOptions & { readonly output: "bytes" },
  ): Promise<RunResult<Uint8Array>>;
  run(command: string | readonly string[], options?: RunOptions): Promise<RunResult>;
  /**
   * Writes a file, as the guest's user would.
   * @throws MachineError `PATH_UNUSABLE`, `DISK_FULL`, `SYSTEM`, `AGENT_MISSING`, `GUEST_STOPPED`, `OPTION_INVALID`
   */
  copyIn(path: string, data: string | Uint8Array, options?: CopyInOptions): Promise<void>;
  /**
   * Reads a file, as the guest's user would.
   * @throws MachineError `PATH_UNUSABLE`, `SYSTEM`, `AGENT_MISSING`, `GUEST_STOPPED`, `OPTION_INVALID`
   */
  copyOut(path: string): Promise<Uint8Array>;
  /**
   * Unpacks a tar archive to a directory that is there, as the guest's user would: files become that user's, unless their
   * owners are to be kept, and take the place of others; members below a symbolic link are refused. What of an archive came before an error stays.
   * @throws MachineError `ARCHIVE_REFUSED`, `ARCHIVE_DAMAGED`, and as `copyIn`
   */
  unpack(directory: string, archive: ArchiveSource, options?: UnpackOptions): Promise<void>;
  /**
   * Packs what is at a path to a tar archive, whose members begin with its name; of a path that ends in `/.` what is in that
   * directory. Devices and sockets are left out, and a link is packed as one unless it is to be followed.
   * @throws MachineError as `copyOut`
   */
  pack(path: string, options?: PackOptions): AsyncIterable<Uint8Array>;
  /** Stands still until {@link resume}; guest time stands still with it. */
  pause(): Promise<void>;
  /** Goes on after {@link pause}. */
  resume(): Promise<void>;
  /**
   * The guest as data, for the `boot()` that made it, as often as wanted. A machine's is whole, and goes on from there; a
   * container's has files alone, and its program starts anew. `capabilities.snapshot` says which.
   * @throws MachineError `UNSUPPORTED`, `GUEST_STOPPED`
   */
  snapshot(): Promise<GuestSnapshot>;
  /** Counters. */
  stats(): Promise<GuestStats>;
  /** Ends the guest, as pulling the plug does. Resolves when it has ended; more than once does no harm. */
  stop(): Promise<void>;
  /** Resolves with how the guest ended, whatever ended it. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Calls `listener` with how the guest ended. */
  onExit(listener: (exit: Exit) => void): Disposable;
}

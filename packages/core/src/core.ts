/**
 * What every face of the emulator core offers, whether WebAssembly or a native addon. The machine package
 * is written against this and nothing else.
 */

import type { HotRegion, RegionListing } from "./profile.js";
import type { CoreStats } from "./stats.js";

/** Why {@link CoreMachine.run} came back. */
export type RunOutcome =
  /** The budget is used up; the guest wants to go on. */
  | { readonly kind: "running" }
  /** The processor is halted: nothing happens before `untilNs`, or before input where it is absent. */
  | { readonly kind: "idle"; readonly untilNs?: number }
  /** The guest switched itself off (ACPI S5). */
  | { readonly kind: "powered-off" }
  /** The guest reset the machine: {@link CoreMachine.reboot} starts it again. */
  | { readonly kind: "reset" }
  /** The guest wrote to the `isa-debug-exit` port; as in QEMU, `code` is twice the value plus one. */
  | { readonly kind: "debug-exit"; readonly code: number }
  /** The processor cannot go on; `dump` is its state, readable. */
  | { readonly kind: "fault"; readonly dump: string };

/** How a kernel is entered; `auto` takes the best the file offers. */
export type EntryProtocol = "auto" | "16-bit" | "32-bit" | "64-bit" | "pvh";

/** A model of processor: its age, or a level of the x86-64 psABI. */
export type CpuModel = "486" | "pentium" | "pentium3" | "core2" | "x86-64-v2" | "x86-64-v3";

/** What is booted. */
export interface BootSource {
  /** Linux bzImage, PVH or multiboot kernel. */
  readonly kernel?: Uint8Array;
  /** Initial RAM disk for the kernel; the first module of a multiboot kernel. */
  readonly initrd?: Uint8Array;
  /** Modules of a multiboot kernel, in order. */
  readonly modules: readonly BootModule[];
  /** Flat ROM, started at the reset vector; excludes the others. */
  readonly firmware?: Uint8Array;
  /** Kernel command line. */
  readonly commandLine: string;
  /** Entry protocol. */
  readonly entry: EntryProtocol;
}

/** A module of a multiboot kernel. */
export interface BootModule {
  readonly bytes: Uint8Array;
  /** The string that goes with it. */
  readonly commandLine: string;
}

/** The board to build, as plain data; sizes in bytes. */
export interface CoreConfig {
  /** Guest RAM. */
  readonly memoryBytes: number;
  /** Model of the processor. */
  readonly cpu: CpuModel;
  /** Unpack the kernel's payload before the guest starts. */
  readonly decompressOnHost: boolean;
  /** Comma-separated trace categories, or empty. */
  readonly trace: string;
  /** Whether nobody will start the guest again after a reset: a triple fault is then a fault, with its state. */
  readonly noReboot: boolean;
  /** Wall clock at power-on, seconds since 1970-01-01T00:00:00Z, for the CMOS clock. */
  readonly unixSeconds: number;
  /** Seed of the processor's random numbers, a non-negative safe integer: the same seed gives the same numbers. */
  readonly randomSeed: number;
}

/** What a guest wrote to the ports for debugging. */
export interface DebugOutput {
  /** Bytes written to port 0x80, where firmware reports how far it is. */
  readonly postCodes: Uint8Array;
  /** Bytes written to port 0xE9, Bochs's debug console. */
  readonly console: Uint8Array;
}

/** One machine inside the core. Calls are synchronous; the owner gives it a thread. */
export interface CoreMachine {
  /** Compiles what runs often to WebAssembly, from now on; with `profile` to code that counts what it does. */
  compile(profile: boolean): void;
  /** The regions that count, the hottest first. */
  profile(): readonly HotRegion[];
  /** What is in a region that counts, while it is there. */
  region(slot: number): RegionListing | undefined;
  /** Runs about `budget` instructions. `nowNs` is the host's monotonic clock and never goes back. */
  run(nowNs: number, budget: number): RunOutcome;
  /** Starts the guest again after it was reset. Throws {@link CoreError} as a plain object. */
  reboot(source: BootSource): void;
  /** Offers bytes to serial port `port`; returns how many were taken. */
  serialInput(port: number, bytes: Uint8Array): number;
  /** Takes what the guest sent on serial port `port` since the last call; empty where nothing. */
  serialOutput(port: number): Uint8Array;
  /** Counters. */
  stats(): CoreStats;
  /** The whole machine as bytes. */
  snapshot(): Uint8Array;
  /** Trace lines since the last call. */
  takeTrace(): string;
  /** What the guest wrote to the ports for debugging since the last call. */
  debug(): DebugOutput;
  /** Gives the guest's memory back. */
  free(): void;
}

/** How far two machines in step are. */
export interface LockstepProgress {
  /** Instructions both have retired. */
  readonly instructions: number;
  /** Of those, what compiled code retired in the machine that has any. */
  readonly compiledInstructions: number;
  /** Why both came to an end, or what both wait for. */
  readonly ended?: RunOutcome;
  /** They do not agree: a report of where and in what. Nothing more can be done with them then. */
  readonly disagreement?: string;
}

/** Two machines of one configuration: one interprets, the other compiles, and their states are compared as they go. */
export interface CoreLockstep {
  /** Runs both for about `instructions`. Throws {@link CoreError} as a plain object. */
  run(instructions: number): LockstepProgress;
  /** Offers bytes to serial port `port` of both; returns how many were taken. */
  serialInput(port: number, bytes: Uint8Array): number;
  /** Takes what the guest sent on serial port `port` since the last call; empty where nothing. */
  serialOutput(port: number): Uint8Array;
}

/** One loaded core. */
export interface Core {
  /** Which face was loaded. */
  readonly face: "wasm";
  /** Powers a machine on. Throws {@link CoreError} as a plain object. */
  createMachine(config: CoreConfig, source: BootSource): CoreMachine;
  /** Brings a machine back from {@link CoreMachine.snapshot}. Throws {@link CoreError} as a plain object. */
  restoreMachine(snapshot: Uint8Array): CoreMachine;
  /**
   * Powers two machines on that are kept in step; guest time is a nanosecond an instruction. One compiles what has run
   * `hot` times; 1 is everything. Throws {@link CoreError} as a plain object.
   */
  createLockstep(config: CoreConfig, source: BootSource, hot: number): CoreLockstep;
  /** Every error code of the core, and the fields of its details. */
  errorTable(): readonly CoreErrorRow[];
  /** Throws that error as the core itself would, sentence included, so that a test can follow it to the caller. */
  raise(error: Omit<CoreError, "message">): void;
}

/** What a core call throws: never an `Error`, because faces carry data only. */
export interface CoreError {
  /** Stable name of the kind of failure. */
  readonly code: string;
  /** One sentence: cause and mend. */
  readonly message: string;
  /** Fields that belong to the code. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** One row of the error table. */
export interface CoreErrorRow {
  /** Stable name. */
  readonly code: string;
  /** Name and TypeScript type of each field. */
  readonly details: readonly (readonly [name: string, type: "string" | "number"])[];
}

/** What takes part in a comparison. */

import type { Image } from "@terrarium/machine";

/** A guest's way to its prompt. */
export interface BootSample {
  /** From the call to the prompt. */
  readonly seconds: number;
  /** Guest instructions retired on the way, where the contender counts them. */
  readonly instructions?: number;
}

/** One run of the bare guest program. */
export interface ProgramSample extends BootSample {
  /** What the workload computed. */
  readonly checksum: string;
}

/** An emulator. */
export interface Contender {
  readonly name: string;
  /** Why it cannot take part here, or nothing where it can. */
  unavailable(): Promise<string | undefined>;
  /** Boots `image` to its prompt. */
  boot(image: Image): Promise<BootSample>;
  /** Runs the bare guest program, a PVH kernel, with that command line; times it from `begin` to `end`. */
  execute(kernel: string, commandLine: string): Promise<ProgramSample>;
}

/** RAM for the bare guest program, in MiB. */
export const PROGRAM_MEMORY_MIB = 64;
/** What the bare guest program prints last. */
export const PROGRAM_END = /end ([0-9a-f]{16})\r?\n/;

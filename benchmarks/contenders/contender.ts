/** What takes part in a comparison. */

import type { Architecture } from "@terrarium/images";
import type { Image } from "@terrarium/machine";

/** A guest at its prompt. */
export interface BootedGuest extends AsyncDisposable {
  /** From the call to the prompt. */
  readonly seconds: number;
  /** Guest instructions retired on the way, where the contender counts them. */
  readonly instructions?: number;
  /** Runs a command at the prompt, a program and its arguments. Resolves with what the console shows meanwhile. */
  run(command: readonly string[]): Promise<string>;
}

/** One run of the bare guest program. */
export interface ProgramSample {
  /** From `begin` to `end`. */
  readonly seconds: number;
  /** Guest instructions retired, where the contender counts them. */
  readonly instructions?: number;
  /** What the workload computed. */
  readonly checksum: string;
}

/** An emulator. */
export interface Contender {
  readonly name: string;
  /** What guests it can run. */
  readonly architectures: readonly Architecture[];
  /** Why it cannot take part here, or nothing where it can. */
  unavailable(): Promise<string | undefined>;
  /** Boots `image` to its prompt, on a processor with AVX2 and FMA if `wide`. */
  boot(image: Image, wide?: boolean): Promise<BootedGuest>;
  /** Runs the bare guest program, a PVH kernel of 64 bits, with that command line. */
  readonly execute?: (kernel: string, commandLine: string) => Promise<ProgramSample>;
}

/** RAM for the bare guest program, in MiB. */
export const PROGRAM_MEMORY_MIB = 64;
/** What the bare guest program prints last. */
export const PROGRAM_END = /end ([0-9a-f]{16})\r?\n/;

/** Somewhere workloads run. */

import type { Workload } from "./workloads.js";

/** How long the program repeats a workload. The slowest guests need as much for one pass. */
const MILLISECONDS = 500;

export interface Place {
  /** Who and how wide: `qemu-tcg-64`. */
  readonly name: string;
  readonly bits: number;
  /** Runs the program with the arguments for `workload`; resolves with what it printed, and perhaps more. */
  run(workload: Workload): Promise<string>;
}

/** The program's arguments for `workload`. */
export function argumentsFor({ name, command }: Workload): string[] {
  return [String(MILLISECONDS), name, ...command];
}

/** Whether `workload` runs in places of that width: the image with programs has 64 bits only, and so have processors with AVX2 in these tables. */
export function runsAt(bits: number, { command, wide }: Workload): boolean {
  return bits === 64 || (command.length === 0 && !wide);
}

/** What every benchmark is. */

import type { Measurement } from "@terrarium/measure";
import type { Contender } from "./contenders/contender.js";

/** What the caller chose. */
export interface Settings {
  /** Who takes part; all of them are available. */
  readonly contenders: readonly Contender[];
  /** How often everything is measured. */
  readonly samples: number;
  /** Name of the guest image, where the benchmark boots one of the caller's choice. */
  readonly image: string;
  /** Names of the workloads to run, where not all. */
  readonly only: readonly string[] | undefined;
  /** What executes guest code in Terrarium. */
  readonly engine: string;
  /** How long to go on, where the benchmark watches something over time. */
  readonly minutes: number;
  /** Whether a variant of a contender, such as `qemu-tcg-32`, was chosen. */
  readonly takesPart: (variant: string) => boolean;
  /** Tells how far it is. */
  readonly progress: (text: string) => void;
}

/** One benchmark. */
export interface Benchmark {
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  run(settings: Settings): Promise<readonly Measurement[]>;
  /** Shows the measurements to people, where a plain table does not say enough. */
  report?(measurements: readonly Measurement[]): string;
}

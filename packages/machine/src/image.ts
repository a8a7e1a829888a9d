/** What the images package provides and `boot` takes. */

import type { BootModule } from "./config.js";
import type { Bytes } from "./units.js";

/** A guest ready to boot: where its files are and what is known about it. Structured-cloneable. */
export interface Image {
  /** Its name on the command line, such as `debian-cloud`. */
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  /** URL of the kernel. */
  readonly kernel: string;
  /** URL of the initial RAM disk. */
  readonly initrd?: string;
  /** Modules, where the kernel is a multiboot kernel. */
  readonly modules?: readonly BootModule[];
  /** Kernel command line. */
  readonly commandLine: string;
  /** RAM it is given unless the caller says otherwise. */
  readonly memory: Bytes;
  /** What its console shows when it waits for a command. */
  readonly prompt: string;
  /** Whether the Terrarium agent listens on its second serial port, which `run()` needs. */
  readonly agent: boolean;
}

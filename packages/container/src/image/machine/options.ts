/** What of a container's options a machine has, too; the others are refused by name. */

import type { MachineError } from "@terrarium/machine";
import { unsupported } from "@terrarium/machine/guest-kit";
import type { ContainerOptions } from "../../config.js";

/** What each option would take, where it is more than a machine has. */
const MISSING: readonly (readonly [name: keyof ContainerOptions, feature: string])[] = [
  ["volumes", "a volume of a machine"],
  ["stdin", "a descriptor as a machine's stdin"],
  ["stdout", "a descriptor as a machine's stdout"],
  ["stderr", "a descriptor as a machine's stderr"],
  ["ports", "a port of a machine"],
  ["dns", "a name server of a machine"],
  ["cpus", "a share of a processor for a machine"],
  ["pidsLimit", "a limit of processes for a machine"],
  ["stopSignal", "a signal that asks a machine to end"],
  ["setupTimeout", "a limit for the setting up of a machine"],
  ["signal", "calling off a machine"],
];

/** @throws MachineError `UNSUPPORTED` */
export function checkOptions(options: ContainerOptions): void {
  for (const [name, feature] of MISSING) {
    const value = options[name];
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) throw notOfMachines(feature);
  }
  if ((options.network ?? "none") !== "none") throw notOfMachines("a network of a machine");
  if ((options.writes ?? "memory") !== "memory") throw notOfMachines("keeping or refusing what a machine writes");
}

/** The error for what only containers have. */
export function notOfMachines(feature: string): MachineError<"UNSUPPORTED"> {
  return unsupported(feature, 'leave it out, or take the isolation "container"');
}

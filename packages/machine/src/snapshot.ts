/** A machine as data. */

import { MachineError } from "./errors.js";

/** A whole machine at one moment. Structured-cloneable: it crosses to workers and into a browser's database. */
export interface Snapshot {
  readonly kind: "terrarium-snapshot";
  /** The core's own format. */
  readonly bytes: Uint8Array;
  /** Whether the guest has an agent. */
  readonly agent: boolean;
  /** Name of the image it was booted from, for messages. */
  readonly name: string;
}

/** Whether `value` claims to be a snapshot. */
export function isSnapshot(value: object): value is Snapshot {
  return "kind" in value && value.kind === "terrarium-snapshot";
}

/**
 * Checks the parts that are ours; the core checks its bytes.
 * @throws MachineError `SNAPSHOT_DAMAGED`
 */
export function checkSnapshot(snapshot: Snapshot): void {
  const { bytes } = snapshot as { readonly bytes: unknown };
  if (bytes instanceof Uint8Array) return;
  const reason = "it has no bytes";
  throw new MachineError("SNAPSHOT_DAMAGED", `The snapshot cannot be restored: ${reason}; take it again.`, { reason });
}

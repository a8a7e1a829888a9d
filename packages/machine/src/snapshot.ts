/** A machine as data. */

import { MachineError } from "./errors.js";
import type { GuestSnapshot } from "./guest.js";
import type { MachineState } from "./server/protocol.js";

/** A whole machine at one moment. Structured-cloneable: it crosses to workers and into a browser's database. */
export interface Snapshot extends MachineState, GuestSnapshot {
  readonly kind: "terrarium-snapshot";
  /** Whether the guest has an agent. */
  readonly agent: boolean;
  /** Whether its init reports how its program ended. */
  readonly reportsEnd?: boolean;
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
  const { bytes, startup } = snapshot as { readonly bytes: unknown; readonly startup: unknown };
  if (bytes instanceof Uint8Array && typeof startup === "object" && startup !== null) return;
  const reason = bytes instanceof Uint8Array ? "it does not say what it boots" : "it has no bytes";
  throw damaged(reason);
}

/** The error for a snapshot that cannot be booted. */
export function damaged(
  reason: string,
  mend = "take it again",
  options?: ErrorOptions,
): MachineError<"SNAPSHOT_DAMAGED"> {
  return new MachineError(
    "SNAPSHOT_DAMAGED",
    `The snapshot cannot be restored: ${reason}; ${mend}.`,
    { reason },
    options,
  );
}

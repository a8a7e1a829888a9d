/** Errors of the file system in our words. */

import { MachineError } from "@terrarium/machine";

/** What the system says where no space is left, on the disk or of a user's share (errno(3)). */
const FULL = ["ENOSPC", "EDQUOT"];

/** An error of the file system as one of ours, a full disk as that; any other as it is. */
export function onDisk(error: unknown, operation: string): unknown {
  if (error instanceof MachineError || !(error instanceof Error) || !("syscall" in error)) return error;
  const doing = operation.charAt(0).toUpperCase() + operation.slice(1);
  if ("code" in error && FULL.includes(String(error.code))) {
    const message = `${doing}: no space is left there: free some, or give another place.`;
    return new MachineError("DISK_FULL", message, { operation }, { cause: error });
  }
  const message = `${doing} failed: ${error.message}.`;
  return new MachineError("SYSTEM", message, { operation, reason: error.message }, { cause: error });
}

/** Whether an error says that no space is left. */
export function isFull(error: unknown): boolean {
  return error instanceof MachineError && (error as MachineError).code === "DISK_FULL";
}

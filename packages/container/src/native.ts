/** The addon, with errors as callers know them. */

import { loadNative, NativeError, type Native } from "@terrarium/core/native";
import { MachineError } from "@terrarium/machine";

export type { ProcessHandle } from "@terrarium/core/native";

/**
 * What Linux has and Node does not offer.
 * @throws MachineError `ADDON_UNAVAILABLE`
 */
export function native(): Native {
  try {
    return loadNative();
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const { code, message, reason, mend } = error;
    throw new MachineError(code, message, { reason, mend }, { cause: error });
  }
}

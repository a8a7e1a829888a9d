/**
 * Loads the addon (emulator-core/crates/node): what TypeScript needs of Linux. Nothing else of this package does, so that
 * neither a browser nor a machine needs it.
 */

import { createRequire } from "node:module";
import type * as face from "../pkg/native/index.js";

/** What the addon offers. */
export type Native = typeof face;
export type { Message, ProcessHandle, Terminal, WindowSize } from "../pkg/native/index.js";

/** Why there is no addon here. */
export class NativeError extends Error {
  override readonly name = "NativeError";
  /** Stable: programs may branch on it. */
  readonly code = "ADDON_UNAVAILABLE";
  readonly reason: string;
  readonly mend: string;

  constructor(reason: string, mend: string, options?: ErrorOptions) {
    super(`The addon cannot be loaded (${reason}): ${mend}.`, options);
    this.reason = reason;
    this.mend = mend;
  }
}

const REBUILD = "build it on this machine with `npm run build`";

/**
 * The addon.
 * @throws NativeError on another system than Linux, where it has not been built, or not for this Node
 */
export function loadNative(): Native {
  if (process.platform !== "linux") throw new NativeError(`this is ${process.platform}`, "it is for Linux alone");
  try {
    return createRequire(import.meta.url)("../pkg/native/terrarium.node") as Native;
  } catch (error) {
    // Node names the files on the way behind the first line.
    const [reason = ""] = error instanceof Error ? error.message.split("\n") : [];
    throw new NativeError(reason, REBUILD, { cause: error });
  }
}

/** What the command line is built with. Not for callers. */

export { onDisk } from "./disk.js";
export { STREAMS, type Descriptors, type StreamName } from "./handing.js";
export { native, type ProcessHandle } from "./native.js";
export { withLock } from "./work.js";

/** The command of a container that does nothing, of whatever image: its first process is the runtime itself, again. */
export const IDLE = ["/proc/self/exe", "idle"] as const;

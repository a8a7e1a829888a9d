/** What the command line is built with. Not for callers. */

export { onDisk } from "./disk.js";
export { withLock } from "./work.js";

/** Boots x86 machines, each in a worker of its own; the caller's event loop stays free. */

import { connectToWorker } from "#host";
import { bootOver, type Boot } from "./boot.js";

export * from "./exports.js";

/** Powers a machine on, in a worker of its own. */
export const boot: Boot = bootOver(connectToWorker);

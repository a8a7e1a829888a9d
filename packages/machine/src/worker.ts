/** The same names for callers that are in a worker already: machines run in the calling thread. */

import { bootOver, type Boot } from "./boot.js";
import { connectHere } from "./hosts/here.js";

export * from "./exports.js";

/** Powers a machine on, in this thread. */
export const boot: Boot = bootOver(connectHere);

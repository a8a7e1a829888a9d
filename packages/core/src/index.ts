/** Loads the emulator core, once for a thread. Nobody else knows where its artefact lies. */

import { instantiate } from "#artefact";
import type { Core } from "./core.js";

export type * from "./core.js";
export type * from "./profile.js";
export type * from "./stats.js";

let core: Promise<Core> | undefined;

/** The core. WebAssembly for now: it runs wherever JavaScript does. */
export function loadCore(): Promise<Core> {
  core ??= instantiate();
  return core;
}

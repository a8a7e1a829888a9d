/** A browser: the artefact, `terrarium_bg.wasm`, is served beside the script it was bundled into. */

import * as face from "../pkg/terrarium.js";
import type { Core } from "./core.js";
import { wasmCore } from "./wasm.js";

/** Fetches, compiles and starts the core. */
export async function instantiate(): Promise<Core> {
  const { memory } = await face.default({ module_or_path: new URL("terrarium_bg.wasm", import.meta.url) });
  return wasmCore(face, memory);
}

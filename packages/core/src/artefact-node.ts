/** Node: the artefact lies beside the package. */

import { readFile } from "node:fs/promises";
import * as face from "../pkg/terrarium.js";
import type { Core } from "./core.js";
import { wasmCore } from "./wasm.js";

/** Compiles and starts the core. */
export async function instantiate(): Promise<Core> {
  const bytes = await readFile(new URL("../pkg/terrarium_bg.wasm", import.meta.url));
  const { memory } = face.initSync({ module: await WebAssembly.compile(bytes) });
  return wasmCore(face, memory);
}

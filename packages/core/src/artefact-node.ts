/** Node: the artefact lies beside the package. */

import { readFile } from "node:fs/promises";
import * as face from "../pkg/terrarium.js";
import { startAside } from "./aside-node.js";
import type { Core } from "./core.js";
import { wasmCore } from "./wasm.js";

/** Compiles and starts the core. */
export async function instantiate(): Promise<Core> {
  const bytes = await readFile(new URL("../pkg/terrarium_bg.wasm", import.meta.url));
  const module = await WebAssembly.compile(bytes);
  const { memory } = face.initSync({ module });
  return wasmCore(face, memory, () => startAside(module));
}

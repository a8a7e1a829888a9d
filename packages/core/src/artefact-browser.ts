/** A browser: the artefact, `terrarium_bg.wasm`, is served beside the script it was bundled into. */

import * as face from "../pkg/terrarium.js";
import { startAside } from "./aside-browser.js";
import type { Core } from "./core.js";
import { wasmCore } from "./wasm.js";

/** Fetches, compiles and starts the core. */
export async function instantiate(): Promise<Core> {
  const module = await compile(new URL("terrarium_bg.wasm", import.meta.url));
  const { memory } = face.initSync({ module });
  return wasmCore(face, memory, () => startAside(module));
}

/** Compiles while it loads, where the server says what it is. */
async function compile(url: URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  const isNamed = response.headers.get("content-type")?.startsWith("application/wasm") ?? false;
  return isNamed
    ? await WebAssembly.compileStreaming(response)
    : await WebAssembly.compile(await response.arrayBuffer());
}

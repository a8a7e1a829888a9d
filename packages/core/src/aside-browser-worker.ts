/** What a browser's worker runs: a translator aside. The first message is the core's module, all others are jobs. */

import * as face from "../pkg/terrarium.js";
import { AsideWorker } from "./aside-work.js";

let worker: AsideWorker | undefined;
onmessage = ({ data }: MessageEvent<WebAssembly.Module | Uint8Array>) => {
  if (data instanceof WebAssembly.Module) {
    face.initSync({ module: data });
    worker = new AsideWorker(face);
  } else if (worker !== undefined) postMessage(worker.answer(data));
};

/** What a worker thread of Node runs: a translator aside. */

import { workerData, type MessagePort } from "node:worker_threads";
import * as face from "../pkg/terrarium.js";
import { AsideWorker } from "./aside-work.js";

const { module, port } = workerData as { readonly module: WebAssembly.Module; readonly port: MessagePort };
face.initSync({ module });
const worker = new AsideWorker(face);
port.on("message", (job: Uint8Array) => {
  port.postMessage(worker.answer(job));
});

/** What a worker thread of Node runs: a translator aside. */

import { setImmediate as eventLoop } from "node:timers/promises";
import { receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import * as face from "../pkg/terrarium.js";
import { AsideWorker } from "./aside-work.js";

const { module, port, bell } = workerData as {
  readonly module: WebAssembly.Module;
  readonly port: MessagePort;
  readonly bell: Int32Array<SharedArrayBuffer>;
};
face.initSync({ module });
const worker = new AsideWorker(face);
port.postMessage("ready");
for (;;) {
  const rung = Atomics.load(bell, 0);
  doJobs();
  // One turn of the event loop for the engine's own tasks, then asleep. In the loop, a garbage collection that waits for its helpers, which give way to
  // everybody, would post its task again and again, and keep a processor busy.
  await eventLoop();
  Atomics.wait(bell, 0, rung);
}

/** Does what has been sent. */
function doJobs(): void {
  for (;;) {
    const job = receiveMessageOnPort(port) as { readonly message: Uint8Array } | undefined;
    if (job === undefined) return;
    port.postMessage(worker.answer(job.message));
  }
}

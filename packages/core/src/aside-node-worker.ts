/** What a worker thread of Node runs: a translator aside. */

import { receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import * as face from "../pkg/terrarium.js";
import { AsideWorker } from "./aside-work.js";

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly port: MessagePort;
  /** Counts the jobs that have been sent. */
  readonly sent: Int32Array<SharedArrayBuffer>;
}

const { module, port, sent } = workerData as WorkerData;
face.initSync({ module });
const worker = new AsideWorker(face);
port.postMessage("ready");
// Never back to the event loop: there V8 sweeps this thread's heap in slices, each of which asks for the next one at once as long as its own threads, which
// come behind this one, have not done their part. That kept a processor busy for seconds.
for (;;) {
  const seen = Atomics.load(sent, 0);
  const job = receiveMessageOnPort(port) as { readonly message: Uint8Array } | undefined;
  if (job === undefined) Atomics.wait(sent, 0, seen);
  else port.postMessage(worker.answer(job.message));
}

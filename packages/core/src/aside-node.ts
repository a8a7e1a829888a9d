/** A translator aside in Node: a worker thread. */

import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { LOST, type Aside, type AsideAnswer } from "./aside.js";
import { giveWayToMachines } from "./threads-node.js";

/** Starts one with the core's own module. It keeps no process alive. */
export function startAside(module: WebAssembly.Module): Aside {
  const { port1, port2 } = new MessageChannel();
  const script = new URL("./aside-node-worker.js", import.meta.url);
  // Counts the jobs sent; the thread sleeps until it changes.
  const bell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  // Not the program's own options: with `--input-type`, say, Node runs no file.
  const worker = new Worker(script, { workerData: { module, port: port2, bell }, transferList: [port2], execArgv: [] });
  worker.unref();
  giveWayToMachines();
  let [ready, died] = [false, false];
  const die = (): void => {
    died = true;
  };
  worker.once("error", die).once("exit", die);
  return {
    // Its first message says so.
    ready: () => (ready ||= receiveMessageOnPort(port1) !== undefined),
    send: (job) => {
      if (died) return false;
      port1.postMessage(job, [job.buffer]);
      Atomics.add(bell, 0, 1);
      Atomics.notify(bell, 0);
      return true;
    },
    receive: () => {
      // Not by an event: the machine's thread may be in the midst of a slice.
      const message = receiveMessageOnPort(port1) as { readonly message: AsideAnswer } | undefined;
      return message?.message ?? (died ? LOST : undefined);
    },
    close: () => {
      port1.close();
      void worker.terminate();
    },
  };
}

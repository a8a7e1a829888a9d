/** A browser: a module worker a machine, files by URL. */

import type { Endpoint } from "comlink";
import { internalError } from "../errors.js";
import type { Turn } from "../server/run-loop.js";
import { BrowserTurn } from "./browser-turn.js";
import { connection, type Connection } from "./connection.js";

/**
 * Starts a worker with a machine server in it. Its script is `browser-worker.js` beside this one: a bundler either
 * understands `new Worker(new URL(...))` or is told to emit that file as an entry of its own.
 */
export function connectToWorker(): Connection {
  const worker = new Worker(new URL("./browser-worker.js", import.meta.url), { type: "module" });
  const died = new Promise<never>((_, reject) => {
    worker.onerror = (event) => {
      reject(internalError(event.message === "" ? "the worker's script cannot be loaded" : event.message));
    };
  });
  return connection(worker, died, () => {
    worker.terminate();
    return Promise.resolve();
  });
}

/** `port` as Comlink's functions take it. */
export function endpointOf(port: MessagePort): Endpoint {
  return port;
}

/** A way to let the messages and timers that are due have their turn. */
export function newTurn(): Turn {
  return new BrowserTurn();
}

/** The file at a URL. */
export async function readFile(source: string): Promise<Uint8Array> {
  const response = await fetch(source);
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

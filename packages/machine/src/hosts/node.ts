/** Node: a worker thread a machine, files by path or URL. */

import { readFile as readFileAt } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import type { Endpoint } from "comlink";
import { internalError } from "../errors.js";
import { connection, type Connection } from "./connection.js";

/** Starts a worker with a machine server in it. */
export function connectToWorker(): Connection {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL("./node-worker.js", import.meta.url), { workerData: port2, transferList: [port2] });
  const died = new Promise<never>((_, reject) => {
    worker.once("error", (error) => {
      reject(internalError(error));
    });
    worker.once("exit", () => {
      reject(internalError("the machine's thread has ended"));
    });
  });
  // Node's ports implement the web's EventTarget; its types do not say so in the web's words.
  return connection(port1 as unknown as Endpoint, died, async () => {
    port1.close();
    await worker.terminate();
  });
}

/** The file at a path, a `file:` or an `http(s):` URL. */
export async function readFile(source: string): Promise<Uint8Array> {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(source)) return await readFileAt(source);
  const url = new URL(source);
  if (url.protocol === "file:") return await readFileAt(fileURLToPath(url));
  return await fetchFile(source);
}

async function fetchFile(source: string): Promise<Uint8Array> {
  const response = await fetch(source);
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

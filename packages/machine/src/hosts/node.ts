/** Node: a worker thread a machine, files by path or URL. */

import { readFile as readFileAt } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker, type MessagePort } from "node:worker_threads";
import type { Endpoint } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { internalError } from "../errors.js";
import type { Turn } from "../server/run-loop.js";
import { connection, type Connection } from "./connection.js";

/** The port of this thread's global `MessageChannel`, which is Node's own by the web's name. */
type WebMessagePort = InstanceType<typeof globalThis.MessageChannel>["port1"];

/** Starts a worker with a machine server in it. */
export function connectToWorker(): Connection {
  const { port1, port2 } = new MessageChannel();
  const script = new URL("./node-worker.js", import.meta.url);
  // Not the program's own options: with `--input-type`, say, Node runs no file.
  const worker = new Worker(script, { workerData: port2, transferList: [port2], execArgv: [] });
  const died = new Promise<never>((_, reject) => {
    worker.once("error", (error) => {
      reject(internalError(error));
    });
    worker.once("exit", () => {
      reject(internalError("the machine's thread has ended"));
    });
  });
  return connection(nodeEndpoint(port1), died, async () => {
    port1.close();
    await worker.terminate();
  });
}

/**
 * `port` as Comlink's functions take it: listening in Node's way. A web event for each message would come from undici, and bring
 * Node's HTTP, TLS and crypto modules into the thread with it.
 */
export function endpointOf(port: WebMessagePort): Endpoint {
  return nodeEndpoint(port as unknown as MessagePort);
}

/** A way to let the messages and timers that are due have their turn: Node's "check" phase comes after both. */
export function newTurn(): Turn {
  return {
    give: () =>
      new Promise((resolve) => {
        setImmediate(resolve);
      }),
    close: () => undefined,
  };
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

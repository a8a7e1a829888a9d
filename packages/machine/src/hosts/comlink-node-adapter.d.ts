/** Comlink ships these types under a name that TypeScript does not look for. */
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { Endpoint } from "comlink";
  import type { MessagePort } from "node:worker_threads";

  /** `port` as Comlink's functions take it. */
  export default function nodeEndpoint(port: MessagePort): Endpoint;
}

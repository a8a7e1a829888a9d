/** No worker of its own: the machine runs in the calling thread, which is one already. */

import { endpointOf, newTurn, readFile } from "#host";
import { loadCore } from "@terrarium/core";
import { expose } from "comlink";
import { CoreServer } from "../server/server.js";
import { connection, type Connection } from "./connection.js";

/** Starts a machine server in this thread, behind the same messages as anywhere else. */
export function connectHere(): Connection {
  const { port1, port2 } = new MessageChannel();
  const server = new CoreServer({ loadCore, readFile, newTurn });
  const result = connection(endpointOf(port1), new Promise<never>(() => undefined), () => {
    server.stop();
    port1.close();
    return Promise.resolve();
  });
  expose(server, endpointOf(port2));
  return result;
}

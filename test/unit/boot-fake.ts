/** `boot` over the fake core, through the same messages as over the real one. */

import { expose } from "comlink";
import { bootOver, type Boot } from "../../packages/machine/src/boot.js";
import { connection } from "../../packages/machine/src/hosts/connection.js";
import { CoreServer } from "../../packages/machine/src/server/server.js";
import { newTurn } from "../../packages/machine/src/hosts/node.js";
import { fakeCore, type FakeBehaviour } from "./fake-core.js";

/** A config that names no file. */
export const ANYTHING = { kernel: new Uint8Array([0]) };

/** A `boot` whose machines are fakes. */
export function bootFake(behaviour: FakeBehaviour = {}): Boot {
  return bootOver(() => {
    const { port1, port2 } = new MessageChannel();
    const server = new CoreServer({
      loadCore: () => Promise.resolve(fakeCore(behaviour)),
      readFile: () => Promise.reject(new Error("no such file")),
      newTurn,
    });
    expose(server, port2);
    return connection(port1, new Promise<never>(() => undefined), () => {
      server.stop();
      port1.close();
      return Promise.resolve();
    });
  });
}

/** A way to a machine server, wherever it runs. */

import { releaseProxy, wrap, type Endpoint, type Remote } from "comlink";
import type { MachineServer } from "../server/protocol.js";
import { prepareTransfer } from "../server/transfer.js";

/** One server of its own for one machine. */
export interface Connection {
  /** The server, by message. */
  readonly server: Remote<MachineServer>;
  /** Rejects if the thread behind it dies; never resolves. */
  readonly died: Promise<never>;
  /** Ends the thread; more than once does no harm. */
  close(): Promise<void>;
}

/** Opens a connection. */
export type Connect = () => Connection;

/** A {@link Connection} over `endpoint`. */
export function connection(endpoint: Endpoint, died: Promise<never>, end: () => Promise<void>): Connection {
  prepareTransfer();
  const server = wrap<MachineServer>(endpoint);
  // Whoever makes a call races it against this; between calls nobody listens.
  died.catch(() => undefined);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    server[releaseProxy]();
    return end();
  };
  return { server, died, close: () => (closed ??= close()) };
}

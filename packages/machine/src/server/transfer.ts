/**
 * What Comlink carries across threads in another way than we need it.
 *
 * Errors: Comlink copies an error's name, message and stack and drops the rest, so a handler of
 * ours takes the place of its "throw" handler: it carries our errors whole and leaves all others to Comlink's.
 */

import { endpointOf } from "#host";
import { expose, proxyMarker, transferHandlers, wrap, type ProxyMarked, type TransferHandler } from "comlink";
import { fromWire, MachineError, toWire, type ErrorWire } from "../errors.js";

/** How Comlink presents something thrown to its handlers. */
interface Thrown {
  readonly value: unknown;
}

type Wire = { readonly ours: ErrorWire } | { readonly theirs: unknown };

/** Replaces the handlers; more than once does no harm. Both threads have to. */
export function prepareTransfer(): void {
  transferHandlers.set("proxy", proxies);
  carryErrors();
}

/** Objects that stay in their thread, over a port that this host listens to in its own way. */
const proxies: TransferHandler<object, MessagePort> = {
  canHandle: (value): value is ProxyMarked =>
    ((typeof value === "object" && value !== null) || typeof value === "function") && proxyMarker in value,
  serialize: (object) => {
    const { port1, port2 } = new MessageChannel();
    expose(object, endpointOf(port1));
    return [port2, [port2]];
  },
  deserialize: (port) => wrap(endpointOf(port)),
};

function carryErrors(): void {
  const original = transferHandlers.get("throw") as
    (TransferHandler<Thrown, unknown> & { carriesOurs?: true }) | undefined;
  if (original === undefined || original.carriesOurs === true) return;
  const handler: TransferHandler<Thrown, Wire> & { carriesOurs: true } = {
    carriesOurs: true,
    canHandle: (value): value is Thrown => original.canHandle(value),
    serialize: (thrown) => {
      if (thrown.value instanceof MachineError) return [{ ours: toWire(thrown.value) }, []];
      const [theirs, transferables] = original.serialize(thrown);
      return [{ theirs }, transferables];
    },
    deserialize: (wire) => {
      if ("ours" in wire) throw fromWire(wire.ours);
      return original.deserialize(wire.theirs);
    },
  };
  transferHandlers.set("throw", handler);
}

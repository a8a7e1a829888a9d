/**
 * Errors across threads. Comlink copies an error's name, message and stack and drops the rest, so a handler of
 * ours takes the place of its "throw" handler: it carries our errors whole and leaves all others to Comlink's.
 */

import { transferHandlers, type TransferHandler } from "comlink";
import { fromWire, MachineError, toWire, type ErrorWire } from "../errors.js";

/** How Comlink presents something thrown to its handlers. */
interface Thrown {
  readonly value: unknown;
}

type Wire = { readonly ours: ErrorWire } | { readonly theirs: unknown };

/** Replaces the handler; more than once does no harm. Both threads have to. */
export function carryErrors(): void {
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

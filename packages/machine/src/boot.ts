/** Powering machines on. */

import { resolveConfig, resolveEngine, type BootOptions, type MachineConfig } from "./config.js";
import type { Connect } from "./hosts/connection.js";
import type { Image } from "./image.js";
import { Machine } from "./machine.js";
import { checkSnapshot, isSnapshot, type Snapshot } from "./snapshot.js";
import { malformed } from "./units.js";

/**
 * Powers a machine on and resolves while it boots: wait for its prompt to talk to it.
 * @throws MachineError for whatever is wrong with the source or the options
 */
export type Boot = (source: Image | MachineConfig | Snapshot, options?: BootOptions) => Promise<Machine>;

/** `boot` over one way of reaching a machine server. */
export function bootOver(connect: Connect): Boot {
  return async (source, options = {}) => {
    if (typeof source !== "object" || (source as unknown) === null) {
      throw malformed("source", source, "an image, a config or a snapshot");
    }
    const kind: unknown = "kind" in source ? source.kind : undefined;
    if (kind === "terrarium-files") {
      throw malformed("source", kind, "a machine's snapshot: boot() of @terrarium/container takes a container's");
    }
    return isSnapshot(source)
      ? await fromSnapshot(connect, source, options)
      : await fromParts(connect, source, options);
  };
}

async function fromSnapshot(connect: Connect, snapshot: Snapshot, options: BootOptions): Promise<Machine> {
  checkSnapshot(snapshot);
  const given = Object.keys(options).filter((name) => name !== "engine");
  if (given.length > 0) {
    throw malformed(given.join(", "), undefined, "left out: a snapshot brings its own configuration");
  }
  const engine = resolveEngine(options);
  const { name, agent, reportsEnd = false, bytes, startup } = snapshot;
  // What fed its program has ended with the session before.
  const takesInput = false;
  return await Machine.start(connect(), { name, agent, reportsEnd, takesInput }, (server, events) =>
    server.restore({ bytes, startup }, engine, events),
  );
}

async function fromParts(connect: Connect, source: Image | MachineConfig, options: BootOptions): Promise<Machine> {
  const config: MachineConfig = { ...source, ...options };
  const resolved = resolveConfig(config);
  const { name = "this guest", agent = false, reportsEnd = false, takesInput = false } = config;
  const identity = { name, agent, reportsEnd, takesInput };
  return await Machine.start(connect(), identity, (server, events) => server.start(resolved, events));
}

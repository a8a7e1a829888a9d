/** Containers on the host's own kernel, with the face of a machine. Linux only. */

import { malformed } from "@terrarium/machine/guest-kit";
import { resolveConfig, type ContainerConfig, type ContainerOptions } from "./config.js";
import { Container } from "./container.js";
import { helper } from "./helper.js";

export type { ContainerConfig, ContainerOptions, Network, Port, Volume } from "./config.js";
export type { Container, ContainerStats } from "./container.js";

/**
 * Starts a container and resolves when its program runs.
 * @throws MachineError for whatever is wrong with the source, the options or the host
 */
export async function boot(source: ContainerConfig, options: ContainerOptions = {}): Promise<Container> {
  if (typeof source !== "object" || (source as unknown) === null) throw malformed("source", source, "a config");
  return await Container.start(helper(), resolveConfig({ ...source, ...options }));
}

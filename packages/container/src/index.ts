/** Containers on the host's own kernel, with the face of a machine. Linux only. */

import { malformed } from "@terrarium/machine/guest-kit";
import { resolveConfig, type ContainerConfig, type ContainerOptions } from "./config.js";
import { Container } from "./container.js";
import { helper } from "./helper.js";
import { oci, prepare, type OciImage } from "./image/boot.js";

export type { ContainerConfig, ContainerOptions, Network, Port, User, Volume, Writes } from "./config.js";
export type { Container, ContainerProcess, ContainerStats, ExecOptions, Output } from "./container.js";
export { oci, type OciImage } from "./image/boot.js";
export type { Collected } from "./image/collect.js";
export type { HistoryEntry, ImageConfig, ImageDefaults, Platform } from "./image/format/documents.js";
export type { Progress } from "./image/image.js";
export {
  Images,
  type Change,
  type ImageSummary,
  type ImportOptions,
  type MakeOptions,
  type PlatformOptions,
} from "./image/images.js";
export type { Credentials } from "./image/registry/client.js";
export type { RegistryOptions } from "./image/registry/transfer.js";
export { hasRegistry } from "./image/format/reference.js";
export { defaultStore } from "./image/store.js";

/**
 * Starts a container and resolves when its program runs. A text is an image, as `oci()` takes it.
 * @throws MachineError for whatever is wrong with the source, the options or the host
 */
export async function boot(
  source: ContainerConfig | OciImage | string,
  options: ContainerOptions = {},
): Promise<Container> {
  if (typeof source === "string") return await bootImage(oci(source), options);
  if (typeof source !== "object" || (source as unknown) === null) throw malformed("source", source, "a config");
  if ("image" in source) return await bootImage(source, options);
  return await Container.start(helper(), resolveConfig({ ...source, ...options }));
}

async function bootImage(source: OciImage, options: ContainerOptions): Promise<Container> {
  const { config, hold } = await prepare(source, options);
  try {
    const container = await Container.start(helper(), resolveConfig(config));
    void container.exited.then(() => hold[Symbol.asyncDispose]());
    return container;
  } catch (error) {
    await hold[Symbol.asyncDispose]();
    throw error;
  }
}

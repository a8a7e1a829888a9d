/** Containers on the host's own kernel, with the face of a machine. Linux only. */

import type { Machine } from "@terrarium/machine";
import { malformed } from "@terrarium/machine/guest-kit";
import { resolveConfig, type ContainerConfig, type ContainerOptions } from "./config.js";
import { Container } from "./container.js";
import { helper } from "./helper.js";
import { oci, prepare, type OciImage } from "./image/boot.js";
import { bootMachine } from "./image/machine/boot.js";
import { unsupported } from "./image/machine/options.js";

export type { ContainerConfig, ContainerOptions, Network, Port, User, Volume, Writes } from "./config.js";
export type { AsUser, Container, ContainerProcess, ContainerStats, ExecOptions, Output } from "./container.js";
export { copyFromGuest, copyToGuest, type CopyEnd, type CopyOptions } from "./copy.js";
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

/** What keeps a guest apart: namespaces of the host's kernel, or a machine with a kernel of its own. */
export type Isolation = "container" | "machine";

/** What is booted, and what as. */
export interface IsolationOptions<Kind extends Isolation = Isolation> extends ContainerOptions {
  /** `"container"` where nobody says. An image is also booted as a `"machine"`, which has no use for some of the options. */
  readonly isolation?: Kind;
}

/**
 * Starts a container and resolves when its program runs; or a machine, and resolves while it boots. A text is an image,
 * as `oci()` takes it.
 * @throws MachineError for whatever is wrong with the source, the options or the host
 */
export function boot(
  source: OciImage | string,
  options: IsolationOptions<"machine"> & { readonly isolation: "machine" },
): Promise<Machine>;
export function boot(
  source: ContainerConfig | OciImage | string,
  options?: IsolationOptions<"container">,
): Promise<Container>;
export function boot(
  source: ContainerConfig | OciImage | string,
  options?: IsolationOptions,
): Promise<Container | Machine>;
export async function boot(
  source: ContainerConfig | OciImage | string,
  { isolation = "container", ...options }: IsolationOptions = {},
): Promise<Container | Machine> {
  if (!["container", "machine"].includes(isolation)) {
    throw malformed("isolation", isolation, "one of container, machine");
  }
  if (typeof source === "string") return await boot(oci(source), { isolation, ...options });
  if (typeof source !== "object" || (source as unknown) === null) throw malformed("source", source, "a config");
  if ("image" in source) return await (isolation === "machine" ? bootMachine : bootImage)(source, options);
  if (isolation === "machine") throw unsupported("a directory as a machine's root");
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

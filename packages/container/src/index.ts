/** Containers on the host's own kernel, with the face of a machine. Linux only. */

import type { Machine } from "@terrarium/machine";
import { damaged, isSnapshot, malformed } from "@terrarium/machine/guest-kit";
import { resolveConfig, type ContainerConfig, type ContainerOptions } from "./config.js";
import { Container } from "./container.js";
import { helper, type SavedLayer } from "./helper.js";
import { oci, prepare, type OciImage } from "./image/boot.js";
import { bootMachine } from "./image/machine/boot.js";
import { notOfMachines } from "./image/machine/options.js";
import {
  asDamaged,
  checkFilesSnapshot,
  directoryOrigin,
  imageOrigin,
  isFilesSnapshot,
  sharedOptions,
  withArchive,
  type FilesSnapshot,
} from "./snapshot.js";

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
export type { FilesSnapshot } from "./snapshot.js";

/** What keeps a guest apart: namespaces of the host's kernel, or a machine with a kernel of its own. */
export type Isolation = "container" | "machine";

/** What is booted, and what as. */
export interface IsolationOptions<Kind extends Isolation = Isolation> extends ContainerOptions {
  /** `"container"` where nobody says. An image is also booted as a `"machine"`, which has no use for some of the options. */
  readonly isolation?: Kind;
}

/**
 * Starts a container and resolves when its program runs; or a machine, and resolves while it boots. A text is an image,
 * as `oci()` takes it; a snapshot brings its options, of which those given here take the place.
 * @throws MachineError for whatever is wrong with the source, the options or the host
 */
export function boot(
  source: OciImage | string,
  options: IsolationOptions<"machine"> & { readonly isolation: "machine" },
): Promise<Machine>;
export function boot(
  source: ContainerConfig | OciImage | FilesSnapshot | string,
  options?: IsolationOptions<"container">,
): Promise<Container>;
export function boot(
  source: ContainerConfig | OciImage | FilesSnapshot | string,
  options?: IsolationOptions,
): Promise<Container | Machine>;
export async function boot(
  source: ContainerConfig | OciImage | FilesSnapshot | string,
  { isolation = "container", ...options }: IsolationOptions = {},
): Promise<Container | Machine> {
  if (!["container", "machine"].includes(isolation)) {
    throw malformed("isolation", isolation, "one of container, machine");
  }
  if (typeof source === "string") return await boot(oci(source), { isolation, ...options });
  if (typeof source !== "object" || (source as unknown) === null) throw malformed("source", source, "a config");
  if (isSnapshot(source)) {
    throw malformed("source", source.kind, "a container's snapshot: boot() of @terrarium/machine takes a machine's");
  }
  if (isFilesSnapshot(source)) {
    if (isolation === "machine") throw notOfMachines("a container's snapshot as a machine");
    return await bootSnapshot(source, options);
  }
  if ("image" in source && isolation === "machine") return await bootMachine(source, options);
  if (isolation === "machine") throw notOfMachines("a directory as a machine's root");
  return await bootContainer(source, options);
}

async function bootSnapshot(snapshot: FilesSnapshot, options: ContainerOptions): Promise<Container> {
  checkFilesSnapshot(snapshot);
  const { source, files, layers } = snapshot;
  // Its options are in one place, whatever else it says.
  const parts = "image" in source ? source : { rootfs: source.rootfs, lowers: source.lowers ?? [] };
  const all = { ...sharedOptions(snapshot.options), ...options };
  if (all.writes === "directory") throw malformed("writes", all.writes, '"memory", "none" or a layer for a snapshot');
  try {
    return await withArchive(files, (saved) => bootContainer(parts, all, saved, layers));
  } catch (error) {
    throw asDamaged(error);
  }
}

async function bootContainer(
  source: ContainerConfig | OciImage,
  options: ContainerOptions,
  saved?: SavedLayer,
  layers?: string,
): Promise<Container> {
  if ("image" in source) return await bootImage(source, options, saved, layers);
  const config = resolveConfig({ ...source, ...options });
  return await Container.start(helper(), config, directoryOrigin(source, { ...source, ...options }), saved);
}

async function bootImage(
  source: OciImage,
  options: ContainerOptions,
  saved?: SavedLayer,
  wanted?: string,
): Promise<Container> {
  const { config, layers, hold } = await prepare(source, options);
  try {
    if (wanted !== undefined && wanted !== layers) {
      const reason = `the image ${source.image} has other layers than when it was taken`;
      throw damaged(reason, "boot it where the image is still the same");
    }
    const origin = imageOrigin(source, options, layers);
    const container = await Container.start(helper(), resolveConfig(config), origin, saved);
    void container.exited.then(() => hold[Symbol.asyncDispose]());
    return container;
  } catch (error) {
    await hold[Symbol.asyncDispose]();
    throw error;
  }
}

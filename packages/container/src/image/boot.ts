/** A container's config from an image: its layers, and what it says of how it is to run. */

import { join } from "node:path";
import { malformed } from "@terrarium/machine/guest-kit";
import type { ContainerConfig, ContainerOptions } from "../config.js";
import { holdLayers } from "./collect.js";
import type { ImageDefaults } from "./format/documents.js";
import { parsePlatformName, platformOf } from "./format/platform.js";
import { parsePlace, wrong } from "./format/reference.js";
import { openImage, type OpenedImage } from "./image.js";
import { chainsOf, unpackLayers } from "./layers.js";
import { Store } from "./store.js";
import { withImagesAt } from "./transport.js";

/** An OCI image to boot. Plain data. */
export interface OciImage {
  /** The name of an image in the store, or `oci:DIRECTORY:TAG`, `oci-archive:FILE`, `docker-archive:FILE`. */
  readonly image: string;
  /** The store that has it, or into which its layers are unpacked; this user's where absent. */
  readonly store?: string;
  /** Such as `linux/386`; the host's where absent. */
  readonly platform?: string;
}

/** An OCI image by its name or place, for `boot()`. */
export function oci(image: string, options: Omit<OciImage, "image"> = {}): OciImage {
  return { image, ...options };
}

/** A config, what names its layers, and what keeps its layers until it is disposed. */
export interface Prepared {
  readonly config: ContainerConfig;
  readonly layers: string;
  readonly hold: AsyncDisposable;
}

/** Unpacks what is not unpacked yet, and makes a config of the image and `options`. */
export async function prepare(source: OciImage, options: ContainerOptions): Promise<Prepared> {
  const store = await Store.open(source.store);
  return await store.use(() =>
    withImage(store, source, async (image) => {
      const [rootfs = "", ...lowers] = await unpackLayers(store, image);
      const config = { ...options, rootfs, lowers, ...defaultsFor(image.config.defaults, options) };
      const layers = chainsOf(image.config.diffIds).at(-1) ?? "";
      return { config, layers, hold: await holdLayers(store, image.config.diffIds) };
    }),
  );
}

/** Has `use` read the image. Call it while the store is in use. */
export async function withImage<T>(
  store: Store,
  source: OciImage,
  use: (image: OpenedImage) => Promise<T>,
): Promise<T> {
  const wanted = source.platform === undefined ? platformOf(process.arch) : parsePlatformName(source.platform);
  const place = parsePlace(source.image);
  if (place === undefined) {
    const { descriptor } = await store.find(source.image);
    return await use(await openImage(store.blobs, descriptor, wanted));
  }
  return await withImagesAt(store, place, async ([found, ...others]) => {
    if (found === undefined) throw wrong(source.image, "there is no image");
    if (others.length > 0) throw wrong(source.image, "there are several images: say which behind another colon");
    return await use(await openImage(found.source, found.descriptor, wanted));
  });
}

/** What of an image's configuration holds where the caller says nothing. */
export function defaultsFor(image: ImageDefaults, options: ContainerOptions): Partial<ContainerOptions> {
  const entrypoint = options.entrypoint ?? image.entrypoint;
  const command = options.command ?? (options.entrypoint === undefined ? image.command : []);
  if (entrypoint.length + command.length === 0) {
    throw malformed("command", undefined, "a program and its arguments, because the image names none");
  }
  const user = options.user ?? image.user;
  const stopSignal = options.stopSignal ?? image.stopSignal;
  return {
    entrypoint,
    command,
    env: { ...image.env, ...options.env },
    cwd: join("/", options.cwd ?? image.workingDirectory),
    ...(user === "" ? {} : { user }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
  };
}

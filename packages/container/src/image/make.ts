/** New images: from a directory, and from what a container has changed. */

import { createReadStream } from "node:fs";
import { join } from "node:path";
import { perform } from "../work.js";
import { Meter } from "./blobs.js";
import { gzipped } from "./compression.js";
import type { Digest } from "./format/digest.js";
import { MEDIA, writeConfig, type Descriptor, type ImageConfig, type ImageDefaults } from "./format/documents.js";
import { platformOf } from "./format/platform.js";
import type { OpenedImage } from "./image.js";
import type { Store } from "./store.js";

/** What an image says of itself. */
export interface Authorship {
  readonly author?: string;
  /** What the history says of the step. */
  readonly comment?: string;
  /** When, as in ISO 8601; now where absent. With the same time the same files make the same image. */
  readonly created?: string;
}

const NO_DEFAULTS: ImageDefaults = {
  entrypoint: [],
  command: [],
  env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  user: "",
  workingDirectory: "",
  volumes: [],
  exposedPorts: [],
  labels: {},
};

/** An image of one layer, the files below `directory`; devices and sockets among them are left out. */
export async function makeImage(
  store: Store,
  directory: string,
  defaults: Partial<ImageDefaults>,
  authorship: Authorship,
): Promise<Descriptor> {
  const config: ImageConfig = {
    platform: platformOf(process.arch),
    defaults: { ...NO_DEFAULTS, ...defaults },
    diffIds: [],
    history: [],
  };
  return await addLayer(store, directory, { config, layers: [] }, { comment: "terrarium: a directory", ...authorship });
}

/** `image` with what lies in `directory`, an overlay's writable layer, on top: only the differences are stored. */
export async function commitLayer(
  store: Store,
  image: OpenedImage,
  directory: string,
  defaults: Partial<ImageDefaults>,
  authorship: Authorship,
): Promise<Descriptor> {
  const config = { ...image.config, defaults: { ...image.config.defaults, ...defaults } };
  for (const layer of image.manifest.layers) await store.blobs.write(layer, image.source.read(layer));
  const base = { config, layers: image.manifest.layers };
  return await addLayer(store, directory, base, { comment: "terrarium commit", ...authorship });
}

async function addLayer(
  store: Store,
  directory: string,
  { config, layers }: { readonly config: ImageConfig; readonly layers: readonly Descriptor[] },
  { author, comment, created = new Date().toISOString() }: Authorship,
): Promise<Descriptor> {
  const { layer, diffId } = await store.temporarily(async (temporary) => {
    const file = join(temporary, "layer.tar");
    await perform({ kind: "pack", directory, file });
    const meter = new Meter();
    const added = await store.blobs.add(MEDIA.gzipLayer, gzipped(meter.through(createReadStream(file))));
    return { layer: added, diffId: meter.digest() };
  });
  const extended: ImageConfig = {
    ...config,
    created,
    ...(author === undefined ? {} : { author }),
    diffIds: [...config.diffIds, diffId satisfies Digest],
    history: [
      ...config.history,
      { created, createdBy: "terrarium", ...(comment === undefined ? {} : { comment }), emptyLayer: false },
    ],
  };
  const written = await store.blobs.addDocument(MEDIA.config, writeConfig(extended));
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: written, layers: [...layers, layer] };
  return { ...(await store.blobs.addDocument(MEDIA.manifest, manifest)), platform: config.platform };
}

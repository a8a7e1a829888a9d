/** New images: from a directory, and from what a container has changed. */

import { createReadStream } from "node:fs";
import { join } from "node:path";
import { PATH } from "../oci.js";
import { perform } from "../work.js";
import { Meter } from "./blobs.js";
import { gzipped } from "./compression.js";
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
  env: { PATH },
  user: "",
  workingDirectory: "",
  volumes: [],
  exposedPorts: [],
  labels: {},
};

/** An image of one layer, the files in a tar archive. */
export async function makeImage(
  store: Store,
  archive: AsyncIterable<Uint8Array>,
  defaults: Partial<ImageDefaults>,
  authorship: Authorship,
): Promise<Descriptor> {
  const config: ImageConfig = {
    platform: platformOf(process.arch),
    defaults: { ...NO_DEFAULTS, ...defaults },
    diffIds: [],
    history: [],
  };
  return await addLayer(store, archive, { config, layers: [] }, authorship);
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
  return await withArchiveOf(store, directory, (archive) => addLayer(store, archive, base, authorship));
}

/** Calls `use` with an archive of what is below `directory`; devices and sockets are left out. */
export async function withArchiveOf<T>(
  store: Store,
  directory: string,
  use: (archive: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  return await store.temporarily(async (temporary) => {
    const file = join(temporary, "layer.tar");
    await perform({ kind: "pack", directory, file });
    return await use(createReadStream(file));
  });
}

async function addLayer(
  store: Store,
  archive: AsyncIterable<Uint8Array>,
  { config, layers }: { readonly config: ImageConfig; readonly layers: readonly Descriptor[] },
  { author, comment, created = new Date().toISOString() }: Authorship,
): Promise<Descriptor> {
  const meter = new Meter();
  const layer = await store.blobs.add(MEDIA.gzipLayer, gzipped(meter.through(archive)));
  const extended: ImageConfig = {
    ...config,
    created,
    ...(author === undefined ? {} : { author }),
    diffIds: [...config.diffIds, meter.digest()],
    history: [
      ...config.history,
      { created, createdBy: "terrarium", ...(comment === undefined ? {} : { comment }), emptyLayer: false },
    ],
  };
  const written = await store.blobs.addDocument(MEDIA.config, writeConfig(extended));
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: written, layers: [...layers, layer] };
  return { ...(await store.blobs.addDocument(MEDIA.manifest, manifest)), platform: config.platform };
}

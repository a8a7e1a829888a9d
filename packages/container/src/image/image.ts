/** One image: its manifest, its configuration, and where its blobs are. */

import { readDocument, type BlobDirectory, type BlobSource } from "./blobs.js";
import {
  isIndex,
  isManifest,
  parseConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  type ImageConfig,
  type Manifest,
  type Platform,
} from "./format/documents.js";
import { invalid } from "./format/json.js";
import { choose, foreign, platformOf, runsOn } from "./format/platform.js";

/** Indexes in indexes. */
const MAX_INDEX_DEPTH = 4;

/** An image whose documents have been read. */
export interface OpenedImage {
  readonly source: BlobSource;
  /** Leads to the manifest. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/**
 * Reads an image's documents; of an index, those of the image for `wanted`.
 * @throws MachineError `IMAGE_INVALID`, `BLOB_MISSING`, `BLOB_CORRUPT`, `PLATFORM_MISSING`
 */
export async function openImage(
  source: BlobSource,
  descriptor: Descriptor,
  wanted: Platform = platformOf(process.arch),
): Promise<OpenedImage> {
  let current = descriptor;
  for (let depth = 0; isIndex(current); depth += 1) {
    if (depth === MAX_INDEX_DEPTH) throw invalid("image index", "it leads to ever more indexes");
    current = choose(parseIndex(await readDocument(source, current)).manifests, wanted);
  }
  if (!isManifest(current)) throw invalid("image", `${current.mediaType} is no manifest`);
  const manifest = parseManifest(await readDocument(source, current));
  const config = parseConfig(await readDocument(source, manifest.config));
  if (config.diffIds.length !== manifest.layers.length) {
    throw invalid(
      "image",
      `its manifest has ${manifest.layers.length} layers, its configuration ${config.diffIds.length}`,
    );
  }
  if (!runsOn(wanted, config.platform)) throw foreign(wanted, [config.platform]);
  return { source, descriptor: { ...current, platform: config.platform }, manifest, config };
}

/** What became of a blob on its way. */
export interface Progress {
  readonly digest: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** How something is copied. */
export interface CopyOptions {
  /** Called as bytes come. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Copies the blobs of an image: layers first, so that what refers to others is there last. */
export async function copyImage(image: OpenedImage, to: BlobDirectory, options: CopyOptions = {}): Promise<void> {
  const { source, manifest, descriptor } = image;
  for (const blob of [...manifest.layers, manifest.config, descriptor]) {
    await to.write(blob, reported(blob, source.read(blob), options));
  }
}

/** Passes the chunks of a blob on and reports them. */
export async function* reported(
  { digest, size }: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
  { onProgress }: CopyOptions,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    onProgress?.({ digest, bytes, totalBytes: size });
    yield chunk;
  }
}

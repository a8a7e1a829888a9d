/** Images: the face of the store. */

import { basename, extname } from "node:path";
import { isFull } from "../disk.js";
import { perform } from "../work.js";
import { collectGarbage, type Collected } from "./collect.js";
import type { HistoryEntry, ImageConfig, ImageDefaults } from "./format/documents.js";
import { parsePlatformName, platformOf } from "./format/platform.js";
import { formatReference, parsePlace, parseReference, wrong, type Place } from "./format/reference.js";
import { copyImage, openImage, type CopyOptions, type OpenedImage } from "./image.js";
import { unpackLayers } from "./layers.js";
import { decompressed } from "./compression.js";
import { commitLayer, makeImage, withArchiveOf, type Authorship } from "./make.js";
import { pullImage, pushImage, type RegistryOptions } from "./registry/transfer.js";
import { Store } from "./store.js";
import { withImagesAt, writeTo } from "./transport.js";

/** What a store says of an image. */
export interface ImageSummary {
  readonly name: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** Bytes of its layers as they are stored. */
  readonly size: number;
  readonly config: ImageConfig;
}

/** Which of several platforms is meant. */
export interface PlatformOptions {
  /** Such as `linux/arm64`; the host's where absent. */
  readonly platform?: string;
}

/** How images are taken in. */
export interface ImportOptions extends CopyOptions, PlatformOptions {
  /** What the image is to be called; what it is called there, where absent. */
  readonly name?: string;
}

/** What a new image is to be. */
export interface MakeOptions extends Authorship {
  /** What the image is to be called. */
  readonly name: string;
  /** What its containers run, and how; what the image below says where absent. */
  readonly defaults?: Partial<ImageDefaults>;
}

/** A path that a container has changed. */
export interface Change {
  readonly kind: "added" | "changed" | "deleted";
  readonly path: string;
}

/** The images of a store. */
export class Images {
  readonly #store: Store;

  private constructor(store: Store) {
    this.#store = store;
  }

  /** The store in `directory`; that of this user where absent. */
  static async open(directory?: string): Promise<Images> {
    return new Images(await Store.open(directory));
  }

  /** Where it is. */
  get directory(): string {
    return this.#store.directory;
  }

  /** All images by name. */
  async list(): Promise<ImageSummary[]> {
    return await this.#use(async () => {
      const entries = await this.#store.entries();
      return await Promise.all(entries.map(async ({ name }) => await this.#summary(name)));
    });
  }

  /** One image. */
  async inspect(reference: string): Promise<ImageSummary> {
    return await this.#use(() => this.#summary(reference));
  }

  /** How an image came about, oldest step first. */
  async history(reference: string): Promise<readonly HistoryEntry[]> {
    return (await this.inspect(reference)).config.history;
  }

  /**
   * Takes in the images at `place`, such as `oci:DIRECTORY:TAG`, `oci-archive:FILE` or `docker-archive:FILE`; resolves
   * with what they are called.
   */
  async import(place: string, options: ImportOptions = {}): Promise<string[]> {
    const store = this.#store;
    const parsed = parsePlace(place);
    if (parsed === undefined) throw wrong(place, "it begins with none of oci:, oci-archive:, docker-archive:");
    return await this.#use(() =>
      withImagesAt(store, parsed, async (found) => {
        if (options.name !== undefined && found.length > 1) throw wrong(place, "there are several images");
        const names: string[] = [];
        for (const { source, descriptor, name } of found) {
          const called = nameFor(options.name ?? localName(parsed, name), place);
          const image = await openImage(source, descriptor, wantedPlatform(options));
          await copyImage(image, store.blobs, options);
          names.push((await store.name(called, image.descriptor)).name);
        }
        return names;
      }),
    );
  }

  /** Writes an image to `place`. */
  async export(reference: string, place: string): Promise<void> {
    const parsed = parsePlace(place);
    if (parsed === undefined) throw wrong(place, "it begins with none of oci:, oci-archive:, docker-archive:");
    await this.#use(async () => {
      const { name } = await this.#store.find(reference);
      await writeTo(this.#store, await this.#open(reference), parsed, name);
    });
  }

  /** Fetches an image from its registry. */
  async pull(reference: string, options: RegistryOptions & PlatformOptions = {}): Promise<ImageSummary> {
    const parsed = parseReference(reference);
    return await this.#use(async () => {
      const descriptor = await pullImage(this.#store, parsed, wantedPlatform(options), options);
      await this.#store.name(formatReference(parsed), descriptor);
      return await this.#summary(reference);
    });
  }

  /** Sends an image to its registry. */
  async push(reference: string, options: RegistryOptions = {}): Promise<void> {
    const parsed = parseReference(reference);
    await this.#use(async () => {
      await pushImage(await this.#open(reference), parsed, options);
    });
  }

  /** Gives an image another name, too. */
  async tag(reference: string, name: string): Promise<void> {
    await this.#use(async () => {
      const { descriptor } = await this.#store.find(reference);
      await this.#store.name(formatReference(parseReference(name)), descriptor);
    });
  }

  /** Takes its name from an image, and throws out what then nobody needs. */
  async remove(reference: string): Promise<Collected> {
    const { name } = await this.#store.find(reference);
    await this.#store.forget(name);
    return await this.collect();
  }

  /** Throws out what no image and no container needs. */
  async collect(): Promise<Collected> {
    return await collectGarbage(this.#store);
  }

  /** Makes an image of one layer from a directory. */
  async fromDirectory(directory: string, options: MakeOptions): Promise<ImageSummary> {
    return await this.#use(() =>
      withArchiveOf(this.#store, directory, (archive) => this.#make(archive, { comment: "a directory", ...options })),
    );
  }

  /** Makes an image of one layer from a tar archive, compressed or not. */
  async fromArchive(archive: AsyncIterable<Uint8Array>, options: MakeOptions): Promise<ImageSummary> {
    return await this.#use(() => this.#make(decompressed(archive), { comment: "an archive", ...options }));
  }

  async #make(archive: AsyncIterable<Uint8Array>, options: MakeOptions): Promise<ImageSummary> {
    const called = nameFor(options.name, "an archive");
    const descriptor = await makeImage(this.#store, archive, options.defaults ?? {}, options);
    const named = await this.#store.name(called, descriptor);
    try {
      // Whether it is one, and harmless, is known when it is unpacked.
      await unpackLayers(this.#store, await this.#open(called));
    } catch (error) {
      await this.#store.forget(named.name);
      throw error;
    }
    return await this.#summary(called);
  }

  /** Makes an image from another and the differences in `layer`, as `writes: { layer }` of a container has kept them. */
  async commit(reference: string, layer: string, options: MakeOptions): Promise<ImageSummary> {
    const called = nameFor(options.name, layer);
    return await this.#use(async () => {
      const image = await this.#open(reference);
      const upper = `${layer}/upper`;
      const descriptor = await commitLayer(this.#store, image, upper, options.defaults ?? {}, options);
      await this.#store.name(called, descriptor);
      return await this.#summary(called);
    });
  }

  /** What `layer` changes of an image. */
  async diff(reference: string, layer: string): Promise<Change[]> {
    return await this.#use(async () => {
      const lowers = await unpackLayers(this.#store, await this.#open(reference));
      return JSON.parse(await perform({ kind: "diff", directory: `${layer}/upper`, lowers })) as Change[];
    });
  }

  /** Removes the directory of a layer, whatever modes are in it. */
  async removeLayer(layer: string): Promise<void> {
    await perform({ kind: "remove", directory: layer });
  }

  /** Uses the store. Where it runs full, what nothing has come to refer to goes again. */
  async #use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#store.use(work);
    } catch (error) {
      if (isFull(error)) await this.collect().catch(() => undefined);
      throw error;
    }
  }

  async #open(reference: string): Promise<OpenedImage> {
    const { descriptor } = await this.#store.find(reference);
    return await openImage(this.#store.blobs, descriptor, descriptor.platform ?? platformOf(process.arch));
  }

  async #summary(reference: string): Promise<ImageSummary> {
    const { name } = await this.#store.find(reference);
    const { descriptor, manifest, config } = await this.#open(reference);
    const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
    return { name, digest: descriptor.digest, size, config };
  }
}

function wantedPlatform({ platform }: PlatformOptions): ReturnType<typeof platformOf> {
  return platform === undefined ? platformOf(process.arch) : parsePlatformName(platform);
}

/** What an image outside is called in the store: a layout's tag alone says little without the layout's name. */
function localName({ transport, path }: Place, name: string | undefined): string | undefined {
  if (transport === "docker-archive" || (name !== undefined && /[:/]/.test(name))) return name;
  return `${basename(path, extname(path)).toLowerCase()}:${name ?? "latest"}`;
}

/** The name an image gets in the store. */
function nameFor(name: string | undefined, from: string): string {
  if (name === undefined) throw wrong(from, "the image has no name there: say what it is to be called");
  return formatReference(parseReference(name));
}

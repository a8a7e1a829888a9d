/** Images from and to a registry (OCI distribution specification, "Pull" and "Push"). */

import { createHash } from "node:crypto";
import { collect, corrupt, one, verified, type BlobSource } from "../blobs.js";
import { partsOf } from "../format/digest.js";
import { isIndex, isManifest, MEDIA, type Descriptor, type Platform } from "../format/documents.js";
import { parseJson } from "../format/json.js";
import { wrong, formatReference, type Reference } from "../format/reference.js";
import { copyImage, openImage, reported, type CopyOptions, type OpenedImage } from "../image.js";
import type { Store } from "../store.js";
import { RegistryClient, type ClientOptions } from "./client.js";

/** How images are fetched and sent. */
export interface RegistryOptions extends ClientOptions, CopyOptions {}

const MANIFESTS = [MEDIA.index, MEDIA.manifest, MEDIA.dockerIndex, MEDIA.dockerManifest];
/** How often a download goes on where it was cut off, without a byte in between. */
const RESUMES = 5;

/** Fetches what `store` has not; the manifest for `wanted`. */
export async function pullImage(
  store: Store,
  reference: Reference,
  wanted: Platform,
  options: RegistryOptions,
): Promise<Descriptor> {
  const source = new RegistrySource(clientFor(reference, options), reference.repository);
  const image = await openImage(source, await source.describe(reference), wanted);
  await copyImage(image, store.blobs, options);
  return image.descriptor;
}

/** Sends what the registry has not, and gives it its tag. */
export async function pushImage(image: OpenedImage, reference: Reference, options: RegistryOptions): Promise<void> {
  const client = clientFor(reference, options);
  const { repository, tag } = reference;
  for (const blob of [...image.manifest.layers, image.manifest.config]) {
    const known = await client.call(`${repository}/blobs/${blob.digest}`, { method: "HEAD", accept: [404] });
    if (known.status === 404) await client.retried(() => upload(client, image, repository, blob, options));
    else options.onProgress?.({ digest: blob.digest, bytes: blob.size, totalBytes: blob.size });
  }
  const manifest = await collect(image.source.read(image.descriptor));
  await client.call(`${repository}/manifests/${reference.digest ?? tag}`, {
    method: "PUT",
    headers: { "content-type": image.descriptor.mediaType },
    body: () => manifest,
  });
}

function clientFor(reference: Reference, options: RegistryOptions): RegistryClient {
  if (reference.registry === undefined) {
    throw wrong(formatReference(reference), "it says no registry, as in registry.example:5000/name");
  }
  return new RegistryClient(reference.registry, options);
}

async function upload(
  client: RegistryClient,
  { source }: OpenedImage,
  repository: string,
  blob: Descriptor,
  options: RegistryOptions,
): Promise<void> {
  const begun = await client.call(`${repository}/blobs/uploads/`, { method: "POST", once: true });
  const location = new URL(begun.headers.get("location") ?? "", begun.url);
  location.searchParams.set("digest", blob.digest);
  await client.call(location, {
    method: "PUT",
    once: true,
    headers: { "content-type": "application/octet-stream", "content-length": String(blob.size) },
    body: () => reported(blob, source.read(blob), options),
  });
}

/** The blobs of a repository. */
class RegistrySource implements BlobSource {
  readonly #client: RegistryClient;
  readonly #repository: string;

  constructor(client: RegistryClient, repository: string) {
    this.#client = client;
    this.#repository = repository;
  }

  /** What the registry has by that name. */
  async describe({ tag, digest }: Reference): Promise<Descriptor> {
    const response = await this.#manifest(digest ?? tag);
    const bytes = await this.#client.document(response);
    const algorithm = digest === undefined ? "sha256" : partsOf(digest).algorithm;
    const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}` as const;
    if (digest !== undefined && actual !== digest) throw corrupt(digest, `its contents hash to ${actual}`);
    const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
    const mediaType = parseJson(bytes, "manifest").text("mediaType") ?? type;
    return { mediaType, digest: actual, size: bytes.length };
  }

  async *read(descriptor: Descriptor): AsyncGenerator<Uint8Array, void> {
    if (isIndex(descriptor) || isManifest(descriptor)) {
      const bytes = await this.#client.document(await this.#manifest(descriptor.digest));
      yield* verified(descriptor, one(bytes));
    } else {
      yield* verified(descriptor, this.#blob(descriptor));
    }
  }

  async #manifest(name: string): Promise<Response> {
    return await this.#client.call(`${this.#repository}/manifests/${name}`, {
      headers: { accept: MANIFESTS.join(", ") },
    });
  }

  /** A connection that breaks is made anew, and goes on behind the last byte. */
  async *#blob({ digest, size }: Descriptor): AsyncGenerator<Uint8Array, void> {
    let received = 0;
    for (let failures = 0; ;) {
      const range: Record<string, string> = received === 0 ? {} : { range: `bytes=${String(received)}-` };
      const response = await this.#client.call(`${this.#repository}/blobs/${digest}`, { headers: range });
      // Who does not know ranges begins at the beginning.
      let toSkip = response.status === 206 ? 0 : received;
      try {
        for await (const chunk of this.#client.chunks(response)) {
          const fresh = chunk.subarray(Math.min(toSkip, chunk.length));
          toSkip -= chunk.length - fresh.length;
          if (fresh.length === 0) continue;
          received += fresh.length;
          failures = 0;
          yield fresh;
        }
        if (received >= size || ++failures > RESUMES) return;
      } catch (error) {
        if (++failures > RESUMES) throw error;
      }
    }
  }
}

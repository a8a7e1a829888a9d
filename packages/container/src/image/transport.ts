/** Images in and out of a store: OCI layouts, archives of such, and the archives of `docker save`. */

import { createReadStream } from "node:fs";
import { mkdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { MachineError } from "@terrarium/machine";
import { messageOf } from "@terrarium/machine/guest-kit";
import { perform } from "../work.js";
import { BlobDirectory, collect, one, writeDurably } from "./blobs.js";
import { onDisk } from "../disk.js";
import { compressionOf, decompressed } from "./compression.js";
import { MEDIA, parseConfig, parseIndex, REF_NAME, type Descriptor } from "./format/documents.js";
import { invalid, MAX_DOCUMENT_BYTES, parseJson, type Fields } from "./format/json.js";
import { partsOf } from "./format/digest.js";
import type { Place } from "./format/reference.js";
import type { OpenedImage } from "./image.js";
import { LIMITS } from "./layers.js";
import { replaceFile, type Store } from "./store.js";

/** An image found outside of the store. */
export interface Found {
  readonly source: BlobDirectory;
  readonly descriptor: Descriptor;
  /** What it is called there. */
  readonly name?: string;
}

/** Calls `use` with the images at `place`; what had to be unpacked for that is gone afterwards. */
export async function withImagesAt<T>(
  store: Store,
  place: Place,
  use: (images: readonly Found[]) => Promise<T>,
): Promise<T> {
  const path = resolve(place.path);
  if (place.transport === "oci") return await use(named(await readLayout(path), place));
  return await store.temporarily(async (directory) => {
    const unpacked = join(directory, "archive");
    await mkdir(unpacked);
    await perform({ kind: "unpack", directory: unpacked, lowers: [], limits: LIMITS }, decompressed(readable(path)));
    const found =
      place.transport === "oci-archive" ? await readLayout(unpacked) : await readDockerArchive(unpacked, store);
    return await use(named(found, place));
  });
}

async function* readable(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* path === "/dev/stdin" ? process.stdin : createReadStream(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): unknown {
  if (error instanceof MachineError) return error;
  const reason = messageOf(error);
  return new MachineError("FILE_UNREADABLE", `${path} cannot be read: ${reason}.`, { source: path, reason });
}

/** The images of `found` that `place` means. */
function named(found: readonly Found[], { path, name }: Place): readonly Found[] {
  if (name === undefined) return found;
  const matching = found.filter((image) => image.name === name || image.name?.endsWith(`:${name}`) === true);
  if (matching.length > 0) return matching;
  const known = found.flatMap((image) => image.name ?? []).join(", ") || "none";
  const message = `There is no image ${name} in ${path}: there are ${known}.`;
  throw new MachineError("IMAGE_UNKNOWN", message, { image: name, known });
}

async function readLayout(directory: string): Promise<Found[]> {
  const read = async (name: string): Promise<Uint8Array> => {
    try {
      return await collect(createReadStream(join(directory, name), { end: MAX_DOCUMENT_BYTES }));
    } catch (error) {
      throw unreadable(join(directory, name), error);
    }
  };
  const version = parseJson(await read("oci-layout"), "oci-layout").needText("imageLayoutVersion");
  if (!version.startsWith("1.")) throw invalid("oci-layout", `version ${version} is none that there is`);
  const source = new BlobDirectory(directory);
  return parseIndex(await read("index.json")).manifests.map((descriptor) => {
    const name = descriptor.annotations?.[REF_NAME];
    return { source, descriptor, ...(name === undefined ? {} : { name }) };
  });
}

/** The blobs of a Docker archive go to the store: its manifest has to be made, from what the blobs turn out to be. */
async function readDockerArchive(directory: string, store: Store): Promise<Found[]> {
  const listed = await collect(fileIn(directory, "manifest.json")).catch((error: unknown) => {
    throw unreadable("manifest.json of the archive", error);
  });
  // It is a list, which documents are not.
  const wrapped = Buffer.concat([Buffer.from('{"images":'), listed, Buffer.from("}")]);
  const images: Found[] = [];
  for (const fields of parseJson(wrapped, "manifest.json").objects("images")) {
    const descriptor = await adoptDockerImage(directory, fields, store);
    const names = fields.texts("RepoTags");
    if (names.length === 0) images.push({ source: store.blobs, descriptor });
    for (const name of names) images.push({ source: store.blobs, descriptor, name });
  }
  return images;
}

async function adoptDockerImage(directory: string, fields: Fields, store: Store): Promise<Descriptor> {
  const { blobs } = store;
  const bytes = await collect(fileIn(directory, fields.needText("Config")));
  const { platform } = parseConfig(bytes);
  const config = await blobs.add(MEDIA.config, one(bytes));
  const layers: Descriptor[] = [];
  for (const layer of fields.texts("Layers")) {
    const added = await blobs.add(MEDIA.layer, fileIn(directory, layer));
    layers.push({ ...added, mediaType: await mediaTypeOf(blobs.path(added.digest)) });
  }
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers };
  return { ...(await blobs.addDocument(MEDIA.manifest, manifest)), platform };
}

/** The media type of the layer in a file, by how it begins. */
export async function mediaTypeOf(path: string): Promise<string> {
  const head = await collect(createReadStream(path, { end: 3 }));
  return { none: MEDIA.layer, gzip: MEDIA.gzipLayer, zstd: MEDIA.zstdLayer }[compressionOf(head)];
}

/** A file of an unpacked archive. It may be a link to another one, but not to anything else. */
async function* fileIn(directory: string, name: string): AsyncGenerator<Uint8Array, void> {
  const path = await realpath(join(directory, name)).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  if (!path.startsWith((await realpath(directory)) + sep)) {
    const reason = "it leads out of the archive";
    const message = `The archive is refused for ${JSON.stringify(name)}: ${reason}.`;
    throw new MachineError("ARCHIVE_REFUSED", message, { entry: name, reason });
  }
  yield* createReadStream(path);
}

/** Writes an image to `place`. An archive replaces one that was there, a layout gets one image more. */
export async function writeTo(store: Store, image: OpenedImage, place: Place, name: string): Promise<void> {
  const path = resolve(place.path);
  const calls = place.name ?? name;
  if (place.transport === "oci") {
    await writeLayout(image, path, calls);
    return;
  }
  await store.temporarily(async (directory) => {
    const contents = join(directory, "archive");
    await mkdir(contents);
    if (place.transport === "oci-archive") await writeLayout(image, contents, calls);
    else await writeDockerArchive(image, contents, calls);
    await rm(join(contents, "tmp"), { recursive: true, force: true });
    await replaceByArchive(contents, path);
  });
}

async function replaceByArchive(directory: string, path: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    await perform({ kind: "pack", directory, file: temporary });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw onDisk(error, `writing ${path}`);
  }
}

async function writeLayout(image: OpenedImage, directory: string, name: string): Promise<void> {
  try {
    await mkdir(join(directory, "blobs"), { recursive: true });
    await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    const target = new BlobDirectory(directory);
    for (const blob of [...image.manifest.layers, image.manifest.config, image.descriptor]) {
      await target.write(blob, image.source.read(blob));
    }
    const existing = await readFile(join(directory, "index.json")).catch(() => undefined);
    const others = existing === undefined ? [] : parseIndex(existing).manifests;
    const kept = others.filter(({ annotations }) => annotations?.[REF_NAME] !== name);
    const manifests = [...kept, { ...image.descriptor, annotations: { [REF_NAME]: name } }];
    const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
    await replaceFile(directory, "index.json", JSON.stringify(index));
    await rm(join(directory, "tmp"), { recursive: true, force: true });
  } catch (error) {
    throw onDisk(error, `writing ${directory}`);
  }
}

/** `docker load` and others want layers as they are unpacked, named by what they hash to. */
async function writeDockerArchive(image: OpenedImage, directory: string, name: string): Promise<void> {
  const { source, manifest, config } = image;
  const configName = `${partsOf(manifest.config.digest).hex}.json`;
  await writeDurably(join(directory, configName), source.read(manifest.config));
  const layers: string[] = [];
  for (const [index, layer] of manifest.layers.entries()) {
    const diffId = config.diffIds[index];
    if (diffId === undefined) break;
    const file = `${partsOf(diffId).hex}.tar`;
    if (!layers.includes(file)) await writeDurably(join(directory, file), decompressed(source.read(layer)));
    layers.push(file);
  }
  const listed = [{ Config: configName, RepoTags: [name], Layers: layers }];
  await writeFile(join(directory, "manifest.json"), JSON.stringify(listed));
}

/**
 * A store of images on disk: an OCI layout (`oci-layout`, `index.json`, `blobs`), and beside it the layers unpacked.
 *
 * Whatever gets a name is complete and on the disk before. Processes that use the store share a lock; who throws out what
 * nothing refers to has it alone, and so finds nothing that is not yet referred to.
 */

import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { MachineError } from "@terrarium/machine";
import { perform, withLock } from "../work.js";
import { BlobDirectory, one, syncDirectory, writeDurably } from "./blobs.js";
import { onDisk } from "../disk.js";
import { MEDIA, parseIndex, REF_NAME, type Descriptor } from "./format/documents.js";
import { formatReference, parseReference } from "./format/reference.js";

/** Where images are kept where nobody says: in one place for everybody's root, and one for each other user. */
export function defaultStore(): string {
  if (process.geteuid?.() === 0) return "/var/lib/terrarium";
  return join(process.env["XDG_DATA_HOME"] ?? join(homedir(), ".local/share"), "terrarium");
}

/** An image's name and what it leads to. */
export interface Entry {
  readonly name: string;
  readonly descriptor: Descriptor;
}

/** A store. */
export class Store {
  readonly directory: string;
  readonly blobs: BlobDirectory;

  private constructor(directory: string) {
    this.directory = directory;
    this.blobs = new BlobDirectory(directory);
  }

  /** The store in `directory`, made where there is none. */
  static async open(directory: string = defaultStore()): Promise<Store> {
    const store = new Store(resolve(directory));
    try {
      await mkdir(store.directory, { recursive: true, mode: 0o700 });
      for (const name of ["blobs/sha256", "layers", "tmp"])
        await mkdir(join(store.directory, name), { recursive: true });
      const marker = join(store.directory, "oci-layout");
      await writeFile(marker, '{"imageLayoutVersion":"1.0.0"}', { flag: "wx" }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      });
      return store;
    } catch (error) {
      throw onDisk(error, "opening the store of images");
    }
  }

  /** Runs `work` while nothing is thrown out. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    return await this.#locked(true, work);
  }

  /** Runs `work` while nobody uses the store. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    return await this.#locked(false, work);
  }

  async #locked<T>(shared: boolean, work: () => Promise<T>): Promise<T> {
    try {
      return await withLock(join(this.directory, "lock"), shared, work);
    } catch (error) {
      throw onDisk(error, `using the store ${this.directory}`);
    }
  }

  /** All images by name. */
  async entries(): Promise<Entry[]> {
    const bytes = await readFile(join(this.directory, "index.json")).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw onDisk(error, "reading the index of images");
    });
    const manifests = bytes === undefined ? [] : parseIndex(bytes).manifests;
    return manifests.flatMap((descriptor) => {
      const name = descriptor.annotations?.[REF_NAME];
      return name === undefined ? [] : [{ name, descriptor }];
    });
  }

  /**
   * What `reference` leads to.
   * @throws MachineError `IMAGE_UNKNOWN`, `REFERENCE_INVALID`
   */
  async find(reference: string): Promise<Entry> {
    const name = formatReference(parseReference(reference));
    const entries = await this.entries();
    const { digest } = parseReference(reference);
    const found =
      entries.find((entry) => entry.name === name) ?? entries.find((entry) => entry.descriptor.digest === digest);
    if (found !== undefined) return found;
    const known = entries.map((entry) => entry.name).join(", ") || "none";
    const message = `There is no image ${name}: the images are ${known}.`;
    throw new MachineError("IMAGE_UNKNOWN", message, { image: name, known });
  }

  /** Calls an image `name`; one that was called that before has that name no more. */
  async name(name: string, descriptor: Descriptor): Promise<Entry> {
    const { mediaType, digest, size, platform } = descriptor;
    const annotations = { [REF_NAME]: name };
    const named = { mediaType, digest, size, ...(platform === undefined ? {} : { platform }), annotations };
    await this.#change((entries) => [...entries.filter((entry) => entry.name !== name), { name, descriptor: named }]);
    return { name, descriptor: named };
  }

  /** Takes a name away from its image. */
  async forget(name: string): Promise<void> {
    await this.#change((entries) => entries.filter((entry) => entry.name !== name));
  }

  async #change(change: (entries: readonly Entry[]) => readonly Entry[]): Promise<void> {
    await withLock(join(this.directory, "index.lock"), false, async () => {
      const manifests = change(await this.entries()).map(({ descriptor }) => descriptor);
      const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
      await replaceFile(this.directory, "index.json", JSON.stringify(index));
    });
  }

  /** A new directory for what is not yet complete, removed when `work` ends. */
  async temporarily<T>(work: (directory: string) => Promise<T>): Promise<T> {
    const directory = join(this.directory, "tmp", randomUUID());
    await mkdir(directory, { recursive: true });
    try {
      return await work(directory);
    } finally {
      await perform({ kind: "remove", directory });
    }
  }

  /** Names of the layers that are unpacked. */
  async unpackedLayers(): Promise<string[]> {
    return await readdir(join(this.directory, "layers"));
  }
}

/** Replaces a file of a directory: whoever reads it sees the old text or the new. */
export async function replaceFile(directory: string, name: string, text: string): Promise<void> {
  const temporary = join(directory, `.${name}.${randomUUID()}`);
  try {
    await writeDurably(temporary, one(Buffer.from(text)));
    await rename(temporary, join(directory, name));
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true });
    throw onDisk(error, `writing ${name}`);
  }
}

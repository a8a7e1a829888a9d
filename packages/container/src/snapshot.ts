/** What a container has written to its root, as data. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MachineError, type GuestSnapshot } from "@terrarium/machine";
import { damaged, joined } from "@terrarium/machine/guest-kit";
import type { ContainerConfig, ContainerOptions } from "./config.js";
import { onDisk } from "./disk.js";
import type { SavedLayer } from "./helper.js";
import type { OciImage } from "./image/boot.js";
import { LIMITS } from "./image/layers.js";

/** The most that the files of a snapshot take, in bytes: all of them are in memory. */
const MAX_BYTES = 2 ** 30;

/** From what a container was booted, for one like it. */
export interface Origin {
  readonly source: Pick<ContainerConfig, "rootfs" | "lowers"> | OciImage;
  /** Without the streams, the signal and the layer of its own. */
  readonly options: ContainerOptions;
  /** What names an image's layers: over those of another one the files would mean something else. */
  readonly layers?: string;
}

/**
 * The files that a container has written to its root, created, changed and deleted, and what to boot for those that it has
 * not: neither processes nor memory, nor what is in volumes. Structured-cloneable. It says which directories of this host
 * the container gets: boot none that comes from somebody who may not choose those.
 */
export interface FilesSnapshot extends GuestSnapshot, Origin {
  readonly kind: "terrarium-files";
  /** A tar archive, with whiteouts as in layers of the OCI image specification. */
  readonly files: Uint8Array;
  /** How long `files` has to be. */
  readonly length: number;
}

/** Options that mean something to one container alone, and what is said as its source. */
const OWN = new Set(["stdin", "stdout", "stderr", "signal", "rootfs", "lowers"]);

/** What of a container's options is those of its twins, too. */
export function sharedOptions(options: ContainerOptions): ContainerOptions {
  const shared = Object.entries(options).filter(
    ([name, value]) => !OWN.has(name) && (name !== "writes" || value === "none"),
  );
  return Object.fromEntries(shared);
}

/** The origin of a container that `options` make of the directories of `source`. */
export function directoryOrigin({ rootfs, lowers = [] }: ContainerConfig, options: ContainerOptions): Origin {
  const source = { rootfs: resolve(rootfs), lowers: lowers.map((path) => resolve(path)) };
  return { source, options: withPaths(options) };
}

/** The origin of a container that `options` make of an image with the given layers. */
export function imageOrigin(source: OciImage, options: ContainerOptions, layers: string): Origin {
  return { source, options: withPaths(options), layers };
}

/** The snapshot may be booted from another directory. */
function withPaths(options: ContainerOptions): ContainerOptions {
  const volumes = options.volumes?.map((volume) => ({ ...volume, source: resolve(volume.source) }));
  return sharedOptions(volumes === undefined ? options : { ...options, volumes });
}

/** A snapshot of a container of that origin. */
export function snapshotOf(origin: Origin, files: Uint8Array): FilesSnapshot {
  return { kind: "terrarium-files", ...structuredClone(origin), files, length: files.length };
}

/**
 * The bytes of an archive in one piece.
 * @throws MachineError `ARCHIVE_TOO_LARGE`
 */
export async function collect(archive: AsyncIterable<Uint8Array>, limit = MAX_BYTES): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of archive) {
    length += chunk.length;
    if (length > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return joined(chunks);
}

function tooLarge(limit: number): MachineError<"ARCHIVE_TOO_LARGE"> {
  const most = `${limit} bytes of a snapshot's files`;
  const mend = "keep what is large in a volume, or commit the layer to an image";
  return new MachineError("ARCHIVE_TOO_LARGE", `More than ${most} are too many: ${mend}.`, { limit: most });
}

/** Whether `source` claims to be a container's snapshot. */
export function isFilesSnapshot(source: object): source is FilesSnapshot {
  return "kind" in source && source.kind === "terrarium-files";
}

/**
 * Checks the parts of a snapshot that are not checked when its container is made.
 * @throws MachineError `SNAPSHOT_DAMAGED`, `ARCHIVE_TOO_LARGE`
 */
export function checkFilesSnapshot(snapshot: FilesSnapshot): void {
  const { files, length, source, options } = snapshot as Partial<Record<keyof FilesSnapshot, unknown>>;
  if (!(files instanceof Uint8Array)) throw damaged("it has no files");
  if (files.length !== length) throw damaged("its files are cut off");
  if (files.length > MAX_BYTES) throw tooLarge(MAX_BYTES);
  const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
  if (!isObject(source) || !isObject(options)) throw damaged("it does not say what it boots");
}

/** What went wrong with a snapshot's container, in a snapshot's words where its archive or its parts were wrong. */
export function asDamaged(error: unknown): unknown {
  const isArchive = error instanceof MachineError && (error as MachineError).code.startsWith("ARCHIVE_");
  if (!isArchive && !(error instanceof TypeError)) return error;
  return damaged(error.message.replace(/\.$/, ""), undefined, { cause: error });
}

/** Calls `use` with the files of a snapshot in a file; with nothing where there are none. */
export async function withArchive<T>(
  files: Uint8Array,
  use: (saved: SavedLayer | undefined) => Promise<T>,
): Promise<T> {
  if (files.length === 0) return await use(undefined);
  const directory = await mkdtemp(join(tmpdir(), "terrarium-snapshot-")).catch((error: unknown) => {
    throw onDisk(error, "unpacking a snapshot");
  });
  try {
    const archive = join(directory, "files.tar");
    await writeFile(archive, files, { mode: 0o600 }).catch((error: unknown) => {
      throw onDisk(error, "unpacking a snapshot");
    });
    return await use({ archive, limits: LIMITS });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The lock file beside each recipe: which version of each package the image was last built from, and its checksum. */
import { readFile } from "node:fs/promises";
import { replaceFile } from "./files.js";
import type { PackageVersion } from "./index-file.js";

/** By the name the recipe uses, which for a kernel is the meta-package; what others depend on by its own. */
export type Lock = Readonly<Record<string, PackageVersion>>;

/** Reads a lock file; an absent one locks nothing. */
export async function readLock(path: string): Promise<Lock> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  const lock: unknown = JSON.parse(text);
  if (typeof lock !== "object" || lock === null || !Object.values(lock).every(isPackageVersion)) {
    throw new Error(`${path} is not a lock file; delete it to lock the newest packages`);
  }
  return lock as Lock;
}

export async function writeLock(path: string, lock: Lock): Promise<void> {
  await replaceFile(path, `${JSON.stringify(lock, null, 2)}\n`);
}

function isPackageVersion(value: unknown): value is PackageVersion {
  if (typeof value !== "object" || value === null) return false;
  const { package: name, version, architecture, filename, size, sha256 } = value as Record<string, unknown>;
  const texts = [name, version, architecture, filename, sha256];
  return texts.every((text) => typeof text === "string") && typeof size === "number";
}

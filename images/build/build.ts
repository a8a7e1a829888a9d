/** Turns a recipe into a kernel and an initramfs, or finds that it has been done. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { artefactDirectory, INITRD_FILE, KERNEL_FILE, type Recipe } from "../recipe.js";
import type { Say } from "./archive.js";
import { fileFromDeb } from "./deb.js";
import { replaceFile, sha256 } from "./files.js";
import { packInitramfs, readSharedFiles } from "./initramfs.js";
import { readLock, writeLock, type Lock } from "./lock.js";
import { PackageStore, type Obtained } from "./packages.js";

/** Compiled, this module is images/dist/build/build.js. */
const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));
const SHARED_FILES = join(REPOSITORY, "images/root");
const AGENT_DIRECTORY = join(REPOSITORY, ".cache/agent");
const PACKAGE_CACHE = join(REPOSITORY, ".cache/images/packages");

export interface BuildOptions {
  /** Take the newest packages and record them in the lock file. */
  readonly update?: boolean;
  readonly say: Say;
}

/** Written last, beside the artefacts: what they were made of. */
interface Manifest {
  /** Checksum over everything a build depends on. */
  readonly inputs: string;
  readonly lock: Lock;
  readonly packages: Lock;
  /** Bytes of each artefact, by file name. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Builds the image unless the artefacts of exactly these inputs are there. */
export async function ensureImage(recipe: Recipe, options: BuildOptions): Promise<void> {
  const directory = join(REPOSITORY, artefactDirectory(recipe.name));
  const lockFile = join(REPOSITORY, "images", recipe.name, "lock.json");
  const lock = options.update === true ? {} : await readLock(lockFile);
  const shared = await readSharedFiles(SHARED_FILES);
  const agent = await readAgent(recipe);
  const inputsWith = (lock: Lock): string =>
    sha256(JSON.stringify([recipe, lock, sha256(agent), [...shared].map(([path, data]) => [path, sha256(data)])]));
  const previous = await readManifest(directory);
  if (previous?.inputs === inputsWith(lock) && (await complete(directory, previous))) return;

  await using store = new PackageStore(PACKAGE_CACHE, options.say);
  const gather = (name: string): Promise<Obtained> => obtain(store, recipe, name, lock, previous, options.say);
  const kernelPackage = await gather(recipe.kernelPackage);
  const busyboxPackage = await gather(recipe.busyboxPackage);
  options.say(`packing ${recipe.name}`);
  const kernel = await fileFromDeb(kernelPackage.path, (path) => path.startsWith("boot/vmlinuz-"));
  const busybox = await fileFromDeb(busyboxPackage.path, (path) => /^(usr\/)?bin\/busybox$/.test(path));
  const initrd = await packInitramfs({ hostname: recipe.name, busybox: busybox.data, agent, shared });

  const packages: Lock = {
    [recipe.kernelPackage]: kernelPackage.version,
    [recipe.busyboxPackage]: busyboxPackage.version,
  };
  const sizes = { [KERNEL_FILE]: kernel.data.length, [INITRD_FILE]: initrd.length };
  await replaceFile(join(directory, KERNEL_FILE), kernel.data);
  await replaceFile(join(directory, INITRD_FILE), initrd);
  const used = Object.keys(lock).length === 0 ? packages : lock;
  if (used !== lock) await writeLock(lockFile, used);
  const manifest: Manifest = { inputs: inputsWith(used), lock: used, packages, sizes };
  await replaceFile(join(directory, "manifest.json"), JSON.stringify(manifest, null, 2));
  options.say(`${recipe.name}: ${kernelPackage.version.package} ${kernelPackage.version.version}`);
}

async function obtain(
  store: PackageStore,
  recipe: Recipe,
  name: string,
  lock: Lock,
  previous: Manifest | undefined,
  say: Say,
): Promise<Obtained> {
  const locked = lock[name];
  if (locked === undefined) return store.newest(name, recipe.architecture);
  const present = await store.cached(locked);
  if (present !== undefined) return present;
  // The same lock was found outdated before: what was taken instead still serves.
  const replacement = previous?.lock[name]?.sha256 === locked.sha256 ? previous.packages[name] : undefined;
  const kept = replacement === undefined ? undefined : await store.cached(replacement);
  if (kept !== undefined) return kept;
  const exact = await store.exact(locked);
  if (exact !== undefined) return exact;
  say(`the archive no longer has ${locked.package} ${locked.version}, taking the newest instead`);
  return store.newest(name, recipe.architecture);
}

async function readAgent(recipe: Recipe): Promise<Buffer> {
  try {
    return await readFile(join(AGENT_DIRECTORY, recipe.architecture));
  } catch (error) {
    throw new Error("the guest agent is not built; `npm run build` does that", { cause: error });
  }
}

async function readManifest(directory: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, "manifest.json"), "utf8")) as Manifest;
  } catch {
    // Absent, or cut short by hand: the image is built again either way.
    return undefined;
  }
}

async function complete(directory: string, manifest: Manifest): Promise<boolean> {
  const sizes = Object.entries(manifest.sizes).map(async ([name, bytes]) => {
    const found = await stat(join(directory, name)).catch(() => undefined);
    return found?.size === bytes;
  });
  return (await Promise.all(sizes)).every(Boolean);
}

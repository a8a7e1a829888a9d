/** Turns a recipe into a kernel and an initramfs, or finds that it has been done. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { artefactDirectory, consoleOf, HYPERVISOR_FILE, INITRD_FILE, KERNEL_FILE, type Recipe } from "../recipe.js";
import type { Say } from "./archive.js";
import { fileFromDeb } from "./deb.js";
import { replaceFile, sha256 } from "./files.js";
import { packInitramfs, readFiles } from "./initramfs.js";
import { readLock, writeLock, type Lock } from "./lock.js";
import type { PackageVersion } from "./index-file.js";
import { isComplete, readManifest, writeManifest, type Manifest } from "./manifest.js";
import { PackageStore, type Obtained } from "./packages.js";

/** The repository this module belongs to; compiled, it is images/dist/build/build.js. */
const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));

/** A change of the builder is a reason to build again, like one of the recipe. */
const BUILDER_DIRECTORY = fileURLToPath(new URL(".", import.meta.url));

export interface BuildOptions {
  /** Take the newest packages and record them in the lock file. */
  readonly update?: boolean;
  /** Told what is happening. */
  readonly say: Say;
  /** The directory that holds `images/` and `.cache/`; this checkout where absent. */
  readonly repository?: string;
}

/** Builds the image unless the artefacts of exactly these inputs are there. */
export async function ensureImage(
  recipe: Recipe,
  { update, say, repository = REPOSITORY }: BuildOptions,
): Promise<void> {
  const directory = join(repository, artefactDirectory(recipe.name));
  const lockFile = join(repository, "images", recipe.name, "lock.json");
  const lock = update === true ? {} : await readLock(lockFile);
  const shared = await readFiles(join(repository, "images/root"));
  const agent = await readAgent(repository, recipe);
  const fixedInputs = [recipe, sha256(agent), checksums(shared), checksums(await readFiles(BUILDER_DIRECTORY))];
  const inputsWith = (used: Lock): string => sha256(JSON.stringify([...fixedInputs, used]));
  const previous = await readManifest(directory);
  if (previous?.inputs === inputsWith(lock) && (await isComplete(directory, previous))) return;

  await using store = new PackageStore(join(repository, ".cache/images/packages"), say);
  const gather = (name: string): Promise<Obtained> => obtain(store, recipe, name, lock, previous, say);
  const kernelPackage = await gather(recipe.kernelPackage);
  const busyboxPackage = await gather(recipe.busyboxPackage);
  say(`packing ${recipe.name}`);
  const kernel = await fileFromDeb(kernelPackage.path, (path) => path.startsWith("boot/vmlinuz-"));
  const busybox = await fileFromDeb(busyboxPackage.path, (path) => /^(usr\/)?bin\/busybox$/.test(path));
  const initrd = await packInitramfs({
    hostname: recipe.name,
    console: consoleOf(recipe),
    busybox: busybox.data,
    agent,
    shared,
  });
  const artefacts: Record<string, Uint8Array> = { [KERNEL_FILE]: kernel.data, [INITRD_FILE]: initrd };
  const packages: Record<string, PackageVersion> = {
    [recipe.kernelPackage]: kernelPackage.version,
    [recipe.busyboxPackage]: busyboxPackage.version,
  };
  if (recipe.hypervisor !== undefined) {
    const obtained = await gather(recipe.hypervisor.package);
    artefacts[HYPERVISOR_FILE] = await hypervisorFrom(obtained.path);
    packages[recipe.hypervisor.package] = obtained.version;
  }

  for (const [file, data] of Object.entries(artefacts)) await replaceFile(join(directory, file), data);
  const sizes = Object.fromEntries(Object.entries(artefacts).map(([file, data]) => [file, data.length]));
  const used = Object.keys(lock).length === 0 ? packages : lock;
  if (used !== lock) await writeLock(lockFile, used);
  await writeManifest(directory, { inputs: inputsWith(used), lock: used, packages, sizes });
  say(`${recipe.name}: ${kernelPackage.version.package} ${kernelPackage.version.version}`);
}

/** Boot loaders unpack what they load; here that happens once. */
async function hypervisorFrom(deb: string): Promise<Uint8Array> {
  const packed = await fileFromDeb(deb, (path) => /^boot\/xen-.*\.gz$/.test(path));
  return await promisify(gunzip)(packed.data);
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

async function readAgent(repository: string, recipe: Recipe): Promise<Buffer> {
  try {
    return await readFile(join(repository, ".cache/agent", recipe.architecture));
  } catch (error) {
    throw new Error("the guest agent is not built; `npm run build` does that", { cause: error });
  }
}

function checksums(files: ReadonlyMap<string, Uint8Array>): [path: string, sha256: string][] {
  return [...files].map(([path, data]) => [path, sha256(data)]);
}

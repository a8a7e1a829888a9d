/** Turns a recipe into a kernel and an initramfs, or finds that it has been done. */
import { readFile } from "node:fs/promises";
import { join, matchesGlob } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { artefactDirectory, consoleOf, HYPERVISOR_FILE, INITRD_FILE, KERNEL_FILE, type Recipe } from "../recipe.js";
import type { Say } from "./archive.js";
import type { Entry } from "./cpio.js";
import { fileFromDeb, treeFromDeb } from "./deb.js";
import { replaceFile, sha256 } from "./files.js";
import { packInitramfs, readFiles } from "./initramfs.js";
import { readLock, writeLock, type Lock } from "./lock.js";
import { isComplete, readManifest, writeManifest, type Manifest } from "./manifest.js";
import { PackageStore, type Obtained } from "./packages.js";

/** The repository this module belongs to; compiled, it is images/dist/build/build.js. */
const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));

/** Documentation and translations, as globs. */
const NEVER_NEEDED = ["usr/share/{doc,doc-base,info,lintian,locale,man}/**", "**/*.pod"];

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
  const sources: Sources = { store, recipe, lock, previous, say };
  const obtained: Record<string, Obtained> = {};
  for (const name of [...basePackages(recipe), ...(await programPackages(sources))]) {
    obtained[name] = await obtain(sources, name);
  }
  say(`packing ${recipe.name}`);
  const artefacts = await pack(recipe, obtained, agent, shared);

  for (const [file, data] of Object.entries(artefacts)) await replaceFile(join(directory, file), data);
  const sizes = Object.fromEntries(Object.entries(artefacts).map(([file, data]) => [file, data.length]));
  const packages = Object.fromEntries(Object.entries(obtained).map(([name, { version }]) => [name, version]));
  const used = Object.keys(lock).length === 0 ? packages : lock;
  if (used !== lock) await writeLock(lockFile, used);
  await writeManifest(directory, { inputs: inputsWith(used), lock: used, packages, sizes });
  const kernel = packages[recipe.kernelPackage];
  say(`${recipe.name}: ${kernel?.package ?? ""} ${kernel?.version ?? ""}`);
}

/** Where the packages of a build may come from. */
interface Sources {
  readonly store: PackageStore;
  readonly recipe: Recipe;
  readonly lock: Lock;
  readonly previous: Manifest | undefined;
  readonly say: Say;
}

/** Packages of which single files are used. */
function basePackages({ kernelPackage, busyboxPackage, hypervisor }: Recipe): string[] {
  return [kernelPackage, busyboxPackage, ...(hypervisor === undefined ? [] : [hypervisor.package])];
}

/**
 * Packages that are unpacked. A lock file that has the recipe's has what they depend on as well, and that does not change
 * within a release.
 */
async function programPackages({ store, recipe, lock }: Sources): Promise<string[]> {
  const { packages = [], architecture } = recipe;
  if (packages.length === 0) return [];
  if (packages.every((name) => name in lock)) {
    const base = basePackages(recipe);
    return Object.keys(lock).filter((name) => !base.includes(name));
  }
  return store.closure(packages, architecture);
}

async function obtain({ store, recipe, lock, previous, say }: Sources, name: string): Promise<Obtained> {
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

/** The files of the image, by name. */
async function pack(
  recipe: Recipe,
  obtained: Readonly<Record<string, Obtained>>,
  agent: Uint8Array,
  shared: ReadonlyMap<string, Uint8Array>,
): Promise<Record<string, Uint8Array>> {
  const base = basePackages(recipe);
  const [kernelDeb = "", busyboxDeb = "", hypervisorDeb] = base.map((name) => obtained[name]?.path);
  const kernel = await fileFromDeb(kernelDeb, (path) => path.startsWith("boot/vmlinuz-"));
  const busybox = await fileFromDeb(busyboxDeb, (path) => /^(usr\/)?bin\/busybox$/.test(path));
  const leaveOut = [...NEVER_NEEDED, ...(recipe.leaveOut ?? [])];
  const wanted = (path: string): boolean => !leaveOut.some((glob) => matchesGlob(path, glob));
  const unpacked: Entry[] = [];
  for (const [name, { path }] of Object.entries(obtained)) {
    if (!base.includes(name)) unpacked.push(...(await treeFromDeb(path, wanted)));
  }
  const initrd = await packInitramfs({
    hostname: recipe.name,
    console: consoleOf(recipe),
    busybox: busybox.data,
    agent,
    shared,
    unpacked,
  });
  const artefacts = { [KERNEL_FILE]: kernel.data, [INITRD_FILE]: initrd };
  if (hypervisorDeb === undefined) return artefacts;
  return { ...artefacts, [HYPERVISOR_FILE]: await hypervisorFrom(hypervisorDeb) };
}

/** Boot loaders unpack what they load; here that happens once. */
async function hypervisorFrom(deb: string): Promise<Uint8Array> {
  const packed = await fileFromDeb(deb, (path) => /^boot\/xen-.*\.gz$/.test(path));
  return await promisify(gunzip)(packed.data);
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

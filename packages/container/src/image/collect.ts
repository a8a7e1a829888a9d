/** What nothing refers to any more is thrown out. */

import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { perform } from "../work.js";
import { readDocument } from "./blobs.js";
import { parseDigest, partsOf, type Digest } from "./format/digest.js";
import { isIndex, isManifest, parseConfig, parseIndex, parseManifest, type Descriptor } from "./format/documents.js";
import { chainsOf, directoryOf } from "./layers.js";
import { replaceFile, type Store } from "./store.js";

/** What was thrown out. */
export interface Collected {
  readonly blobs: number;
  readonly layers: number;
}

/** Throws out blobs, layers and unfinished work. Waits until nobody uses the store. */
export async function collectGarbage(store: Store): Promise<Collected> {
  return await store.alone(async () => {
    const kept = new Set<string>();
    const layers = await layersInUse(store);
    for (const { descriptor } of await store.entries()) await mark(store, descriptor, kept, layers);
    const directories = await readdir(join(store.directory, "layers"));
    const unused = directories.filter((name) => !layers.has(name));
    for (const name of unused) await perform({ kind: "remove", directory: join(store.directory, "layers", name) });
    await perform({ kind: "remove", directory: join(store.directory, "tmp") });
    await mkdir(join(store.directory, "tmp"));
    return { blobs: await sweepBlobs(store, kept), layers: unused.length };
  });
}

async function mark(store: Store, descriptor: Descriptor, kept: Set<string>, layers: Set<string>): Promise<void> {
  if (kept.has(descriptor.digest)) return;
  kept.add(descriptor.digest);
  if (!(await store.blobs.has(descriptor))) return;
  if (isIndex(descriptor)) {
    const { manifests } = parseIndex(await readDocument(store.blobs, descriptor));
    for (const manifest of manifests) await mark(store, manifest, kept, layers);
  } else if (isManifest(descriptor)) {
    const manifest = parseManifest(await readDocument(store.blobs, descriptor));
    for (const blob of [manifest.config, ...manifest.layers]) kept.add(blob.digest);
    const { diffIds } = parseConfig(await readDocument(store.blobs, manifest.config));
    for (const chain of chainsOf(diffIds)) layers.add(directoryOf(chain));
  }
}

async function sweepBlobs(store: Store, kept: ReadonlySet<string>): Promise<number> {
  let swept = 0;
  for (const algorithm of await readdir(join(store.directory, "blobs"))) {
    for (const hex of await readdir(join(store.directory, "blobs", algorithm))) {
      if (kept.has(`${algorithm}:${hex}`)) continue;
      await rm(join(store.directory, "blobs", algorithm, hex), { force: true });
      swept += 1;
    }
  }
  return swept;
}

/** Notes that a process has these layers mounted, until it lets go of them or ends. */
export async function holdLayers(store: Store, diffIds: readonly Digest[]): Promise<AsyncDisposable> {
  const directory = join(store.directory, "uses");
  const name = `${randomUUID()}.json`;
  await mkdir(directory, { recursive: true });
  const note = { pid: process.pid, started: await startOf(process.pid), diffIds };
  await replaceFile(directory, name, JSON.stringify(note));
  return { [Symbol.asyncDispose]: () => rm(join(directory, name), { force: true }) };
}

async function layersInUse(store: Store): Promise<Set<string>> {
  const directory = join(store.directory, "uses");
  const used = new Set<string>();
  for (const name of await readdir(directory).catch(() => [])) {
    const note = JSON.parse(await readFile(join(directory, name), "utf8")) as {
      readonly pid: number;
      readonly started: string | undefined;
      readonly diffIds: readonly string[];
    };
    if ((await startOf(note.pid)) !== note.started) await rm(join(directory, name), { force: true });
    else for (const chain of chainsOf(note.diffIds.map((id) => parseDigest(id, name)))) used.add(partsOf(chain).hex);
  }
  return used;
}

/** When a process started, which tells it from another that got its number (proc_pid_stat(5), field 22). */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${String(pid)}/stat`, "utf8").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

/** An image's root in memory: what its layers make of each other, without a file system of the host's. */

import { MachineError } from "@terrarium/machine";

/** The longest path the kernel takes (PATH_MAX, with the zero behind it); one that is longer it leaves out unsaid. */
const MAX_PATH_BYTES = 4_095;
/** Links that lead to links; the kernel gives up behind as many (path_resolution(7)). */
const MAX_LINKS = 40;

/** Whose something is, and what may be done to it. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

/** What a name may stand for, besides directories. */
export type Leaf = Attributes &
  (
    | { readonly type: "file"; readonly data: Uint8Array; readonly capability?: Uint8Array }
    | { readonly type: "symlink"; readonly target: string }
    | { readonly type: "characterDevice" | "blockDevice"; readonly major: number; readonly minor: number }
    | { readonly type: "fifo" }
  );

/** A directory, with the layer that had each of its names last. */
export interface Directory {
  readonly type: "directory";
  attributes: Attributes;
  readonly children: Map<string, Child>;
}

interface Child {
  node: Leaf | Directory;
  layer: number;
}

const NEW_DIRECTORY: Attributes = { mode: 0o755, uid: 0, gid: 0, modified: 0 };

/** The error for an archive that no layer would be. */
export function refused(entry: string, reason: string): MachineError<"ARCHIVE_REFUSED"> {
  const message = `The archive is refused for ${JSON.stringify(entry)}: ${reason}.`;
  return new MachineError("ARCHIVE_REFUSED", message, { entry, reason });
}

/** The error for an archive that cannot be read to its end. */
export function damaged(reason: string): MachineError<"ARCHIVE_DAMAGED"> {
  return new MachineError("ARCHIVE_DAMAGED", `The archive is damaged: ${reason}.`, { reason });
}

/** @throws MachineError `ARCHIVE_REFUSED` where the kernel does not take so long a path */
export function checkLength(path: string): void {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refused(path.slice(0, 100), "its path is too long");
}

/** The parts of a path of an archive, from the root. */
export function partsOf(path: string): string[] {
  checkLength(path);
  if (path.startsWith("/")) throw refused(path, "its path is absolute");
  if (path.includes("\0")) throw refused(path, "its path holds a zero byte");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refused(path, "its path leads upwards");
  return parts;
}

/** Layers on each other. Numbers of layers grow; what a layer hides is never its own. */
export class Tree {
  readonly root: Directory = emptyDirectory();

  /** Puts `node` at a path, in the place of what lower layers have there. */
  add(path: string, node: Leaf, layer: number): void {
    const [parent, name] = this.#place(path, layer);
    if (parent.children.get(name)?.layer === layer) throw refused(path, "it is there twice");
    parent.children.set(name, { node, layer });
  }

  /** Makes a directory, or gives one that is there other attributes. */
  addDirectory(path: string, attributes: Attributes, layer: number): void {
    const parts = partsOf(path);
    if (parts.length === 0) this.root.attributes = attributes;
    else this.#enter(parts, path, layer, true).attributes = attributes;
  }

  /** Gives a file of this layer, or of those below, another name. */
  link(path: string, target: string, layer: number): void {
    const found = this.#lookUp(target);
    if (found === undefined) throw refused(target, "it is the target of a hard link, and not there");
    if (found.node.type === "directory") throw refused(target, "it is the target of a hard link, and a directory");
    this.add(path, found.node, layer);
  }

  /** Hides what lower layers have at a path. */
  hide(path: string, layer: number): void {
    const [parent, name] = this.#place(path, layer);
    prune(parent, name, layer);
  }

  /** Hides what lower layers have in a directory. */
  hideContents(path: string, layer: number): void {
    const directory = this.#enter(partsOf(path), path, layer, false);
    for (const name of [...directory.children.keys()]) prune(directory, name, layer);
  }

  /** Takes a name away, whatever it stands for. */
  remove(name: string): void {
    this.root.children.delete(name);
  }

  /** What an absolute path leads to, through links, as for a process of the image. */
  find(path: string): Leaf | Directory | undefined {
    const rest = path.split("/").reverse();
    const above: Directory[] = [];
    let [node, links]: [Leaf | Directory, number] = [this.root, 0];
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      if (node.type !== "directory") return undefined;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        node = above.pop() ?? this.root;
        continue;
      }
      const next: Leaf | Directory | undefined = node.children.get(part)?.node;
      if (next === undefined) return undefined;
      if (next.type !== "symlink") {
        above.push(node);
        node = next;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      rest.push(...next.target.split("/").reverse());
      if (next.target.startsWith("/")) [node, above.length] = [this.root, 0];
    }
    return node;
  }

  /** What has this very path; links on the way lead nowhere. */
  #lookUp(path: string): Child | undefined {
    const parts = partsOf(path);
    const name = parts.pop();
    let directory: Directory | undefined = this.root;
    for (const part of parts) {
      const node: Leaf | Directory | undefined = directory.children.get(part)?.node;
      if (node?.type !== "directory") return undefined;
      directory = node;
    }
    return name === undefined ? undefined : directory.children.get(name);
  }

  #place(path: string, layer: number): [Directory, string] {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) throw refused(path, "it takes the place of the root");
    return [this.#enter(parts, path, layer, false), name];
  }

  /** The directory that `parts` lead to, made where it is missing. `named` by the archive, it belongs to this layer. */
  #enter(parts: readonly string[], path: string, layer: number, named: boolean): Directory {
    let directory = this.root;
    for (const [index, part] of parts.entries()) {
      const found = directory.children.get(part);
      const node = found?.node;
      if (node?.type === "directory") {
        if (found !== undefined && named && index === parts.length - 1) found.layer = layer;
        directory = node;
        continue;
      }
      if (found?.layer === layer) throw refused(path, "its path leads through what is no directory");
      const made = emptyDirectory();
      directory.children.set(part, { node: made, layer });
      directory = made;
    }
    return directory;
  }
}

function emptyDirectory(): Directory {
  return { type: "directory", attributes: NEW_DIRECTORY, children: new Map() };
}

/** Takes away what lower layers have; of a directory, what this layer has itself stays. */
function prune(parent: Directory, name: string, layer: number): void {
  const child = parent.children.get(name);
  if (child === undefined) return;
  if (child.node.type === "directory") {
    for (const below of [...child.node.children.keys()]) prune(child.node, below, layer);
    if (child.node.children.size > 0) return;
  }
  if (child.layer < layer) parent.children.delete(name);
}

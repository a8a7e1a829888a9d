/**
 * A Debian mirror named by TERRARIUM_DEBIAN_MIRROR, for machines without apt: an http(s) or file URL, or a directory,
 * that has `dists/` and `pool/` below it.
 *
 * Nothing checks signatures here; what protects a build is the checksum in the lock file.
 */
import { createWriteStream } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Architecture } from "../recipe.js";
import type { PackageArchive, Say } from "./archive.js";
import { findProviders, findStanza, type PackageVersion, type Stanza } from "./index-file.js";

const SUITE = "bookworm";

export class Mirror implements PackageArchive {
  readonly #root: URL;
  readonly #say: Say;
  readonly #indexes = new Map<Architecture, Promise<string>>();

  /** `root` is a URL or a directory. */
  constructor(root: string, say: Say) {
    const url = URL.canParse(root) ? root : pathToFileURL(root).href;
    this.#root = new URL(url.endsWith("/") ? url : `${url}/`);
    this.#say = say;
  }

  async newest(name: string, architecture: Architecture): Promise<Stanza | undefined> {
    return findStanza(await this.#index(architecture), name);
  }

  async providers(name: string, architecture: Architecture): Promise<string[]> {
    return findProviders(await this.#index(architecture), name);
  }

  async download(wanted: PackageVersion, destination: string): Promise<boolean> {
    const url = new URL(wanted.filename, this.#root);
    if (url.protocol === "file:") return copyFile(url, destination).then(...presentOrAbsent);
    const response = await fetch(url);
    if (response.status === 404) return false;
    if (!response.ok || response.body === null) throw new Error(`${url.href}: HTTP status ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(destination));
    return true;
  }

  #index(architecture: Architecture): Promise<string> {
    let index = this.#indexes.get(architecture);
    if (index === undefined) {
      index = this.#readIndex(architecture);
      this.#indexes.set(architecture, index);
    }
    return index;
  }

  async #readIndex(architecture: Architecture): Promise<string> {
    this.#say(`reading the mirror's ${architecture} package list`);
    const url = new URL(`dists/${SUITE}/main/binary-${architecture}/Packages.gz`, this.#root);
    return (await promisify(gunzip)(await read(url))).toString();
  }
}

async function read(url: URL): Promise<Uint8Array> {
  if (url.protocol === "file:") return readFile(fileURLToPath(url));
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const presentOrAbsent = [
  () => true,
  (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return false;
    throw error;
  },
] as const;

/** Gets the .deb files a recipe names: from the cache, else as locked, else the newest. */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Recipe } from "../recipe.js";
import { Apt } from "./apt.js";
import type { PackageArchive, Say } from "./archive.js";
import { withDependencies } from "./dependencies.js";
import { exists, sha256OfFile, temporaryFor } from "./files.js";
import type { PackageVersion, Stanza } from "./index-file.js";
import { Mirror } from "./mirror.js";

/** A package file on this machine, checksummed. */
export interface Obtained {
  readonly version: PackageVersion;
  readonly path: string;
}

export class PackageStore implements AsyncDisposable {
  readonly #directory: string;
  readonly #say: Say;
  #archive: Promise<PackageArchive> | undefined;

  /** Keeps packages in `directory`, named by checksum. */
  constructor(directory: string, say: Say) {
    this.#directory = directory;
    this.#say = say;
  }

  /** The package if it is here already. */
  async cached(version: PackageVersion): Promise<Obtained | undefined> {
    const path = this.#pathOf(version);
    return (await exists(path)) ? { version, path } : undefined;
  }

  /** The package of exactly this version; undefined when the archive has dropped it. */
  async exact(version: PackageVersion): Promise<Obtained | undefined> {
    const present = await this.cached(version);
    if (present !== undefined) return present;
    const archive = await this.#openArchive();
    const path = this.#pathOf(version);
    const temporary = temporaryFor(path);
    try {
      this.#say(`downloading ${version.package} ${version.version} (${(version.size / 1e6).toFixed(1)} MB)`);
      if (!(await archive.download(version, temporary))) return undefined;
      const found = await sha256OfFile(temporary);
      if (found !== version.sha256) {
        throw new Error(
          `${version.package} ${version.version} has SHA-256 ${found}, expected ${version.sha256}: ` +
            "the archive or the way to it is not to be trusted; nothing was built from it",
        );
      }
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    return { version, path };
  }

  /** The newest version the archive offers. A kernel meta-package stands for the kernel it depends on. */
  async newest(name: string, architecture: Recipe["architecture"]): Promise<Obtained> {
    const archive = await this.#openArchive();
    const stanza = await archive.newest(name, architecture);
    const kernel = stanza?.depends.flat().find((dependency) => dependency.startsWith("linux-image-"));
    const concrete = kernel === undefined ? stanza : await archive.newest(kernel, architecture);
    if (concrete === undefined) {
      throw new Error(
        `the package archive has no ${name} for ${architecture}; ` +
          "check that apt's sources hold Debian 12 main, or set TERRARIUM_DEBIAN_MIRROR to a Debian mirror",
      );
    }
    const obtained = await this.exact(identity(concrete));
    if (obtained === undefined) throw new Error(`the package archive lists ${concrete.filename} but does not hold it`);
    return obtained;
  }

  /** Names of `names` and all packages they depend on. */
  async closure(names: readonly string[], architecture: Recipe["architecture"]): Promise<string[]> {
    return withDependencies(await this.#openArchive(), names, architecture);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const archive = await this.#archive?.catch(() => undefined);
    if (archive instanceof Apt) await archive[Symbol.asyncDispose]();
  }

  #pathOf(version: PackageVersion): string {
    return join(this.#directory, `${version.sha256}.deb`);
  }

  #openArchive(): Promise<PackageArchive> {
    this.#archive ??= (async () => {
      await mkdir(this.#directory, { recursive: true });
      const mirror = process.env["TERRARIUM_DEBIAN_MIRROR"];
      if (mirror !== undefined && mirror !== "") return new Mirror(mirror, this.#say);
      if (await Apt.available()) return Apt.open(this.#directory, this.#say);
      throw new Error("this machine has no apt-get; set TERRARIUM_DEBIAN_MIRROR to the URL of a Debian mirror");
    })();
    return this.#archive;
  }
}

function identity({ package: name, version, architecture, filename, size, sha256 }: Stanza): PackageVersion {
  return { package: name, version, architecture, filename, size, sha256 };
}

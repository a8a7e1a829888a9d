/**
 * What a guest image is made of and how it boots, as plain data.
 *
 * This file and the `image.ts` files are read by a browser bundle too, so nothing here may touch Node.
 */
import type { Bytes, Image } from "@terrarium/machine";

/** The Debian architectures a recipe may draw packages from. */
export type Architecture = "amd64" | "i386";

/** One guest image: Debian packages in, a kernel and an initramfs out. */
export interface Recipe {
  /** Folder name under `images/`; also the guest's host name. */
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  readonly architecture: Architecture;
  /** Debian package of the kernel, a meta-package (`linux-image-amd64`) or a concrete one. Its vmlinuz is used byte for byte. */
  readonly kernelPackage: string;
  /** Debian package with the statically linked BusyBox that is the whole user space. */
  readonly busyboxPackage: string;
  /** Kernel command line. */
  readonly commandLine: string;
  /** Guest RAM unless the caller says otherwise, with its unit. */
  readonly memory: Bytes;
}

/** Where the artefacts of an image lie, relative to the repository's root. */
export function artefactDirectory(name: string): string {
  return `.cache/images/${name}`;
}

export const KERNEL_FILE = "vmlinuz";
export const INITRD_FILE = "initramfs.cpio.gz";

/**
 * The bootable form of a recipe.
 *
 * Artefacts are named by URL because that reads the same everywhere: `file:` in Node, `http:` from a page that is
 * served out of the repository. Nothing is opened here; an image that was not built is an error of `boot()`.
 */
export function bootable(recipe: Recipe): Image {
  // Compiled, this module is images/dist/recipe.js.
  const directory = new URL(`../../${artefactDirectory(recipe.name)}/`, import.meta.url);
  return {
    name: recipe.name,
    description: recipe.description,
    kernel: new URL(KERNEL_FILE, directory).href,
    initrd: new URL(INITRD_FILE, directory).href,
    commandLine: recipe.commandLine,
    memory: recipe.memory,
    prompt: promptOf(recipe),
    agent: true,
  };
}

/** What the shell prints, literally, when it waits for a command in the home directory. */
export function promptOf(recipe: Recipe): string {
  return `root@${recipe.name}:/root# `;
}

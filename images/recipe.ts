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
  /** Debian package with a Xen hypervisor, which then boots the kernel, and the hypervisor's own command line. */
  readonly hypervisor?: { readonly package: string; readonly commandLine: string };
  /** Debian package of the kernel, a meta-package (`linux-image-amd64`) or a concrete one. Its vmlinuz is used byte for byte. */
  readonly kernelPackage: string;
  /** Debian package with the statically linked BusyBox that is init, the shell, and what `packages` do not bring. */
  readonly busyboxPackage: string;
  /** Debian packages whose files go into the root file system, together with what they depend on. Their scripts do not run. */
  readonly packages?: readonly string[];
  /** Files of `packages` that are left out, as globs. Documentation and translations always are. */
  readonly leaveOut?: readonly string[];
  /** Linux's command line. */
  readonly commandLine: string;
  /** Guest RAM unless the caller says otherwise, with its unit. */
  readonly memory: Bytes;
}

/** Where the artefacts of an image lie, relative to the repository's root. */
export function artefactDirectory(name: string): string {
  return `.cache/images/${name}`;
}

/** Where the guest's agent for an architecture lies, which `npm run build` makes. */
export function agentFile(architecture: Architecture): URL {
  return new URL(`../../.cache/agent/${architecture}`, import.meta.url);
}

export const HYPERVISOR_FILE = "xen";
export const KERNEL_FILE = "vmlinuz";
export const INITRD_FILE = "initrd.img";

/**
 * The bootable form of a recipe.
 *
 * Artefacts are named by URL because that reads the same everywhere: `file:` in Node, `http:` from a page that is
 * served out of the repository. Nothing is opened here; an image that was not built is an error of `boot()`.
 */
export function bootable(recipe: Recipe): Image {
  // Compiled, this module is images/dist/recipe.js.
  const directory = new URL(`../../${artefactDirectory(recipe.name)}/`, import.meta.url);
  const [hypervisor = "", kernel = "", initrd = ""] = [HYPERVISOR_FILE, KERNEL_FILE, INITRD_FILE].map(
    (file) => new URL(file, directory).href,
  );
  const { name, description, commandLine, memory } = recipe;
  const described = { name, description, memory, prompt: promptOf(recipe) };
  if (recipe.hypervisor === undefined) return { ...described, kernel, initrd, commandLine, agent: true };
  const modules = [
    { file: kernel, commandLine: `${KERNEL_FILE} ${commandLine}` },
    { file: initrd, commandLine: INITRD_FILE },
  ];
  // Xen keeps the interrupt of the second serial port to itself, so the agent has no way out.
  return { ...described, kernel: hypervisor, modules, commandLine: recipe.hypervisor.commandLine, agent: false };
}

/** The terminal that the kernel's command line makes its console. */
export function consoleOf({ commandLine }: Recipe): string {
  return /(?:^| )console=(\w+)/.exec(commandLine)?.[1] ?? "console";
}

/** What the shell prints, literally, when it waits for a command in the home directory. */
export function promptOf(recipe: Recipe): string {
  return `root@${recipe.name}:/root# `;
}

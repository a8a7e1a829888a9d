/** An image as a machine: our kernel, and the image's files as its root. */

import { readFile } from "node:fs/promises";
import { agentFile } from "@terrarium/images";
import kernelImage from "@terrarium/images/debian-cloud";
import { boot, MachineError, parseBytes, type Bytes, type Machine } from "@terrarium/machine";
import { resolveConfig, type ContainerOptions, type ResolvedConfig } from "../../config.js";
import { processEnvironment } from "../../oci.js";
import { defaultsFor, withImage, type OciImage } from "../boot.js";
import type { OpenedImage } from "../image.js";
import { Store } from "../store.js";
import { accountOf, type Account } from "./accounts.js";
import { INIT, packMachine } from "./initramfs.js";
import { mergeLayers } from "./merge.js";
import { checkOptions } from "./options.js";
import type { Tree } from "./tree.js";

/** What the kernel takes, and what programs get on top unless the caller says how much memory there is. */
const KERNEL_BYTES = 96 << 20;
const PROGRAM_BYTES = 128 << 20;
/** The archive is in memory once; what is unpacked of it may take half of the rest (tmpfs(5)). */
const COPIES = 3;
/** Of a file besides: twice the rest of its last page, and its inode. The kernel has one of those for two pages of memory. */
const ENTRY_BYTES = 12 << 10;

/** The kernel keeps its messages from the console unless it dies of them. */
const COMMAND_LINE = `console=ttyS0 quiet loglevel=1 panic=-1 rdinit=${INIT}`;

/** Merges the image's layers and boots a machine of them. */
export async function bootMachine(source: OciImage, options: ContainerOptions): Promise<Machine> {
  checkOptions(options);
  const agent = await readAgent();
  const store = await Store.open(source.store);
  const platform = source.platform ?? "linux/amd64";
  const { initrd, memory } = await store.use(() =>
    withImage(store, { ...source, platform }, (image) => pack(image, options, agent)),
  );
  return await boot({
    name: source.image,
    kernel: kernelImage.kernel,
    initrd,
    commandLine: COMMAND_LINE,
    memory,
    agent: true,
    reportsEnd: true,
    takesInput: options.terminal === false,
    onReset: "stop",
  });
}

async function pack(
  image: OpenedImage,
  options: ContainerOptions,
  agent: Uint8Array,
): Promise<{ initrd: Uint8Array; memory: Bytes }> {
  const defaults = defaultsFor(image.config.defaults, options);
  const config = resolveConfig({ ...options, ...defaults, rootfs: "/" });
  const { tree, bytes, entries } = await mergeLayers(image);
  const memory = memoryFor(KERNEL_BYTES + COPIES * bytes + ENTRY_BYTES * entries, options.memory);
  const account = accountOf(tree, config.user);
  const env = environment(config, account);
  checkProgram(tree, config, env["PATH"] ?? "");
  const { hostname, terminal, cwd, command } = config;
  return { initrd: packMachine(tree, agent, { hostname, terminal, cwd, command, env, ...account }), memory };
}

function environment(config: ResolvedConfig, { home }: Account): Readonly<Record<string, string>> {
  const env = processEnvironment(config, { terminal: config.terminal });
  return { HOME: home, ...env };
}

/** The same error as of a container, before a machine has booted in vain. */
function checkProgram(tree: Tree, { command, cwd }: ResolvedConfig, searched: string): void {
  const [program = ""] = command;
  const directories = program.includes("/") ? [""] : searched.split(":").map((directory) => `${directory}/`);
  const paths = directories.map((directory) => `${directory}${program}`);
  const found = paths.map((path) => tree.find(path.startsWith("/") ? path : `${cwd}/${path}`));
  if (found.some((node) => node?.type === "file" && (node.mode & 0o111) !== 0)) return;
  const reason = found.every((node) => node === undefined)
    ? "no such file or directory (ENOENT)"
    : "permission denied (EACCES)";
  const message = `${program} cannot be run in the machine: ${reason}.`;
  throw new MachineError("PROGRAM_UNUSABLE", message, { program, reason });
}

async function readAgent(): Promise<Uint8Array> {
  const file = agentFile("amd64");
  try {
    return await readFile(file);
  } catch (error) {
    const [source, reason] = [file.pathname, (error as Error).message];
    const message = `The guest's agent cannot be read (${reason}): npm run build makes it.`;
    throw new MachineError("FILE_UNREADABLE", message, { source, reason }, { cause: error });
  }
}

/** The kernel would run on with files missing where they do not all fit. */
function memoryFor(needed: number, given: Bytes | undefined): Bytes {
  if (given === undefined) return `${Math.ceil((needed + PROGRAM_BYTES) / 2 ** 20)}MiB`;
  const configured = parseBytes(given, "memory");
  if (configured >= needed) return given;
  const message = `The image needs ${Math.ceil(needed / 2 ** 20)} MiB of memory as a machine, not ${Math.floor(configured / 2 ** 20)}.`;
  throw new MachineError("MEMORY_TOO_SMALL", message, { needed, configured });
}

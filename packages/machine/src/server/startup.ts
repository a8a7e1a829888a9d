/** What a machine boots, at power-on and after every reset. The core keeps no copy of it: a kernel is megabytes. */

import type { BootSource, EntryProtocol } from "@terrarium/core";
import { MachineError, messageOf } from "../errors.js";

/** Where a file is, as it crosses to the worker: a path or URL, or its bytes. */
export type CrossingFile = string | Uint8Array;

/** A module of a multiboot kernel. */
export interface StartupModule<F = CrossingFile> {
  readonly file: F;
  readonly commandLine: string;
}

/** What is booted, and what becomes of a reset. Structured-cloneable. */
export interface Startup<F = CrossingFile> {
  readonly kernel?: F;
  readonly initrd?: F;
  readonly modules: readonly StartupModule<F>[];
  readonly firmware?: F;
  readonly commandLine: string;
  readonly entry: EntryProtocol;
  readonly onReset: "reboot" | "stop";
}

/** Reads the file at a path or URL. */
export type ReadFile = (source: string) => Promise<Uint8Array>;

/**
 * `startup` with the bytes of all its files in it.
 * @throws MachineError `FILE_UNREADABLE`
 */
export async function readStartup(startup: Startup, readFile: ReadFile): Promise<Startup<Uint8Array>> {
  const { kernel, initrd, firmware, modules, ...rest } = startup;
  const read = (role: string, file: CrossingFile): Promise<Uint8Array> => readOne(role, file, readFile);
  return {
    ...rest,
    ...(kernel === undefined ? {} : { kernel: await read("kernel", kernel) }),
    ...(initrd === undefined ? {} : { initrd: await read("initrd", initrd) }),
    ...(firmware === undefined ? {} : { firmware: await read("firmware", firmware) }),
    modules: await Promise.all(
      modules.map(async ({ file, commandLine }) => ({ file: await read("module", file), commandLine })),
    ),
  };
}

async function readOne(role: string, file: CrossingFile, readFile: ReadFile): Promise<Uint8Array> {
  if (typeof file !== "string") return file;
  try {
    return await readFile(file);
  } catch (thrown) {
    const reason = messageOf(thrown);
    throw new MachineError("FILE_UNREADABLE", `The ${role} ${file} cannot be read: ${reason}.`, {
      source: file,
      reason,
    });
  }
}

/**
 * `startup` as the core takes it.
 * @throws MachineError `FILE_UNREADABLE`
 */
export async function bootSource(startup: Startup, readFile: ReadFile): Promise<BootSource> {
  const { modules, ...rest } = await readStartup(startup, readFile);
  return { ...rest, modules: modules.map(({ file, commandLine }) => ({ bytes: file, commandLine })) };
}

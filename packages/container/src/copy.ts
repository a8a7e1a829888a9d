/** Files and directories of this host to and from guests, by the rules of cp(1) and of docker. */

import type { Stats } from "node:fs";
import { mkdir, realpath, rmdir, stat } from "node:fs/promises";
import { basename, dirname, posix, resolve } from "node:path";
import { MachineError, type Guest } from "@terrarium/machine";
import { onDisk } from "./disk.js";
import { LIMITS } from "./image/layers.js";
import { outputOfWork, perform } from "./work.js";

/** A guest, as far as it is copied to or from. */
export type CopyEnd = Pick<Guest, "pack" | "unpack">;

/** How files are copied. */
export interface CopyOptions {
  /** Whether what a link at the source's path leads to is copied, by the link's name; otherwise the link is. */
  readonly followLink?: boolean;
  /** Whether what is copied belongs to whom it belongs at its source, by numbers; otherwise it is whose who copies. */
  readonly keepOwners?: boolean;
}

/** What of a path is meant by a slash or `/.` behind it: what is in the directory. */
const CONTENTS = /\/\.?$/;

/**
 * Copies a file or directory of this host into a guest. Where `target` is a directory it goes into that, under its own name; else it
 * is called that, in a directory that is there. Of a `source` that ends in `/.` what is in it is copied. Links are copied
 * as links; what is copied belongs to the guest's user. `options` may say otherwise.
 * @throws MachineError `FILE_UNREADABLE`, and as `Guest.unpack`
 */
export async function copyToGuest(
  guest: CopyEnd,
  source: string,
  target: string,
  { followLink = false, keepOwners = false }: CopyOptions = {},
): Promise<void> {
  const path = resolve(source);
  const look = async (): Promise<[string, Stats]> => [followLink ? await realpath(path) : path, await stat(path)];
  const [meant, found] = await look().catch((error: unknown) => {
    throw unreadable(source, error);
  });
  const contents = source.endsWith("/.");
  const into = async (directory: string, name: string): Promise<void> => {
    const [from, entry] = name === "." ? [meant, "."] : [dirname(meant), basename(meant)];
    await guest.unpack(directory, outputOfWork({ kind: "send", directory: from, entry, name }), { keepOwners });
  };
  try {
    await into(target, contents ? "." : basename(path));
  } catch (error) {
    const isDirectory = !(error instanceof MachineError && error.code === "PATH_UNUSABLE");
    if (isDirectory || (target.endsWith("/") && !found.isDirectory())) throw error;
    const place = posix.resolve("/", target);
    await into(dirname(place), basename(place));
  }
}

/**
 * Copies a file or directory of a guest to this host, by the same rules. What is copied belongs to this process's user; no program
 * among it runs as its owner, and nothing is written through a link, whatever the guest has put there.
 * @throws MachineError `FILE_UNREADABLE`, and as `Guest.pack` and `Guest.unpack`
 */
export async function copyFromGuest(
  guest: CopyEnd,
  source: string,
  target: string,
  { followLink = false, keepOwners = false }: CopyOptions = {},
): Promise<void> {
  const path = resolve(target);
  const receive = async (directory: string, archive: AsyncIterable<Uint8Array>): Promise<void> => {
    await perform({ kind: "receive", directory, limits: LIMITS, owners: keepOwners }, archive);
  };
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) {
    await receive(path, guest.pack(source, { followLink }));
  } else if (found === undefined && (target.endsWith("/") || CONTENTS.test(source))) {
    await mkdir(path).catch((error: unknown) => {
      throw onDisk(error, `making ${path}`);
    });
    // Fails where something has come by then.
    await receive(path, guest.pack(source.replace(/\/?\.?$/, "/."))).catch(async (error: unknown) => {
      await rmdir(path).catch(() => undefined);
      throw error;
    });
  } else {
    await receive(dirname(path), guest.pack(source, { name: basename(path), followLink }));
  }
}

function unreadable(source: string, error: unknown): MachineError<"FILE_UNREADABLE"> {
  const reason = (error as Error).message;
  return new MachineError("FILE_UNREADABLE", `${source} cannot be read: ${reason}.`, { source, reason });
}

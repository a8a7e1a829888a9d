/** Files and trees in and out of a guest, by a process in the guest that whoever starts processes there starts. */

import type { GuestProcess, Output } from "./agent/client.js";
import { SIGKILL } from "./agent/linux-names.js";
import { MachineError, type ErrorCode, type ErrorDetails } from "./errors.js";
import type { ArchiveSource, CopyInOptions, PackOptions, UnpackOptions } from "./guest.js";
import { joined, outputOf } from "./output.js";
import { malformed } from "./units.js";

/** What is copied; emulator-core/crates/archive/src/copy.rs describes it. */
export type Copy =
  | { readonly kind: "fileIn"; readonly path: string; readonly mode: number }
  | { readonly kind: "fileOut"; readonly path: string }
  | { readonly kind: "treeIn"; readonly path: string; readonly owners: boolean }
  | { readonly kind: "treeOut"; readonly path: string; readonly name: string | null; readonly follow: boolean };

/** Starts the process of a copy, whose streams are what is copied. */
export type CopyStarter = (copy: Copy, output: Output) => Promise<GuestProcess>;

const DEFAULT_MODE = 0o644;

/** Copies by way of processes. */
export class Copier {
  readonly #start: CopyStarter;

  constructor(start: CopyStarter) {
    this.#start = start;
  }

  /** Writes a file. */
  async copyIn(path: string, data: string | Uint8Array, { mode = DEFAULT_MODE }: CopyInOptions): Promise<void> {
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) throw malformed("mode", String(mode), "permissions");
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    await this.#send({ kind: "fileIn", path: absolute(path), mode }, [bytes]);
  }

  /** Reads a file. */
  async copyOut(path: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#receive({ kind: "fileOut", path: absolute(path) })) chunks.push(chunk);
    return joined(chunks);
  }

  /** Unpacks an archive. */
  async unpack(directory: string, archive: ArchiveSource, { keepOwners = false }: UnpackOptions): Promise<void> {
    const chunks = archive instanceof Uint8Array ? [archive] : archive;
    await this.#send({ kind: "treeIn", path: absolute(directory), owners: keepOwners }, chunks);
  }

  /** Packs what is at a path. */
  pack(path: string, { name, followLink = false }: PackOptions): AsyncGenerator<Uint8Array, void> {
    const unusable = name !== undefined && (/[/\0]/.test(name) || ["", ".", ".."].includes(name));
    if (unusable) throw malformed("name", name, "a name without slashes");
    return this.#receive({ kind: "treeOut", path: absolute(path), name: name ?? null, follow: followLink });
  }

  async #send(copy: Copy, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    let told: Uint8Array = new Uint8Array();
    const process = await this.#start(copy, (stream, bytes) => {
      if (stream === "stderr") told = joined([told, bytes]);
    });
    const over = new AbortController();
    const ended = process.ended.finally(() => {
      over.abort();
    });
    ended.catch(() => undefined);
    try {
      for await (const chunk of chunks) {
        await process.write(chunk);
        // It has refused what came before.
        if (over.signal.aborted) break;
      }
      process.closeStdin();
    } catch (error) {
      process.kill(SIGKILL);
      throw error;
    }
    check(copy, (await ended).exitCode, told);
  }

  #receive(copy: Copy): AsyncGenerator<Uint8Array, void> {
    return outputOf(
      (output) => this.#start(copy, output),
      (exitCode, told) => {
        check(copy, exitCode, told);
      },
    );
  }
}

function absolute(path: unknown): string {
  if (typeof path === "string" && path.startsWith("/") && !path.includes("\0")) return path;
  throw malformed("path", path, "an absolute path");
}

/** What went wrong, as emulator-core/crates/archive/src/error.rs writes it: a code, then details. */
function check({ path }: Copy, exitCode: number | null, told: Uint8Array): void {
  if (exitCode === 0) return;
  const [code = "", ...fields] = new TextDecoder().decode(told).split("\0").slice(0, -1);
  const details = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf("=")), field.slice(field.indexOf("=") + 1)]),
  );
  const sentence = SENTENCES[code]?.(details);
  if (sentence !== undefined) {
    throw new MachineError(code as ErrorCode, sentence, details as unknown as ErrorDetails[ErrorCode]);
  }
  const [operation, reason] = [`copying ${path}`, "whoever copied in the guest was killed"];
  throw new MachineError("SYSTEM", `Copying ${path} failed: ${reason}.`, { operation, reason });
}

type Details = Readonly<Record<string, string>>;

const SENTENCES: Readonly<Partial<Record<string, (details: Details) => string>>> = {
  ARCHIVE_REFUSED: ({ entry = "", reason = "" }) => `The archive is refused for ${JSON.stringify(entry)}: ${reason}.`,
  ARCHIVE_TOO_LARGE: ({ limit = "" }) => `The archive is refused: it is more than ${limit}.`,
  ARCHIVE_DAMAGED: ({ reason = "" }) => `The archive is damaged: ${reason}.`,
  PATH_UNUSABLE: ({ path = "", reason = "" }) => `${path} cannot be copied: ${reason}.`,
  DISK_FULL: ({ operation = "" }) => `${operation}: no space is left there: free some, or give another place.`,
  SYSTEM: ({ operation = "", reason = "" }) => `${operation}: ${reason}.`,
};

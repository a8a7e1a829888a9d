/** Work on a store of images, done by processes of the helper (emulator-core/crates/container/src/work.rs says why). */

import { MachineError, type ErrorCode, type ErrorDetails } from "@terrarium/machine";
import { outputOf } from "@terrarium/machine/guest-kit";
import { helper, type Served } from "./helper.js";
import { mappings } from "./ids.js";

/** How much an archive may become. */
export interface ArchiveLimits {
  readonly bytes: number;
  readonly entries: number;
}

/** What is asked for; emulator-core/crates/container/src/work.rs describes it. */
export type Work =
  | {
      readonly kind: "unpack";
      readonly directory: string;
      readonly lowers: readonly string[];
      readonly limits: ArchiveLimits;
    }
  | {
      readonly kind: "receive";
      readonly directory: string;
      readonly limits: ArchiveLimits;
      readonly owners: boolean;
    }
  | { readonly kind: "send"; readonly directory: string; readonly entry: string; readonly name: string }
  | { readonly kind: "pack"; readonly directory: string; readonly file: string }
  | { readonly kind: "diff"; readonly directory: string; readonly lowers: readonly string[] }
  | { readonly kind: "remove"; readonly directory: string }
  | { readonly kind: "lock"; readonly file: string; readonly shared: boolean };

/**
 * Has `work` done, with `input` on its standard input; resolves with what it says.
 * @throws MachineError whatever the helper reports
 */
export async function perform(work: Work, input?: AsyncIterable<Uint8Array>): Promise<string> {
  const running = await start(work);
  try {
    for await (const chunk of input ?? []) {
      await running.process.write(chunk);
      // It has refused what came before.
      if (running.hasEnded()) break;
    }
    running.process.closeStdin();
  } catch (error) {
    running.process.kill(9);
    await running.process.ended.catch(() => undefined);
    throw error;
  }
  return await running.result;
}

/** What `work` writes to its standard output. */
export function outputOfWork(work: Work): AsyncIterable<Uint8Array> {
  const { uids, gids } = mappings();
  return outputOf(
    (output) => helper().start({ type: "work", work, uidMappings: uids, gidMappings: gids }, output),
    (exitCode, told) => {
      if (exitCode !== 0) throw failure(operationOf(work), told, exitCode === null ? "SIGKILL" : null);
    },
  );
}

/**
 * Runs `critical` while it holds a lock on `file`, with others that share it or alone. The lock is held by a process of
 * the helper: it ends with this one, however that ends.
 */
export async function withLock<T>(file: string, shared: boolean, critical: () => Promise<T>): Promise<T> {
  const locking = await start({ kind: "lock", file, shared });
  await Promise.race([locking.heard, locking.result]);
  try {
    return await critical();
  } finally {
    locking.process.closeStdin();
    await locking.result;
  }
}

interface Running {
  readonly process: Served;
  /** Resolves with the first output. */
  readonly heard: Promise<void>;
  readonly result: Promise<string>;
  hasEnded(): boolean;
}

async function start(work: Work): Promise<Running> {
  const parts: { stdout: Uint8Array[]; stderr: Uint8Array[] } = { stdout: [], stderr: [] };
  const { uids, gids } = mappings();
  const heard = Promise.withResolvers<void>();
  const process = await helper().start(
    { type: "work", work, uidMappings: uids, gidMappings: gids },
    (stream, bytes) => {
      parts[stream].push(bytes);
      heard.resolve();
    },
  );
  let ended = false;
  const result = process.ended.then(({ exitCode, signal }) => {
    ended = true;
    if (exitCode === 0) return Buffer.concat(parts.stdout).toString();
    throw failure(operationOf(work), Buffer.concat(parts.stderr), signal);
  });
  result.catch(() => undefined);
  return { process, heard: heard.promise, result, hasEnded: () => ended };
}

function operationOf(work: Work): string {
  return `${work.kind} of ${"file" in work ? work.file : work.directory}`;
}

/** Why `operation` failed: what its process wrote on its standard error. */
export function failure(operation: string, told: Uint8Array, signal: string | null): MachineError {
  if (signal !== null) {
    return new MachineError("SYSTEM", `The ${operation} was ended by ${signal}.`, { operation, reason: signal });
  }
  const { code, message, details } = JSON.parse(Buffer.from(told).toString()) as {
    readonly code: ErrorCode;
    readonly message: string;
    readonly details: ErrorDetails[ErrorCode];
  };
  return new MachineError(code, `${message.charAt(0).toUpperCase()}${message.slice(1)}.`, details);
}

/** `run()`: a command in the guest from its start to its result. */

import type { GuestProcess, Output } from "./agent/client.js";
import { SIGKILL } from "./agent/linux-names.js";
import type { Start } from "./agent/messages.js";
import { MachineError, TimeoutError } from "./errors.js";
import type { RunResult } from "./guest.js";
import type { CarriedOptions } from "./streams.js";
import { malformed, parseBytes, parseDuration } from "./units.js";

/** What `run()` keeps of a command's output unless told otherwise, both streams together. */
const DEFAULT_MAX_OUTPUT = "64MiB";

/** The most a START message may hold, so that the guest's serial port has room for it. */
const MAX_COMMAND_BYTES = 32 << 10;

const encoder = new TextEncoder();

/** Who starts processes in a guest: the agent in a machine, the runtime of a container. */
export interface ProcessStarter {
  /**
   * Starts a process; rejects with `COMMAND_NOT_STARTED` where the guest's kernel refuses it. Nobody wants it any more
   * once `givenUp` fires.
   */
  start(start: Start, output: Output, givenUp: AbortSignal): Promise<GuestProcess>;
}

/** Runs commands by way of whoever starts processes in the guest. */
export class CommandRunner {
  readonly #starter: ProcessStarter;

  constructor(starter: ProcessStarter) {
    this.#starter = starter;
  }

  /**
   * Runs a command: a string goes to `/bin/sh -c`, an array is the argument vector.
   * @throws MachineError `COMMAND_NOT_STARTED`, `OUTPUT_TOO_LARGE`, `ABORTED`, `OPTION_INVALID`, `AGENT_PROTOCOL`
   * @throws TimeoutError
   */
  async run(
    command: string | readonly string[],
    options: CarriedOptions = {},
  ): Promise<RunResult<string | Uint8Array>> {
    const start = startOf(command, options);
    const output = new CollectedOutput(parseBytes(options.maxOutput ?? DEFAULT_MAX_OUTPUT, "maxOutput"));
    using limits = new Limits(start, output, options);
    const givenUp = new AbortController();
    const starting = this.#starter.start(start, output.add, givenUp.signal);
    const process = await limits.guard(starting, () => {
      givenUp.abort();
      // Started in this moment, or by one who cannot be called off: then it is not to go on.
      void starting.then(kill, () => undefined);
    });
    const { stdin } = options;
    const fed = process
      .write(typeof stdin === "string" ? encoder.encode(stdin) : (stdin ?? new Uint8Array()))
      .finally(() => {
        process.closeStdin();
      });
    const [end] = await limits.guard(Promise.all([process.ended, fed]), () => {
      kill(process);
    });
    const decode = (stream: "stdout" | "stderr"): string | Uint8Array =>
      options.output === "bytes" ? output.bytes(stream) : new TextDecoder().decode(output.bytes(stream));
    return { stdout: decode("stdout"), stderr: decode("stderr"), ...end };
  }
}

function kill(process: GuestProcess): void {
  process.kill(SIGKILL);
}

/** What a command has written, up to a limit. */
class CollectedOutput {
  readonly limit: number;
  /** Resolves when there was more than the limit. */
  readonly exceeded: Promise<void>;
  readonly #exceed: () => void;
  readonly #parts: { stdout: Uint8Array[]; stderr: Uint8Array[] } = { stdout: [], stderr: [] };
  #length = 0;

  constructor(limit: number) {
    this.limit = limit;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.exceeded = promise;
    this.#exceed = resolve;
  }

  readonly add = (stream: "stdout" | "stderr", data: Uint8Array): void => {
    this.#length += data.length;
    if (this.#length > this.limit) this.#exceed();
    else this.#parts[stream].push(data);
  };

  bytes(stream: "stdout" | "stderr"): Uint8Array {
    const parts = this.#parts[stream];
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** What may end a command early: time, the caller, too much output. */
class Limits implements Disposable {
  readonly #reached = Promise.withResolvers<never>();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => {
    const reason = String(this.#signal?.reason);
    this.#reached.reject(new MachineError("ABORTED", `The command was given up: ${reason}.`, { reason }));
  };

  constructor(start: Start, output: CollectedOutput, { timeout, signal }: CarriedOptions) {
    this.#reached.promise.catch(() => undefined);
    if (timeout !== undefined) {
      const milliseconds = parseDuration(timeout, "timeout");
      const expire = (): void => {
        const transcript = new TextDecoder().decode(output.bytes("stdout"));
        this.#reached.reject(new TimeoutError(`the command ${start.command.join(" ")}`, milliseconds, transcript));
      };
      this.#timer = setTimeout(expire, milliseconds);
    }
    void output.exceeded.then(() => {
      const message = `The command wrote more than ${output.limit} bytes: give run() a larger maxOutput.`;
      this.#reached.reject(new MachineError("OUTPUT_TOO_LARGE", message, { limit: output.limit }));
    });
    this.#signal = signal;
    if (signal?.aborted === true) this.#abort();
    signal?.addEventListener("abort", this.#abort);
  }

  /** Waits for `work`; when a limit is reached first, calls `giveUp` and rejects. */
  async guard<T>(work: Promise<T>, giveUp: () => void): Promise<T> {
    try {
      return await Promise.race([work, this.#reached.promise]);
    } catch (error) {
      work.catch(() => undefined);
      giveUp();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}

/** Checks what the protocol cannot carry. */
function startOf(command: string | readonly string[], { cwd, env }: CarriedOptions): Start {
  const start: Start = { command: typeof command === "string" ? ["/bin/sh", "-c", command] : command, cwd, env };
  if (start.command.length === 0) throw malformed("command", "", "a program and its arguments");
  const variables = Object.entries(env ?? {});
  const nameless = variables.find(([name]) => name === "" || name.includes("="));
  if (nameless !== undefined)
    throw malformed("env", nameless[0], "variables whose names are not empty and hold no '='");
  const texts = [...start.command, cwd ?? "", ...variables.flat()];
  if (texts.some((text) => text.includes("\0"))) throw malformed("command", undefined, "text without NUL characters");
  const bytes = texts.reduce((sum, text) => sum + encoder.encode(text).length + 2, 0);
  if (bytes > MAX_COMMAND_BYTES) {
    throw malformed("command", `${bytes} bytes`, "at most 32 KiB with its environment: use stdin for more");
  }
  return start;
}

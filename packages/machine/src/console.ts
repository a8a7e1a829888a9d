/** The guest's console: its first serial port, and waiting for what appears there. */

import { MachineError, TimeoutError } from "./errors.js";
import { Serial, type SerialPort } from "./serial.js";
import { parseDuration, type Duration } from "./units.js";

/** How long to wait, and who may end it. */
export interface WaitOptions {
  /** After this long, give up; 30 seconds where nobody says. */
  readonly timeout?: Duration;
  /** Ends the wait with the error `ABORTED`. */
  readonly signal?: AbortSignal;
}

/** The guest's console. */
export interface Console extends SerialPort {
  /**
   * Waits until `pattern` appears in what the guest has sent since the last match (at first, since power-on).
   * Resolves with that text up to and including the match; the next wait starts after it.
   * @throws TimeoutError with the transcript
   * @throws MachineError `GUEST_STOPPED` with the transcript, `ABORTED`, `OPTION_INVALID`
   */
  waitFor(pattern: string | RegExp, options?: WaitOptions): Promise<string>;
}

/** Unmatched text kept for the next wait. A guest that never stops talking must not fill the host's memory. */
const WINDOW_CHARACTERS = 1 << 20;

interface Waiter {
  readonly pattern: string | RegExp;
  readonly resolve: (text: string) => void;
  readonly reject: (error: MachineError) => void;
}

/** {@link Console} over a function that reaches the machine. */
export class SerialConsole extends Serial implements Console {
  readonly #decoder = new TextDecoder();
  readonly #waiters = new Set<Waiter>();
  #unmatched = "";
  #ended: string | undefined;

  override receive(bytes: Uint8Array): void {
    this.#unmatched += this.#decoder.decode(bytes, { stream: true });
    // Not each time: that copies all of it.
    if (this.#waiters.size > 0 || this.#unmatched.length > 2 * WINDOW_CHARACTERS) this.#forget();
    super.receive(bytes);
    for (const waiter of [...this.#waiters]) this.#try(waiter);
  }

  /** Tells everybody who waits that nothing more will come. */
  end(reason: string): void {
    this.#ended = reason;
    for (const waiter of [...this.#waiters]) this.#settle(waiter, this.#stopped(reason));
  }

  async waitFor(pattern: string | RegExp, { timeout = "30s", signal }: WaitOptions = {}): Promise<string> {
    const milliseconds = parseDuration(timeout, "timeout");
    if (signal?.aborted === true) throw abortError(signal);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const waiter: Waiter = { pattern, resolve, reject };
    this.#forget();
    this.#waiters.add(waiter);
    const timer = setTimeout(() => {
      this.#settle(waiter, new TimeoutError(`${String(pattern)} on the console`, milliseconds, this.#unmatched));
    }, milliseconds);
    const abort = (): void => {
      if (signal !== undefined) this.#settle(waiter, abortError(signal));
    };
    signal?.addEventListener("abort", abort);
    this.#try(waiter);
    if (this.#ended !== undefined) this.#settle(waiter, this.#stopped(this.#ended));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Keeps the window. */
  #forget(): void {
    this.#unmatched = this.#unmatched.slice(-WINDOW_CHARACTERS);
  }

  #try(waiter: Waiter): void {
    const end = endOfMatch(this.#unmatched, waiter.pattern);
    if (end === undefined) return;
    waiter.resolve(this.#unmatched.slice(0, end));
    this.#unmatched = this.#unmatched.slice(end);
    this.#waiters.delete(waiter);
  }

  #settle(waiter: Waiter, error: MachineError): void {
    this.#waiters.delete(waiter);
    waiter.reject(error);
  }

  #stopped(reason: string): MachineError {
    const transcript = this.#unmatched;
    return new MachineError("GUEST_STOPPED", `The guest ended (${reason}) before the text that was waited for came.`, {
      reason,
      transcript,
    });
  }
}

function endOfMatch(text: string, pattern: string | RegExp): number | undefined {
  if (typeof pattern === "string") {
    const index = text.indexOf(pattern);
    return index < 0 ? undefined : index + pattern.length;
  }
  // Sticky or global patterns carry a position from call to call, which would skip text here.
  const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(text);
  return match === null ? undefined : match.index + match[0].length;
}

/** The error for a fired signal. */
export function abortError(signal: AbortSignal): MachineError<"ABORTED"> {
  const reason = signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
  return new MachineError("ABORTED", `The caller called it off: ${reason}.`, { reason }, { cause: signal.reason });
}

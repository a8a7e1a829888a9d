/** The prompt of a guest's console, which every contender has. */

import type { BootedGuest } from "./contender.js";

/** A console, in both directions. */
export interface Terminal {
  write(text: string): Promise<void>;
  /** Resolves with what the guest has sent since the last match, up to and including `pattern`. */
  waitFor(pattern: string): Promise<string>;
}

/** Waits for the prompt of `guest`, which was started at the time `start`, and ends the guest if none comes. */
export async function bootToPrompt(
  guest: Terminal & AsyncDisposable,
  prompt: string,
  start: number,
): Promise<BootedGuest> {
  await using unlessBooted = new AsyncDisposableStack();
  unlessBooted.use(guest);
  await guest.waitFor(prompt);
  const seconds = (performance.now() - start) / 1000;
  const owned = unlessBooted.move();
  return {
    seconds,
    async run(command) {
      await guest.write(`${shellWords(command)}\n`);
      return await guest.waitFor(prompt);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `command` as a shell takes it, every argument whole. */
export function shellWords(command: readonly string[]): string {
  return command.map((word) => (/^[\w./:-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}

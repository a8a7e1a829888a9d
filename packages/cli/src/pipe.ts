/** The guest's console at the end of a pipe: what comes in is typed, what the guest shows goes out. */

import type { Exit, Machine } from "@terrarium/machine";
import { Quiet } from "./quiet.js";

/** Linux's line discipline holds 4,095 characters nobody has read yet (N_TTY_BUF_SIZE) and drops the rest. */
const PIECE_BYTES = 1_024;
/** After a piece, the guest counts as having read it when it has been silent for this long. */
const PIECE_SILENCE_MS = 250;

/**
 * Runs until the guest ends, however early `input` does. What is typed before a shell reads its terminal would be
 * lost, so nothing is until the guest shows `prompt`, or, where that is not known, waits for something.
 */
export async function pipe(
  machine: Machine,
  prompt: string | undefined,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<Exit> {
  const quiet = new Quiet(machine);
  machine.console.onData((bytes) => output.write(bytes));
  // A reader that goes away (`| head`) ends the guest, as a pipe ends any program.
  output.once("error", () => void machine.stop());
  const ready = prompt === undefined ? quiet.ready() : machine.console.waitFor(prompt, { timeout: "24h" });
  // Both fail when the guest ends first, which `exited` tells better.
  void ready.then(() => type(machine, input, quiet)).catch(() => undefined);
  const exit = await machine.exited;
  input.destroy();
  return exit;
}

async function type(machine: Machine, input: AsyncIterable<Buffer>, quiet: Quiet): Promise<void> {
  for await (const chunk of input) {
    for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
      await machine.console.write(chunk.subarray(start, start + PIECE_BYTES));
      if (chunk.length > PIECE_BYTES) await quiet.silent(PIECE_SILENCE_MS);
    }
  }
}

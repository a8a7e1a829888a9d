/** The guest's console at the end of a pipe: what comes in is typed, what the guest shows goes out. */

import type { Exit, Machine } from "@terrarium/machine";

/** A guest without a known prompt counts as ready once it has been silent for this long. */
const READY_SILENCE_MS = 2_000;
/** Linux's line discipline holds 4,095 characters nobody has read yet (N_TTY_BUF_SIZE) and drops the rest. */
const PIECE_BYTES = 1_024;
/** After a piece, the guest counts as having read it when it has been silent for this long. */
const PIECE_SILENCE_MS = 250;

/** Runs until the guest ends, however early `input` does. */
export async function pipe(
  machine: Machine,
  prompt: string | undefined,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<Exit> {
  const silence = new Silence(machine);
  machine.console.onData((bytes) => output.write(bytes));
  // A reader that goes away (`| head`) ends the guest, as a pipe ends any program.
  output.once("error", () => void machine.stop());
  const ready =
    prompt === undefined ? silence.lasting(READY_SILENCE_MS) : machine.console.waitFor(prompt, { timeout: "24h" });
  // Both fail when the guest ends first, which `exited` tells better.
  void ready.then(() => type(machine, input, silence)).catch(() => undefined);
  const exit = await machine.exited;
  input.destroy();
  return exit;
}

async function type(machine: Machine, input: AsyncIterable<Buffer>, silence: Silence): Promise<void> {
  for await (const chunk of input) {
    for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
      await machine.console.write(chunk.subarray(start, start + PIECE_BYTES));
      if (chunk.length > PIECE_BYTES) await silence.lasting(PIECE_SILENCE_MS);
    }
  }
}

/** Tells when the guest's console has been silent for a while. */
class Silence {
  #last = performance.now();

  constructor(machine: Machine) {
    machine.console.onData(() => {
      this.#last = performance.now();
    });
  }

  async lasting(milliseconds: number): Promise<void> {
    const start = performance.now();
    for (;;) {
      const remaining = Math.max(this.#last, start) + milliseconds - performance.now();
      if (remaining <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, remaining));
    }
  }
}

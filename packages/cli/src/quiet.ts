/** When a guest whose prompt nobody knows waits for input. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "@terrarium/machine";

const LOOK_MS = 250;
/** Kernels write whole lines: one that ends without a line feed is a prompt, once it has stood there for this long. */
const PROMPT_MS = 500;
/** A guest without a prompt waits when it says nothing and does next to nothing for this long. */
const IDLE_MS = 2_000;
/** An idle Linux wakes up now and then; a busy one retires a hundred times this. */
const IDLE_INSTRUCTIONS_PER_LOOK = 250_000;
/** Control sequences (ECMA-48, 5.4) move and colour, they are not text. */
// eslint-disable-next-line no-control-regex -- that is what they are made of
const CONTROL_SEQUENCE = /\x1b\[[0-?]*[ -/]*[@-~]/g;

/** Watches a guest's console and its processor. */
export class Quiet {
  readonly #machine: Machine;
  readonly #decoder = new TextDecoder();
  #lastData = performance.now();
  #lastLine = "";

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.console.onData((bytes) => {
      this.#lastData = performance.now();
      const text = this.#lastLine + this.#decoder.decode(bytes, { stream: true });
      this.#lastLine = text.slice(text.lastIndexOf("\n") + 1).slice(-1_000);
    });
  }

  /** Resolves when the guest waits for input; rejects when it ends before. */
  async ready(): Promise<void> {
    let { instructions } = await this.#machine.stats();
    let idleSince = performance.now();
    for (;;) {
      await sleep(LOOK_MS);
      const silence = performance.now() - this.#lastData;
      if (silence >= PROMPT_MS && this.#lastLine.replace(CONTROL_SEQUENCE, "").trim() !== "") return;
      const before = instructions;
      ({ instructions } = await this.#machine.stats());
      if (instructions - before > IDLE_INSTRUCTIONS_PER_LOOK) idleSince = performance.now();
      if (Math.min(silence, performance.now() - idleSince) >= IDLE_MS) return;
    }
  }

  /** Resolves after `milliseconds` in which the console was silent. */
  async silent(milliseconds: number): Promise<void> {
    const start = performance.now();
    for (;;) {
      const remaining = Math.max(this.#lastData, start) + milliseconds - performance.now();
      if (remaining <= 0) return;
      await sleep(remaining);
    }
  }
}

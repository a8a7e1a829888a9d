/** What the guest sends, batched by the slice, and no faster than the caller's thread takes it. */

import type { CoreMachine } from "@terrarium/core";
import { transfer } from "comlink";
import type { Exit, MachineEvents } from "./protocol.js";

/** Serial ports of the board `pc`: COM1 is the console, COM2 the agent's. */
const PORTS = [0, 1];
/** With this much under way the guest waits. A caller that is busy must not make the worker pile up output. */
const WINDOW_BYTES = 1 << 20;

/** Sends one machine's output to its caller. */
export class Outbox {
  readonly #machine: CoreMachine;
  readonly #events: MachineEvents;
  readonly #traced: boolean;
  #underWay = 0;

  constructor(machine: CoreMachine, events: MachineEvents, traced: boolean) {
    this.#machine = machine;
    this.#events = events;
    this.#traced = traced;
  }

  /** Sends what there is. Resolves at once, unless the caller is behind. */
  async flush(): Promise<void> {
    let last: Promise<void> | undefined;
    for (const port of PORTS) {
      const bytes = this.#machine.serialOutput(port);
      if (bytes.length === 0) continue;
      const { length } = bytes;
      last = this.#track(length, () => this.#events.serial(port, transfer(bytes, [bytes.buffer])));
    }
    if (this.#traced) {
      const text = this.#machine.takeTrace();
      if (text !== "") last = this.#track(text.length, () => this.#events.trace(text));
    }
    if (this.#underWay > WINDOW_BYTES) await last;
  }

  /** Sends what is left and the reason for the end, and waits until it has arrived. */
  async close(exit: Exit): Promise<void> {
    // After a mistake of ours the core may be beyond answering; the reason must arrive all the same.
    if (exit.reason !== "failed") await this.flush();
    await this.#events.exited(exit);
  }

  async #track(amount: number, send: () => void | Promise<void>): Promise<void> {
    this.#underWay += amount;
    await send();
    this.#underWay -= amount;
  }
}

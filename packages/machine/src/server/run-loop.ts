/** Runs one machine in slices short enough that its worker answers messages at once. */

import type { CoreMachine, RunOutcome } from "@terrarium/core";
import { toWire } from "../errors.js";
import { PausableClock } from "./clock.js";
import { Outbox } from "./outbox.js";
import type { Exit, MachineEvents } from "./protocol.js";

/** Slices aim at this length: long enough to cost nothing, short enough not to be felt when typing. */
const SLICE_MS = 8;
/** Budget of the first slice; later ones follow the speed that was seen. */
const FIRST_BUDGET = 100_000;
const LARGEST_BUDGET = 1_000_000_000;
/** Below this it is better to look again at once: timers are no finer than a millisecond. */
const SHORTEST_SLEEP_MS = 0.5;
/** Re-examines very distant deadlines now and then; timers count in signed 32-bit milliseconds. */
const LONGEST_SLEEP_MS = 60_000;

/** A way to give way to the event loop. */
export interface Turn {
  /** Resolves after the messages and timers that are due now had their turn. */
  give(): Promise<void>;
  /** Lets the thread end. */
  close(): void;
}

/** What a loop is connected to. */
export interface LoopOptions {
  readonly events: MachineEvents;
  /** Whether trace lines are wanted. */
  readonly traced: boolean;
  readonly turn: Turn;
  /** Starts the machine again after a reset; without it a reset ends the run. */
  readonly reboot?: () => Promise<void>;
}

/** The loop around one machine. It runs from the start until an exit, which it reports as the last event. */
export class RunLoop {
  readonly #machine: CoreMachine;
  readonly #clock = new PausableClock();
  readonly #outbox: Outbox;
  readonly #turn: Turn;
  readonly #input: Uint8Array[][] = [[], []];
  readonly #reboot: (() => Promise<void>) | undefined;
  #budget = FIRST_BUDGET;
  #paused = false;
  #exit: Exit | undefined;
  /** Something happened that the next step must see; guards the gap between a slice and falling asleep. */
  #poked = false;
  #wake: () => void = () => undefined;

  constructor(machine: CoreMachine, { events, traced, turn, reboot }: LoopOptions) {
    this.#machine = machine;
    this.#turn = turn;
    this.#reboot = reboot;
    this.#outbox = new Outbox(machine, events, traced);
    // Not from within the constructor's call: the caller's answer goes out first.
    void this.#turn.give().then(() => this.#run());
  }

  /** Whether the machine can still be asked anything. */
  get ended(): boolean {
    return this.#exit !== undefined;
  }

  /** Queues bytes for serial port `port`. */
  write(port: number, bytes: Uint8Array): void {
    this.#input[port]?.push(bytes);
    this.#poke();
  }

  /** Stands still before the next slice. */
  pause(): void {
    this.#paused = true;
    this.#clock.stop();
    this.#poke();
  }

  /** Goes on. */
  resume(): void {
    this.#paused = false;
    this.#clock.go();
    this.#poke();
  }

  /** Ends the run. */
  stop(): void {
    this.#exit ??= { reason: "stopped" };
    this.#poke();
  }

  #poke(): void {
    this.#poked = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    try {
      while (this.#exit === undefined) await this.#step();
    } catch (thrown) {
      this.#exit = { reason: "failed", error: toWire(thrown) };
    }
    this.#turn.close();
    await this.#outbox.close(this.#exit);
  }

  async #step(): Promise<void> {
    this.#poked = false;
    if (this.#paused) {
      await this.#sleep(undefined);
      return;
    }
    this.#offerInput();
    const outcome = this.#slice();
    await this.#outbox.flush();
    if (outcome.kind === "running") await this.#turn.give();
    else if (outcome.kind === "reset" && this.#reboot !== undefined) await this.#reboot();
    else if (outcome.kind !== "idle") this.#exit ??= exitOf(outcome);
    else if (!this.#offerInput()) await this.#sleep(outcome.untilNs);
  }

  /** The guest's UART takes as much as its FIFO holds; the rest waits here. Tells whether it took anything. */
  #offerInput(): boolean {
    let progress = false;
    for (const [port, queue] of this.#input.entries()) {
      for (let bytes = queue.shift(); bytes !== undefined; bytes = queue.shift()) {
        const taken = this.#machine.serialInput(port, bytes);
        progress ||= taken > 0;
        if (taken === bytes.length) continue;
        queue.unshift(bytes.subarray(taken));
        break;
      }
    }
    return progress;
  }

  #slice(): RunOutcome {
    const start = performance.now();
    const outcome = this.#machine.run(this.#clock.nowNs(), this.#budget);
    const elapsed = performance.now() - start;
    if (elapsed > 2 * SLICE_MS) this.#budget = Math.max(FIRST_BUDGET, Math.floor(this.#budget / 2));
    else if (elapsed < SLICE_MS / 2 && outcome.kind === "running") {
      this.#budget = Math.min(LARGEST_BUDGET, this.#budget * 2);
    }
    return outcome;
  }

  /** Waits for a deadline in guest time, or for input; an idle guest costs nothing meanwhile. */
  async #sleep(untilNs: number | undefined): Promise<void> {
    const remaining = untilNs === undefined ? LONGEST_SLEEP_MS : (untilNs - this.#clock.nowNs()) / 1e6;
    if (this.#poked || remaining < SHORTEST_SLEEP_MS) {
      await this.#turn.give();
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(Math.ceil(remaining), LONGEST_SLEEP_MS));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }
}

function exitOf(outcome: Exclude<RunOutcome, { kind: "running" | "idle" }>): Exit {
  switch (outcome.kind) {
    case "powered-off":
    case "reset":
      return { reason: outcome.kind };
    case "debug-exit":
      return { reason: "debug-exit", code: outcome.code };
    case "fault":
      return { reason: "fault", dump: outcome.dump };
  }
}

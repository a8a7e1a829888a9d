/** A core for tests of what stands around it: a "guest" that answers every line typed at it. */

import type { Core, CoreMachine, CoreStats, DebugOutput, RunOutcome } from "@terrarium/core";

/** How the fake behaves. */
export interface FakeBehaviour {
  /** Outcomes of the first calls of `run`; afterwards the guest is idle until there is input. */
  readonly outcomes?: readonly RunOutcome[];
  /** Most bytes one call of `serialInput` takes, as a UART's FIFO does. */
  readonly fifoBytes?: number;
  /** Called at the start of every slice. */
  readonly onRun?: (nowNs: number, budget: number) => void;
  /** Called when the machine is told to compile. */
  readonly onCompile?: () => void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A machine that shows `login: ` first, then for every line typed shows `you said <line>`, and knows the lines
 * `poweroff` and `crash`.
 */
export class FakeMachine implements CoreMachine {
  readonly #behaviour: FakeBehaviour;
  readonly #outcomes: RunOutcome[];
  readonly #received = [encoder.encode(""), encoder.encode("")];
  #sent = encoder.encode("login: ");
  #runs = 0;

  constructor(behaviour: FakeBehaviour = {}, memory = "") {
    this.#behaviour = behaviour;
    this.#outcomes = [...(behaviour.outcomes ?? [])];
    if (memory !== "") this.#sent = encoder.encode(memory);
  }

  profile(): [] {
    return [];
  }

  region(): undefined {
    return undefined;
  }

  compile(): void {
    this.#behaviour.onCompile?.();
  }

  run(nowNs: number, budget: number): RunOutcome {
    this.#runs += 1;
    this.#behaviour.onRun?.(nowNs, budget);
    const given = this.#outcomes.shift();
    if (given !== undefined) return given;
    const typed = decoder.decode(this.#received[0]);
    const end = typed.indexOf("\n");
    this.#fifo = 0;
    if (end < 0) return { kind: "idle" };
    const line = typed.slice(0, end);
    this.#received[0] = encoder.encode(typed.slice(end + 1));
    if (line === "crash") throw new Error("the core met a case it does not know");
    if (line === "poweroff") return { kind: "powered-off" };
    this.#sent = concat(this.#sent, encoder.encode(`you said ${line}\n`));
    return { kind: "running" };
  }

  #fifo = 0;

  serialInput(port: number, bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, (this.#behaviour.fifoBytes ?? Infinity) - this.#fifo);
    this.#fifo += taken;
    this.#received[port] = concat(this.#received[port] ?? new Uint8Array(), bytes.subarray(0, taken));
    return taken;
  }

  serialOutput(port: number): Uint8Array {
    if (port !== 0) return new Uint8Array();
    const sent = this.#sent;
    this.#sent = new Uint8Array();
    return sent;
  }

  reboot(): void {
    this.#sent = encoder.encode("login again: ");
  }

  stats(): CoreStats {
    // Nothing else that the fake counts is asked for.
    return { instructions: this.#runs } as CoreStats;
  }

  snapshot(): Uint8Array {
    return encoder.encode("back again: ");
  }

  takeTrace(): string {
    return "";
  }

  debug(): DebugOutput {
    return { postCodes: new Uint8Array(), console: new Uint8Array() };
  }

  free(): void {
    this.#outcomes.length = 0;
  }
}

/** A core that makes fake machines. */
export function fakeCore(behaviour: FakeBehaviour = {}): Core {
  return {
    face: "wasm",
    createMachine: () => new FakeMachine(behaviour),
    restoreMachine: (snapshot) => new FakeMachine(behaviour, decoder.decode(snapshot)),
    createLockstep: () => {
      throw new Error("the fake has one engine only");
    },
    errorTable: () => [],
    raise: (error) => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- cores throw data
      throw { ...error, message: "as the core would say" };
    },
  };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}

/** The worker's side: one machine, and the calls that reach it. */

import type { Core, CoreError, CoreMachine, CoreStats, DebugOutput, HotRegion, RegionListing } from "@terrarium/core";
import type { Engine, ResolvedConfig } from "../config.js";
import { fromCore, MachineError, messageOf } from "../errors.js";
import type { MachineEvents, MachineServer, MachineState } from "./protocol.js";
import { RunLoop, type Turn } from "./run-loop.js";
import { bootSource, readStartup, type ReadFile, type Startup } from "./startup.js";

/** What the surroundings provide. */
export interface Surroundings {
  /** Loads the emulator core. */
  readonly loadCore: () => Promise<Core>;
  /** Reads the file at a URL (or path, where the host has any). */
  readonly readFile: ReadFile;
  /** A way to let messages and timers have their turn. */
  readonly newTurn: () => Turn;
}

interface Running {
  readonly machine: CoreMachine;
  readonly loop: RunLoop;
  readonly startup: Startup;
}

/** {@link MachineServer} over the emulator core. */
export class CoreServer implements MachineServer {
  readonly #surroundings: Surroundings;
  #running: Running | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  async start({ engine, profile, core: config, startup }: ResolvedConfig, events: MachineEvents): Promise<void> {
    const [core, source] = await Promise.all([this.#core(), bootSource(startup, this.#surroundings.readFile)]);
    const create = (): CoreMachine => {
      const machine = core.createMachine(config, source);
      if (engine !== "interpreter") machine.compile(profile);
      return machine;
    };
    this.#begin(create, startup, events, config.trace !== "");
    if (typeof startup.kernel === "string" && source.kernel !== undefined) release(source.kernel);
    if (typeof startup.initrd === "string" && source.initrd !== undefined) release(source.initrd);
  }

  async restore({ bytes, startup }: MachineState, engine: Engine, events: MachineEvents): Promise<void> {
    const core = await this.#core();
    const create = (): CoreMachine => {
      const machine = core.restoreMachine(bytes);
      if (engine !== "interpreter") machine.compile(false);
      return machine;
    };
    this.#begin(create, startup, events, false);
    release(bytes);
  }

  write(port: number, bytes: Uint8Array): void {
    this.#live().loop.write(port, bytes);
  }

  pause(): void {
    this.#live().loop.pause();
  }

  resume(): void {
    this.#live().loop.resume();
  }

  async snapshot(): Promise<MachineState> {
    const { machine, startup } = this.#live();
    const bytes = translated(() => machine.snapshot());
    return { bytes, startup: await readStartup(startup, this.#surroundings.readFile) };
  }

  stats(): CoreStats {
    const { machine } = this.#live();
    return translated(() => machine.stats());
  }

  profile(): readonly HotRegion[] {
    const { machine } = this.#live();
    return translated(() => machine.profile());
  }

  region(slot: number): RegionListing | undefined {
    const { machine } = this.#live();
    return translated(() => machine.region(slot));
  }

  debug(): DebugOutput {
    const { machine } = this.#live();
    return translated(() => machine.debug());
  }

  stop(): void {
    this.#running?.loop.stop();
  }

  async raise(error: Omit<CoreError, "message">): Promise<void> {
    const core = await this.#core();
    translated(() => {
      core.raise(error);
    });
  }

  #begin(create: () => CoreMachine, startup: Startup, events: MachineEvents, traced: boolean): void {
    const machine = translated(create);
    const reboot = async (): Promise<void> => {
      const source = await bootSource(startup, this.#surroundings.readFile);
      translated(() => {
        machine.reboot(source);
      });
    };
    const loop = new RunLoop(machine, {
      events,
      traced,
      turn: this.#surroundings.newTurn(),
      ...(startup.onReset === "reboot" ? { reboot } : {}),
    });
    this.#running = { machine, loop, startup };
  }

  #live(): Running {
    if (this.#running === undefined || this.#running.loop.ended) {
      throw new MachineError("GUEST_STOPPED", "The guest has ended.", { reason: "ended" });
    }
    return this.#running;
  }

  async #core(): Promise<Core> {
    try {
      return await this.#surroundings.loadCore();
    } catch (thrown) {
      const reason = messageOf(thrown);
      const mend = "build it with `npm run build`, or serve it beside the script";
      throw new MachineError("CORE_UNAVAILABLE", `The emulator core cannot be loaded (${reason}): ${mend}.`, {
        reason,
      });
    }
  }
}

/**
 * Gives back the memory of bytes the core has taken over, now rather than when they are collected: beside the guest's
 * own memory that may be the largest thing in the process. They are this thread's: read here, or copied by a message.
 */
function release(bytes: Uint8Array): void {
  if (bytes.buffer instanceof ArrayBuffer && bytes.length === bytes.buffer.byteLength) bytes.buffer.transfer(0);
}

/** Runs a call into the core; what it throws becomes an error of ours. */
function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromCore(thrown);
  }
}

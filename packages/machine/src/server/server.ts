/** The worker's side: one machine, and the calls that reach it. */

import type { BootFiles, Core, CoreError, CoreMachine, CoreStats, DebugOutput } from "@terrarium/core";
import type { ResolvedConfig } from "../config.js";
import { fromCore, MachineError, messageOf } from "../errors.js";
import type { MachineEvents, MachineServer } from "./protocol.js";
import { RunLoop } from "./run-loop.js";

/** What the surroundings provide. */
export interface Surroundings {
  /** Loads the emulator core. */
  readonly loadCore: () => Promise<Core>;
  /** Reads the file at a URL (or path, where the host has any). */
  readonly readFile: (source: string) => Promise<Uint8Array>;
}

/** {@link MachineServer} over the emulator core. */
export class CoreServer implements MachineServer {
  readonly #surroundings: Surroundings;
  #machine: CoreMachine | undefined;
  #loop: RunLoop | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  async start({ core: config, files }: ResolvedConfig, events: MachineEvents): Promise<void> {
    const [core, bytes] = await Promise.all([this.#core(), this.#read(files)]);
    this.#begin(() => core.createMachine(config, bytes), events, config.trace !== "");
    for (const file of [bytes.kernel, bytes.initrd, bytes.firmware]) if (file !== undefined) release(file);
  }

  async restore(snapshot: Uint8Array, events: MachineEvents): Promise<void> {
    const core = await this.#core();
    this.#begin(() => core.restoreMachine(snapshot), events, false);
    release(snapshot);
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

  snapshot(): Uint8Array {
    const { machine } = this.#live();
    return translated(() => machine.snapshot());
  }

  stats(): CoreStats {
    const { machine } = this.#live();
    return translated(() => machine.stats());
  }

  debug(): DebugOutput {
    const { machine } = this.#live();
    return translated(() => machine.debug());
  }

  stop(): void {
    this.#loop?.stop();
  }

  async raise(error: Omit<CoreError, "message">): Promise<void> {
    const core = await this.#core();
    translated(() => {
      core.raise(error);
    });
  }

  #begin(create: () => CoreMachine, events: MachineEvents, traced: boolean): void {
    this.#machine = translated(create);
    this.#loop = new RunLoop(this.#machine, events, traced);
  }

  #live(): { machine: CoreMachine; loop: RunLoop } {
    if (this.#machine === undefined || this.#loop === undefined || this.#loop.ended) {
      throw new MachineError("GUEST_STOPPED", "The guest has ended.", { reason: "ended" });
    }
    return { machine: this.#machine, loop: this.#loop };
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

  async #read(files: ResolvedConfig["files"]): Promise<BootFiles> {
    const entries = Object.entries(files).map(
      async ([role, source]) => [role, await this.#readOne(role, source)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  async #readOne(role: string, source: string | Uint8Array): Promise<Uint8Array> {
    if (typeof source !== "string") return source;
    try {
      return await this.#surroundings.readFile(source);
    } catch (thrown) {
      const reason = messageOf(thrown);
      throw new MachineError("FILE_UNREADABLE", `The ${role} ${source} cannot be read: ${reason}.`, { source, reason });
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

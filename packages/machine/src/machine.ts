/** A running machine, seen from the caller's thread. */

import type { CoreStats, DebugOutput, HotRegion, RegionListing } from "@terrarium/core";
import { proxy, type Remote } from "comlink";
import { CommandRunner } from "./agent.js";
import { AgentClient, type GuestProcess, type Output } from "./agent/client.js";
import { signalName } from "./agent/linux-names.js";
import { Copier, type Copy } from "./copy.js";
import { SerialConsole, type Console } from "./console.js";
import { fromWire, MachineError, toWire } from "./errors.js";
import { Emitter } from "./events.js";
import type {
  ArchiveSource,
  Capabilities,
  CopyInOptions,
  Guest,
  PackOptions,
  RunOptions,
  RunResult,
  UnpackOptions,
} from "./guest.js";
import type { Connection } from "./hosts/connection.js";
import { Serial, type SerialPort } from "./serial.js";
import type { Exit, MachineEvents, MachineServer } from "./server/protocol.js";
import type { Snapshot } from "./snapshot.js";
import { carriedAlone } from "./streams.js";

/** How long `stop()` waits for the worker to answer before it ends the worker itself. */
const STOP_GRACE_MS = 2_000;

let created = 0;

/** What is known of a guest apart from its state. */
export interface Identity {
  /** Name of the image, for messages. */
  readonly name: string;
  /** Whether the Terrarium agent listens on its second serial port. */
  readonly agent: boolean;
  /** Whether its init reports how its program ended. */
  readonly reportsEnd: boolean;
  /** Whether its program reads from a pipe, which its agent feeds with what is written to the console. */
  readonly takesInput: boolean;
}

/** What a machine counts. */
export type MachineStats = CoreStats;

/** A running x86 PC. */
export class Machine implements Guest {
  readonly id = `machine-${++created}`;
  readonly kind = "machine";
  readonly capabilities: Capabilities;
  readonly exited: Promise<Exit>;
  readonly #identity: Identity;
  readonly #connection: Connection;
  readonly #console = new SerialConsole((bytes) => this.#type(bytes));
  readonly #second = new Serial((bytes) => this.#write(1, bytes));
  readonly #exits = new Emitter<Exit>();
  readonly #traces = new Emitter<string>();
  readonly #ended = Promise.withResolvers<Exit>();
  readonly #copier = new Copier((copy, output) => this.#startCopy(copy, output));
  #agent: AgentClient | undefined;
  #runner: CommandRunner | undefined;
  /** Where the program's input goes that has no terminal. */
  #feed: Promise<GuestProcess> | undefined;
  #fed: Promise<unknown> = Promise.resolve();
  #exit: Exit | undefined;

  private constructor(connection: Connection, identity: Identity) {
    this.#connection = connection;
    this.#identity = identity;
    this.capabilities = { run: identity.agent, pause: true, snapshot: "machine", copy: identity.agent };
    this.exited = this.#ended.promise;
    connection.died.catch((error: unknown) => this.#end({ reason: "failed", error: toWire(error) }));
  }

  /** Starts a machine over `connection` with `begin`. For `boot()`. */
  static async start(
    connection: Connection,
    identity: Identity,
    begin: (server: Remote<MachineServer>, events: MachineEvents) => Promise<void>,
  ): Promise<Machine> {
    const machine = new Machine(connection, identity);
    try {
      await Promise.race([begin(connection.server, proxy(machine.#events())), connection.died]);
    } catch (error) {
      await connection.close();
      throw error;
    }
    if (identity.takesInput) machine.#startFeed();
    return machine;
  }

  /** The first serial port. */
  get console(): Console {
    return this.#console;
  }

  /**
   * Serial port `n`: 0 is the console, 1 belongs to the agent where the image has one.
   * @throws MachineError `OPTION_INVALID`
   */
  serial(n: number): SerialPort {
    if (n === 0) return this.#console;
    if (n === 1) return this.#second;
    const expected = "0 or 1";
    throw new MachineError("OPTION_INVALID", `The board has the serial ports ${expected}, not ${n}.`, {
      option: "serial",
      value: String(n),
      expected,
    });
  }

  run(
    command: string | readonly string[],
    options: RunOptions & { readonly output: "bytes" },
  ): Promise<RunResult<Uint8Array>>;
  run(command: string | readonly string[], options?: RunOptions): Promise<RunResult>;
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<RunResult<string | Uint8Array>> {
    const carried = carriedAlone(options);
    this.#runner ??= new CommandRunner(this.#needAgent());
    return await this.#whileAlive(this.#runner.run(command, carried));
  }

  async copyIn(path: string, data: string | Uint8Array, options: CopyInOptions = {}): Promise<void> {
    await this.#copier.copyIn(path, data, options);
  }

  async copyOut(path: string): Promise<Uint8Array> {
    return await this.#copier.copyOut(path);
  }

  async unpack(directory: string, archive: ArchiveSource, options: UnpackOptions = {}): Promise<void> {
    await this.#copier.unpack(directory, archive, options);
  }

  pack(path: string, options: PackOptions = {}): AsyncIterable<Uint8Array> {
    return this.#copier.pack(path, options);
  }

  /** Ends the input of the guest's program: of one at a terminal by the character for that, Ctrl-D. */
  closeInput(): void {
    const end =
      this.#feed === undefined
        ? () => this.#write(0, Uint8Array.of(4))
        : async () => {
            (await this.#feed)?.closeStdin();
          };
    // Nobody reads it any more where that fails.
    this.#fed = this.#fed.then(end).catch(() => undefined);
  }

  async pause(): Promise<void> {
    await this.#call((server) => server.pause());
  }

  async resume(): Promise<void> {
    await this.#call((server) => server.resume());
  }

  async snapshot(): Promise<Snapshot> {
    const state = await this.#call((server) => server.snapshot());
    const { name, agent, reportsEnd } = this.#identity;
    return { kind: "terrarium-snapshot", ...state, name, agent, reportsEnd };
  }

  async stats(): Promise<MachineStats> {
    return await this.#call((server) => server.stats());
  }

  /** Regions of compiled code, the one with most instructions first; none where it was not booted with `profile`. */
  async profile(): Promise<readonly HotRegion[]> {
    return await this.#call((server) => server.profile());
  }

  /** What is in the region that `profile()` told of; nothing where it is gone meanwhile. */
  async region(slot: number): Promise<RegionListing | undefined> {
    return await this.#call((server) => server.region(slot));
  }

  async stop(): Promise<void> {
    if (this.#exit !== undefined) return;
    const timer = setTimeout(() => void this.#end({ reason: "stopped" }), STOP_GRACE_MS);
    void this.#connection.server.stop();
    await this.exited;
    clearTimeout(timer);
  }

  /** What the guest wrote to port 0x80 (progress of firmware) and port 0xE9 (debug console) since the last call. */
  async debugOutput(): Promise<DebugOutput> {
    return await this.#call((server) => server.debug());
  }

  onExit(listener: (exit: Exit) => void): Disposable {
    return this.#exits.on(listener);
  }

  /** Calls `listener` with trace lines, where the `trace` option asked for any. */
  onTrace(listener: (lines: string) => void): Disposable {
    return this.#traces.on(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #events(): MachineEvents {
    return {
      serial: (port, bytes) => {
        (port === 0 ? this.#console : this.#second).receive(bytes);
      },
      trace: (text) => {
        this.#traces.emit(text);
      },
      exited: (exit) => {
        // Events have a port of their own and may overtake answers; one more answer, and all earlier ones are here.
        void this.#end(this.#identity.reportsEnd ? asReported(exit) : exit, this.#connection.server.stop());
      },
    };
  }

  /** `answered` resolves when no more answers to earlier calls can come. */
  async #end(exit: Exit, answered: Promise<unknown> = Promise.resolve()): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#exit = exit;
    this.#console.end(exit.reason);
    this.#exits.emit(exit);
    await answered;
    await this.#connection.close();
    this.#ended.resolve(exit);
  }

  #needAgent(): AgentClient {
    if (this.#exit !== undefined) throw stopped(this.#exit);
    if (!this.#identity.agent) {
      const { name } = this.#identity;
      const message = `${name} has no agent to run commands: use its console, or an image made with the agent.`;
      throw new MachineError("AGENT_MISSING", message, { image: name });
    }
    return (this.#agent ??= new AgentClient(this.#second));
  }

  /** In a child of the agent, `/proc/self/exe` is the agent. */
  async #startCopy(copy: Copy, output: Output): Promise<GuestProcess> {
    const command = ["/proc/self/exe", "copy", copy.kind, copy.path, ...wordsOf(copy)];
    const process = await this.#whileAlive(
      this.#needAgent().start({ command, cwd: undefined, env: undefined }, output),
    );
    return {
      ...process,
      ended: this.#whileAlive(process.ended),
      write: (data) => this.#whileAlive(process.write(data)),
    };
  }

  #startFeed(): void {
    const command = ["/proc/self/exe", "feed"];
    this.#feed = this.#needAgent().start({ command, cwd: undefined, env: undefined }, () => undefined);
    this.#feed.catch(() => undefined);
  }

  /** What is written to the console is the program's input. */
  async #type(bytes: Uint8Array): Promise<void> {
    const feed = this.#feed;
    if (feed === undefined) {
      await this.#write(0, bytes);
      return;
    }
    // One after another: a process takes them in portions.
    const fed = this.#fed.then(async () => {
      await this.#whileAlive((await this.#whileAlive(feed)).write(bytes));
    });
    this.#fed = fed.catch(() => undefined);
    await fed;
  }

  async #write(port: number, bytes: Uint8Array): Promise<void> {
    await this.#call((server) => server.write(port, bytes));
  }

  async #call<T>(action: (server: Remote<MachineServer>) => Promise<T>): Promise<T> {
    if (this.#exit !== undefined) throw stopped(this.#exit);
    return await this.#whileAlive(action(this.#connection.server));
  }

  /** A worker that has ended answers nothing, so every answer is raced against its end. */
  async #whileAlive<T>(answer: Promise<T>): Promise<T> {
    const end = this.exited.then((exit) => {
      throw stopped(exit);
    });
    return await Promise.race([answer, end]);
  }
}

/** What stands behind kind and path of a copy; emulator-core/crates/agent/src/copy.rs reads it. */
function wordsOf(copy: Copy): readonly string[] {
  switch (copy.kind) {
    case "fileIn":
      return [copy.mode.toString(8)];
    case "fileOut":
      return [];
    case "treeIn":
      return copy.owners ? ["owners"] : [];
    case "treeOut":
      return [copy.follow ? "follow" : "link", ...(copy.name === null ? [] : [copy.name])];
  }
}

/** The end of a guest's program, where its init has reported one; the port doubles what is written and adds one. */
function asReported(exit: Exit): Exit {
  if (exit.reason !== "debug-exit") return exit;
  const status = Math.floor(exit.code / 2);
  // wait(2): the low seven bits are the signal, the second byte is the exit code.
  const signal = status & 0x7f;
  if (signal !== 0) return { reason: "exited", exitCode: null, signal: signalName(signal) };
  return { reason: "exited", exitCode: (status >> 8) & 0xff, signal: null };
}

/** The error for asking something of a guest that has ended. */
function stopped(exit: Exit): MachineError {
  if (exit.reason === "failed") return fromWire(exit.error);
  const message = `The guest has ended (${exit.reason}): boot it again to go on.`;
  return new MachineError("GUEST_STOPPED", message, { reason: exit.reason });
}

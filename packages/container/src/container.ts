/** A running container. */

import { resolve } from "node:path";
import {
  MachineError,
  parseDuration,
  type ArchiveSource,
  type Capabilities,
  type Console,
  type CopyInOptions,
  type Duration,
  type Exit,
  type Guest,
  type PackOptions,
  type RunOptions,
  type RunResult,
  type StandardStreams,
  type UnpackOptions,
} from "@terrarium/machine";
import {
  CommandRunner,
  Copier,
  Emitter,
  SerialConsole,
  SIGKILL,
  splitStreams,
  toWire,
  malformed,
  outputOf,
  signalNumber,
  unsupported,
  type Copy,
  type GuestProcess,
  type Output as OutputListener,
  type ProcessEnd,
  type Start,
} from "@terrarium/machine/guest-kit";
import type { Port, ResolvedConfig, User } from "./config.js";
import { descriptorsOf, type Descriptors } from "./handing.js";
import type { Helper, SavedLayer, Served } from "./helper.js";
import { isRoot, processOf, specOf, userOf, type OciProcess } from "./oci.js";
import { collect, snapshotOf, type FilesSnapshot, type Origin } from "./snapshot.js";
import { failure } from "./work.js";

let created = 0;

/** What `stats()` of a container tells; what the host does not count is missing. */
export interface ContainerStats {
  /** Bytes of memory in use. */
  readonly memoryBytes?: number;
  /** Processor time since the start. */
  readonly cpuNanoseconds?: number;
  /** Processes and threads. */
  readonly tasks?: number;
  /** Processes killed for want of memory. */
  readonly oomKills?: number;
}

/** What a process has written. */
export interface Output {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** How another process is started. */
export interface ExecOptions {
  /** Whether it gets a terminal of its own; pipes where absent. */
  readonly terminal?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: User;
}

/** Whose right something is done by. */
export interface AsUser {
  /** Somebody else than the container's user. */
  readonly user?: User;
}

/** Another process of a container. */
export interface ContainerProcess {
  /** Its number on the host. */
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  write(bytes: Uint8Array): Promise<void>;
  closeInput(): void;
  kill(signal: number): void;
  /** Leaves what it writes where that is, or takes it again: who cannot pass it on sets the pace. */
  hold(held: boolean): void;
  /** Changes the size of its terminal. */
  resize(columns: number, rows: number): void;
}

/** How a container was made. */
interface Made {
  readonly origin: Origin;
  /** Whether what it writes is kept apart. */
  readonly overlay: boolean;
}

/** Processes on the host's kernel, behind namespaces of their own. */
export class Container implements Guest {
  readonly id = `container-${++created}`;
  readonly kind = "container";
  readonly capabilities: Capabilities;
  readonly exited: Promise<Exit>;
  /** How its first process ended, also where that was asked for. */
  readonly ended: Promise<ProcessEnd>;
  readonly #helper: Helper;
  readonly #config: ResolvedConfig;
  readonly #init: Served;
  readonly #console: SerialConsole;
  readonly #exits = new Emitter<Exit>();
  readonly #outputs: Emitter<Output>;
  readonly #made: Made;
  #exit: Exit | undefined;
  #stopping = false;
  #paused = false;
  /** The last of those who make it stand still, or let it go on. */
  #turn: Promise<unknown> | undefined;

  private constructor(
    helper: Helper,
    config: ResolvedConfig,
    made: Made,
    init: Served,
    console: SerialConsole,
    outputs: Emitter<Output>,
    held: readonly Disposable[],
  ) {
    this.#outputs = outputs;
    // Who has just been given the container listens by then.
    setImmediate(() => {
      for (const one of held) one[Symbol.dispose]();
    });
    this.#helper = helper;
    this.#config = config;
    this.#made = made;
    this.#init = init;
    this.#console = console;
    const snapshot = config.writes === "directory" ? false : "files";
    this.capabilities = { run: true, pause: init.freezes, snapshot, copy: true };
    this.ended = init.ended;
    this.exited = init.ended.then(
      ({ exitCode, signal }) =>
        this.#end(this.#stopping ? { reason: "stopped" } : { reason: "exited", exitCode, signal }),
      (error: unknown) => this.#end({ reason: "failed", error: toWire(error) }),
    );
  }

  /** Makes a container, which has written `saved` before it starts. For `boot()`. */
  static async start(helper: Helper, config: ResolvedConfig, origin: Origin, saved?: SavedLayer): Promise<Container> {
    const readsOnly = config.writes === "none" && config.lowers.length === 0 && saved === undefined;
    const made = { origin, overlay: config.writes !== "directory" && !readsOnly };
    const beginning = {
      type: "boot",
      spec: specOf(config),
      idmapped: isRoot(),
      overlay: made.overlay,
      lowers: config.lowers.map((path) => resolve(path)),
      writable: typeof config.writes === "object" ? resolve(config.writes.layer) : null,
      saved: saved ?? null,
      defaultProtection: true,
      init: config.init,
      network: config.network,
    } as const;
    const suspects = suspectsIn(config);
    const patience = { milliseconds: config.setupMs, signal: config.signal, suspects };
    const outputs = new Emitter<Output>();
    const starting = helper.start(
      beginning,
      (stream, bytes) => {
        console.receive(bytes);
        outputs.emit({ stream, bytes });
      },
      patience,
      config.own,
    );
    const console = new SerialConsole(async (bytes) => {
      await (await starting).write(bytes);
    });
    const held = [console.hold(), outputs.hold()];
    const init = await starting;
    return new Container(helper, config, made, init, console, outputs, held);
  }

  /** The first process's terminal, or its pipes. */
  get console(): Console {
    return this.#console;
  }

  /** Number of the first process on the host. */
  get pid(): number {
    return this.#init.pid;
  }

  /** Its address on a network of its own. */
  get address(): string | undefined {
    return this.#init.network?.address;
  }

  /** The ports of the host that lead into it. */
  get ports(): readonly Required<Port>[] {
    return this.#init.network?.ports ?? [];
  }

  run(
    command: string | readonly string[],
    options: RunOptions & { readonly output: "bytes" },
  ): Promise<RunResult<Uint8Array>>;
  run(command: string | readonly string[], options?: RunOptions): Promise<RunResult>;
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<RunResult<string | Uint8Array>> {
    const [streams, carried] = splitStreams(options);
    const own = descriptorsOf(streams);
    const runner = new CommandRunner({ start: (...start) => this.#start(own, ...start) });
    return await this.#whileAlive(() => runner.run(command, carried));
  }

  async pause(): Promise<void> {
    await this.#inTurn(() => this.#freeze(true));
    this.#paused = true;
  }

  async resume(): Promise<void> {
    await this.#inTurn(() => this.#freeze(false));
    this.#paused = false;
  }

  /**
   * The files it has written to its root, 1 GiB of them at most: neither processes nor memory, nor what is in volumes. Of
   * them `boot(snapshot)` makes another container over the same root, in memory unless its options say otherwise, in which
   * the program starts anew. The container stands still meanwhile; where it cannot (`capabilities.pause`), a file that is
   * being written may be torn. As in layers of images, there are no sockets, no names that begin with `.wh.`, and nothing of
   * the root directory itself, such as its mode.
   * @throws MachineError `UNSUPPORTED` with `writes: "directory"`, `ARCHIVE_TOO_LARGE`, `GUEST_STOPPED`
   */
  async snapshot(): Promise<FilesSnapshot> {
    if (this.capabilities.snapshot === false) {
      const feature = "a snapshot of a container that writes to its root's own directory";
      throw unsupported(feature, 'boot it with writes: "memory" or a layer');
    }
    const { origin, overlay } = this.#made;
    const files = await this.#inTurn(() =>
      this.#whileAlive(() => (overlay ? this.#packStill() : Promise.resolve(new Uint8Array()))),
    );
    return snapshotOf(origin, files);
  }

  async #packStill(): Promise<Uint8Array> {
    const pack = async (): Promise<Uint8Array> => {
      const request = { type: "snapshot", container: this.#init.number } as const;
      const archive = outputOf(
        (output) => this.#helper.start(request, output),
        (exitCode, told) => {
          if (exitCode !== 0) throw failure("a snapshot", told, exitCode === null ? "SIGKILL" : null);
        },
      );
      // Nobody wants the rest any more.
      const watch = this.onExit(() => void archive.return());
      return await collect(archive).finally(() => {
        watch[Symbol.dispose]();
      });
    };
    if (this.#paused || !this.capabilities.pause) return await pack();
    try {
      await this.#freeze(true);
      return await pack();
    } finally {
      await this.#freeze(false);
    }
  }

  /** Has `work` done when the last who makes it stand still, or lets it go on, has done that. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn === undefined ? work() : this.#turn.then(work);
    const turn = done.catch(() => undefined);
    this.#turn = turn;
    try {
      return await done;
    } finally {
      if (this.#turn === turn) this.#turn = undefined;
    }
  }

  /** Starts a process in it, which cannot be made while it stands still for a moment. */
  async #begin(...process: Parameters<Helper["start"]>): Promise<Served> {
    if (this.#turn !== undefined) await this.#turn;
    return await this.#helper.start(...process);
  }

  async stats(): Promise<ContainerStats> {
    const container = this.#init.number;
    const stats = await this.#whileAlive(() => this.#helper.ask({ type: "stats", container }));
    return Object.fromEntries(Object.entries(stats).filter(([, value]) => value !== null));
  }

  /** Calls `listener` with what the first process writes, its two streams told apart where they are pipes. */
  onOutput(listener: (output: Output) => void): Disposable {
    return this.#outputs.on(listener);
  }

  /** Ends the first process's input: a pipe is closed, a terminal sent its character for that. */
  closeInput(): void {
    this.#init.closeStdin();
  }

  /** Sends the first process a signal, such as `"SIGHUP"` or 1. */
  kill(signal: string | number): void {
    const number = signalNumber(String(signal));
    if (number === undefined) throw malformed("signal", String(signal), "the name or number of a signal");
    this.#init.kill(number);
  }

  /**
   * Starts another process, whose streams stay open while it runs; those of the caller are none of ours.
   * @throws MachineError `COMMAND_NOT_STARTED`, `GUEST_STOPPED`
   */
  async exec(
    command: readonly string[],
    options: ExecOptions & StandardStreams,
    onOutput: (output: Output) => void,
  ): Promise<ContainerProcess> {
    const own = descriptorsOf(options);
    const config = options.user === undefined ? this.#config : { ...this.#config, user: options.user };
    const spec = processOf(config, command, { terminal: false, ...options });
    const container = this.#init.number;
    const heard = (stream: Output["stream"], bytes: Uint8Array): void => {
      onOutput({ stream, bytes });
    };
    const suspects = suspectsIn(this.#config);
    const starting = this.#begin({ type: "exec", container, spec }, heard, { suspects }, own);
    const process = await this.#whileAlive(() => starting).catch((error: unknown) => {
      throw asNotStarted(error, command[0] ?? "");
    });
    return {
      pid: process.pid,
      ended: process.ended,
      write: (bytes) => process.write(bytes),
      closeInput: () => {
        process.closeStdin();
      },
      kill: (signal) => {
        process.kill(signal);
      },
      hold: (held) => {
        process.hold(held);
      },
      resize: (columns, rows) => {
        this.#helper.send({ type: "resize", process: process.number, rows, columns });
      },
    };
  }

  /** Changes the size of the console's terminal. */
  resize(columns: number, rows: number): void {
    this.#helper.send({ type: "resize", process: this.#init.number, rows, columns });
  }

  async copyIn(path: string, data: string | Uint8Array, options: CopyInOptions & AsUser = {}): Promise<void> {
    await this.#copier(options).copyIn(path, data, options);
  }

  async copyOut(path: string, options: AsUser = {}): Promise<Uint8Array> {
    return await this.#copier(options).copyOut(path);
  }

  async unpack(directory: string, archive: ArchiveSource, options: UnpackOptions & AsUser = {}): Promise<void> {
    await this.#copier(options).unpack(directory, archive, options);
  }

  pack(path: string, options: PackOptions & AsUser = {}): AsyncIterable<Uint8Array> {
    return this.#copier(options).pack(path, options);
  }

  #copier({ user }: AsUser): Copier {
    return new Copier((copy, output) => this.#startCopy(copy, user === undefined ? null : userOf(user), output));
  }

  async #startCopy(copy: Copy, user: OciProcess["user"] | null, output: OutputListener): Promise<GuestProcess> {
    const container = this.#init.number;
    return await this.#whileAlive(() =>
      this.#begin({ type: "copy", container, copy, user }, output, { suspects: suspectsIn(this.#config) }),
    );
  }

  /**
   * Ends the container. With `grace` its first process is asked first (SIGTERM, or what its image says), and killed when it has not ended after
   * that long; without, it is killed at once.
   */
  async stop(options: { readonly grace?: Duration } = {}): Promise<void> {
    const grace = options.grace === undefined ? 0 : parseDuration(options.grace, "grace");
    if (this.#exit !== undefined) return;
    this.#stopping = true;
    if (grace > 0) this.#init.kill(this.#config.stopSignal);
    const timer = setTimeout(() => {
      this.#init.kill(SIGKILL);
    }, grace);
    await this.exited;
    clearTimeout(timer);
  }

  onExit(listener: (exit: Exit) => void): Disposable {
    return this.#exits.on(listener);
  }

  /** Calls `listener` whenever the container has run out of the memory it was given. */
  onOom(listener: () => void): Disposable {
    return this.#init.ooms.on(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(
    own: Descriptors,
    { command, cwd, env }: Start,
    output: OutputListener,
    signal: AbortSignal,
  ): Promise<GuestProcess> {
    const spec = processOf(this.#config, command, { terminal: false, cwd, env });
    try {
      const beginning = { type: "exec", container: this.#init.number, spec } as const;
      return await this.#begin(beginning, output, { signal, suspects: suspectsIn(this.#config) }, own);
    } catch (error) {
      throw asNotStarted(error, command[0] ?? "");
    }
  }

  async #freeze(frozen: boolean): Promise<void> {
    const container = this.#init.number;
    await this.#whileAlive(() => this.#helper.ask({ type: "freeze", container, frozen }));
  }

  #end(exit: Exit): Exit {
    this.#exit = exit;
    this.#console.end(exit.reason);
    this.#exits.emit(exit);
    return exit;
  }

  /** What was begun when the container ended has failed for that reason, whatever else it says. */
  async #whileAlive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#exit !== undefined) throw stopped(this.#exit);
    const end = this.exited.then((exit) => {
      throw stopped(exit);
    });
    return await Promise.race([work(), end]);
  }
}

/** Paths of the host on which a container depends, and a process that is started in it may. */
function suspectsIn({ rootfs, writes, volumes }: ResolvedConfig): string[] {
  return [rootfs, ...(typeof writes === "object" ? [writes.layer] : []), ...volumes.map(({ source }) => source)];
}

/** In every kind of guest a program that cannot be run has the same code. */
function asNotStarted(error: unknown, program: string): unknown {
  const isOurs = error instanceof MachineError && error.code === "PROGRAM_UNUSABLE";
  if (!isOurs) return error;
  const reason = (error as MachineError<"PROGRAM_UNUSABLE">).details.reason;
  const message = `${program} could not be started: ${reason}.`;
  return new MachineError("COMMAND_NOT_STARTED", message, { program, reason }, { cause: error });
}

function stopped(exit: Exit): MachineError {
  const message = `The guest has ended (${exit.reason}): boot it again to go on.`;
  return new MachineError("GUEST_STOPPED", message, { reason: exit.reason });
}

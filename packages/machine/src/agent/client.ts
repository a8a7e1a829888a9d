/** The host's end of the agent's channel: finds the agent, starts processes, carries their input and output. */

import { MachineError } from "../errors.js";
import type { SerialPort } from "../serial.js";
import { encodeFrame, FrameReader } from "./framing.js";
import { errnoText, signalName } from "./linux-names.js";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type FromAgent,
  type Start,
  type ToAgent,
} from "./messages.js";

/** Standard input that may be on its way to a process, in bytes. */
const STDIN_WINDOW_BYTES = 4096;

/** Credit for output is returned in portions of half the window, for every message costs the guest an interrupt or more. */
const CREDIT_PORTION_BYTES = 32 << 10;

/** How a process ended. */
export interface ProcessEnd {
  /** Its exit code; null where a signal ended it. */
  readonly exitCode: number | null;
  /** Name of the signal that ended it, such as `SIGKILL`; null where it exited. */
  readonly signal: string | null;
}

/** Takes what a process writes. */
export type Output = (stream: "stdout" | "stderr", data: Uint8Array) => void;

/** A process in the guest. */
export interface GuestProcess {
  /** Resolves when the process has ended and all its output has been delivered. */
  readonly ended: Promise<ProcessEnd>;
  /** Writes to its standard input; resolves when the process has taken it, or will never. */
  write(data: Uint8Array): Promise<void>;
  /** Closes its standard input. */
  closeStdin(): void;
  /** Sends a signal, by number, to its process group. */
  kill(signal: number): void;
  /** Leaves its output where it is for now, or takes it again; where that can be said. */
  hold?(held: boolean): void;
}

interface Running {
  readonly started: PromiseWithResolvers<void>;
  readonly ended: PromiseWithResolvers<ProcessEnd>;
  readonly output: Output;
  /** Output taken and not yet credited, in bytes. */
  taken: number;
  /** Room for standard input, in bytes. */
  room: number;
  /** Who waits for room. */
  waiting: PromiseWithResolvers<void> | undefined;
}

/** A connection with the agent behind `port`. */
export class AgentClient {
  readonly #port: SerialPort;
  readonly #frames = new FrameReader();
  readonly #processes = new Map<number, Running>();
  #session = 0;
  #ready = Promise.withResolvers<void>();
  #lastProcess = 0;
  /** The START before the next: one at a time is on its way. */
  #starting: Promise<unknown> = Promise.resolve();

  /** Listens on `port` and greets the agent, or waits for one to appear. */
  constructor(port: SerialPort) {
    this.#port = port;
    port.onData((bytes) => {
      for (const frame of this.#frames.push(bytes)) this.#receive(decodeMessage(frame));
    });
    this.#greet();
  }

  /**
   * Starts a process, as soon as there is an agent.
   * @throws MachineError `COMMAND_NOT_STARTED`, `AGENT_PROTOCOL`
   */
  start(start: Start, output: Output): Promise<GuestProcess> {
    const next = this.#starting.then(() => this.#start(start, output));
    this.#starting = next.catch(() => undefined);
    return next;
  }

  async #start(start: Start, output: Output): Promise<GuestProcess> {
    await this.#ready.promise;
    const process = ++this.#lastProcess;
    const running: Running = {
      started: Promise.withResolvers(),
      ended: Promise.withResolvers(),
      output,
      taken: 0,
      room: STDIN_WINDOW_BYTES,
      waiting: undefined,
    };
    // Whoever started it may have given up before its end.
    running.ended.promise.catch(() => undefined);
    this.#processes.set(process, running);
    this.#send({ type: "start", process, start });
    try {
      await running.started.promise;
    } catch (error) {
      throw error instanceof StartFailure ? notStarted(start, error.errno) : error;
    }
    return {
      ended: running.ended.promise,
      write: (data) => this.#write(process, running, data),
      closeStdin: () => {
        this.#send({ type: "stdinEnd", process });
      },
      kill: (signal) => {
        this.#send({ type: "signal", process, signal });
      },
    };
  }

  async #write(process: number, running: Running, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) {
      while (running.room === 0 && this.#processes.has(process)) {
        running.waiting ??= Promise.withResolvers();
        await running.waiting.promise;
      }
      if (!this.#processes.has(process)) return;
      const portion = data.subarray(at, at + running.room);
      running.room -= portion.length;
      at += portion.length;
      this.#send({ type: "stdin", process, data: portion });
    }
  }

  #greet(): void {
    this.#session++;
    this.#send({ type: "hello", session: this.#session });
  }

  #receive(message: FromAgent | undefined): void {
    if (message === undefined) return;
    if (message.type === "hello") {
      this.#hello(message.version, message.session);
      return;
    }
    const running = this.#processes.get(message.process);
    if (running === undefined) return;
    switch (message.type) {
      case "started":
        running.started.resolve();
        break;
      case "failed":
        this.#forget(message.process, running);
        running.started.reject(new StartFailure(message.errno));
        break;
      case "stdout":
      case "stderr":
        running.output(message.type, message.data);
        this.#credit(message.process, running, message.data.length);
        break;
      case "credit":
        running.room = Math.min(running.room + message.bytes, STDIN_WINDOW_BYTES);
        running.waiting?.resolve();
        running.waiting = undefined;
        break;
      case "exited":
        this.#end(message.process, running, { exitCode: message.exitCode, signal: null });
        break;
      case "killed":
        this.#end(message.process, running, { exitCode: null, signal: signalName(message.signal) });
        break;
    }
  }

  #hello(version: number, session: number): void {
    if (version !== PROTOCOL_VERSION) {
      const reason = `it speaks version ${version} of the protocol, not ${PROTOCOL_VERSION}; build the image again`;
      this.#lose(reason);
      this.#ready.promise.catch(() => undefined);
      this.#ready.reject(protocolError(reason));
    } else if (session === this.#session) {
      this.#ready.resolve();
    } else if (session === 0) {
      // An agent that has just started: what ran under one before it is gone.
      this.#lose("it was started anew, and what ran under the one before is lost");
      this.#ready.promise.catch(() => undefined);
      const waiting = this.#ready;
      this.#ready = Promise.withResolvers();
      this.#ready.promise.then(waiting.resolve, waiting.reject);
      this.#greet();
    }
  }

  #credit(process: number, running: Running, bytes: number): void {
    running.taken += bytes;
    if (running.taken < CREDIT_PORTION_BYTES) return;
    this.#send({ type: "credit", process, bytes: running.taken });
    running.taken = 0;
  }

  #end(process: number, running: Running, end: ProcessEnd): void {
    this.#forget(process, running);
    running.ended.resolve(end);
  }

  #forget(process: number, running: Running): void {
    this.#processes.delete(process);
    running.waiting?.resolve();
  }

  /** Every process is beyond reach. */
  #lose(reason: string): void {
    for (const [process, running] of [...this.#processes]) {
      this.#forget(process, running);
      running.started.reject(protocolError(reason));
      running.ended.reject(protocolError(reason));
    }
  }

  #send(message: ToAgent): void {
    const frame = encodeFrame(encodeMessage(message));
    // A zero byte before a greeting ends what an earlier host may have left half-sent.
    const bytes = message.type === "hello" ? new Uint8Array([0, ...frame]) : frame;
    // A guest that has ended takes nothing; that it has ended is told to everybody who waits for it.
    this.#port.write(bytes).catch(() => undefined);
  }
}

/** Carries the number until the command it belongs to is at hand. */
class StartFailure extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

function notStarted(start: Start, errno: number): MachineError {
  const program = start.command[0] ?? "";
  const reason = errnoText(errno);
  return new MachineError("COMMAND_NOT_STARTED", `The guest cannot start ${program}: ${reason}.`, { program, reason });
}

function protocolError(reason: string): MachineError {
  return new MachineError("AGENT_PROTOCOL", `The agent in the guest cannot be used: ${reason}.`, { reason });
}

/**
 * The native helper: one process, started with the first container, that makes all of them. When this process ends,
 * however that happens, the helper takes down what it made and ends too.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { MachineError, type ErrorCode, type ErrorDetails } from "@terrarium/machine";
import {
  abortError,
  Emitter,
  signalName,
  type Copy,
  type GuestProcess,
  type Output,
  type ProcessEnd,
} from "@terrarium/machine/guest-kit";
import { encodeFrame, FrameReader, type Frame } from "./frames.js";
import { Handing, type Descriptors, type StreamName } from "./handing.js";
import { SETUP_LIMIT_MS, type Port, type ResolvedNetwork } from "./config.js";
import type { OciProcess, OciSpec } from "./oci.js";
import type { IdMapping } from "./ids.js";
import type { ArchiveLimits, Work } from "./work.js";

const PROGRAM = fileURLToPath(new URL("../pkg/terrarium-container", import.meta.url));

/** Number of what is said here and in message.rs there; whoever changes that makes it another in both. */
export const PROTOCOL = 4;

/** Input on its way to a process, in bytes: the helper says when it has been taken. */
const INPUT_PORTION_BYTES = 64 << 10;

/** What a writable layer has from the beginning. */
export interface SavedLayer {
  /** A file of the host. */
  readonly archive: string;
  readonly limits: ArchiveLimits;
}

/** What is asked of the helper; emulator-core/crates/container/src/serve/message.rs describes it. */
type Request =
  | {
      readonly type: "boot";
      readonly process: number;
      readonly spec: OciSpec;
      readonly idmapped: boolean;
      readonly overlay: boolean;
      readonly lowers: readonly string[];
      readonly writable: string | null;
      readonly saved: SavedLayer | null;
      readonly defaultProtection: boolean;
      readonly init: boolean;
      readonly network: ResolvedNetwork;
      readonly streams?: readonly StreamName[];
    }
  | {
      readonly type: "exec";
      readonly container: number;
      readonly process: number;
      readonly spec: OciProcess;
      readonly streams?: readonly StreamName[];
    }
  | {
      readonly type: "copy";
      readonly container: number;
      readonly process: number;
      readonly copy: Copy;
      readonly user: OciProcess["user"] | null;
    }
  | { readonly type: "snapshot"; readonly container: number; readonly process: number }
  | {
      readonly type: "work";
      readonly process: number;
      readonly work: Work;
      readonly uidMappings: readonly IdMapping[];
      readonly gidMappings: readonly IdMapping[];
    }
  | { readonly type: "write" | "end" | "abandon"; readonly process: number }
  | { readonly type: "signal"; readonly process: number; readonly signal: number }
  | { readonly type: "hold"; readonly process: number; readonly held: boolean }
  | { readonly type: "resize"; readonly process: number; readonly rows: number; readonly columns: number }
  | { readonly type: "freeze"; readonly container: number; readonly request: number; readonly frozen: boolean }
  | { readonly type: "stats"; readonly container: number; readonly request: number };

/** A failure as the helper tells it. */
interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails[ErrorCode];
}

/** What a container has got of the network. */
interface Given {
  readonly address: string;
  readonly ports: readonly Required<Port>[];
}

type Reply =
  | { readonly type: "hello"; readonly protocol: number }
  | {
      readonly type: "started";
      readonly process: number;
      readonly pid: number;
      readonly freezes: boolean;
      readonly network: Given | null;
    }
  | { readonly type: "failed"; readonly process: number; readonly error: Failure }
  | { readonly type: "output"; readonly process: number; readonly stream: "stdout" | "stderr" }
  | { readonly type: "taken"; readonly process: number }
  | { readonly type: "exited"; readonly process: number; readonly code: number | null; readonly signal: number | null }
  | { readonly type: "oom"; readonly process: number }
  | { readonly type: "done"; readonly request: number; readonly stats?: Readonly<Record<string, unknown>> }
  | { readonly type: "refused"; readonly request: number; readonly error: Failure };

/** Requests that start a process, but for its number. */
type Beginning = DistributiveOmit<
  Extract<Request, { type: "boot" | "exec" | "copy" | "snapshot" | "work" }>,
  "process"
>;

/** Requests that are answered, but for their number. */
type Question = DistributiveOmit<Extract<Request, { request: number }>, "request">;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** How long somebody waits for a process to be started. */
export interface Patience {
  readonly milliseconds: number;
  readonly signal: AbortSignal | undefined;
  /** Paths of the host that may be what does not answer. */
  readonly suspects: readonly string[];
}

/** A process the helper serves. */
export class Served implements GuestProcess {
  readonly number: number;
  readonly ended: Promise<ProcessEnd>;
  /** Its number on the host, once it runs. */
  pid = 0;
  /** Whether the container, whose first process this is, can stand still. */
  freezes = false;
  /** What the container, whose first process this is, has got of the network. */
  network: Given | undefined;
  /** The container, whose first process this is, has run out of memory. */
  readonly ooms = new Emitter<void>();
  readonly starting = Promise.withResolvers<void>();
  readonly output: Output;
  readonly #helper: Helper;
  readonly #ending = Promise.withResolvers<ProcessEnd>();
  #taken = Promise.withResolvers<void>();
  #over = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(helper: Helper, number: number, output: Output) {
    this.#helper = helper;
    this.number = number;
    this.output = output;
    this.ended = this.#ending.promise;
    this.ended.catch(() => undefined);
  }

  write(data: Uint8Array): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(data));
    return this.#writing;
  }

  async #write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#over; at += INPUT_PORTION_BYTES) {
      this.#taken = Promise.withResolvers();
      this.#helper.send({ type: "write", process: this.number }, data.subarray(at, at + INPUT_PORTION_BYTES));
      await this.#taken.promise;
    }
  }

  closeStdin(): void {
    void this.#writing.then(() => {
      this.#helper.send({ type: "end", process: this.number });
    });
  }

  kill(signal: number): void {
    this.#helper.send({ type: "signal", process: this.number, signal });
  }

  hold(held: boolean): void {
    this.#helper.send({ type: "hold", process: this.number, held });
  }

  /** Its input has been taken, or never will be. */
  take(): void {
    this.#taken.resolve();
  }

  /** It has ended. */
  end(end: ProcessEnd): void {
    this.#over = true;
    this.take();
    this.#ending.resolve(end);
  }

  /** Nothing more will be heard of it. */
  lose(error: MachineError): void {
    this.#over = true;
    this.take();
    this.starting.reject(error);
    this.#ending.reject(error);
  }
}

let running: Helper | undefined;

/** The helper, started where there is none. */
export function helper(): Helper {
  if (running?.isGone !== false) running = new Helper();
  return running;
}

/** Our end of the helper's socket. */
export class Helper {
  readonly #child: ChildProcess;
  readonly #sockets: Socket[];
  readonly #frames = new FrameReader();
  readonly #handing = new Handing();
  readonly #processes = new Map<number, Served>();
  readonly #questions = new Map<number, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();
  #last = 0;
  #greeted = false;
  #gone: MachineError | undefined;

  constructor(program = PROGRAM) {
    const { theirs } = this.#handing;
    this.#child =
      theirs === undefined
        ? spawn(program, ["serve"], { stdio: ["pipe", "pipe", "inherit"] })
        : spawn(program, ["serve", "--descriptors"], { stdio: ["pipe", "pipe", "inherit", theirs] });
    this.#handing.passOn();
    const { stdin, stdout } = this.#child;
    this.#sockets = [stdin, stdout].filter((stream) => stream instanceof Socket);
    this.#child.on("error", (error) => {
      this.#lose(`it cannot be started (${error.message}): build it with \`npm run build\``);
    });
    this.#child.on("exit", (code, signal) => {
      this.#lose(`it has ended (${signal ?? `status ${String(code)}`})`);
    });
    stdin?.on("error", () => undefined);
    stdout?.on("data", (bytes: Buffer) => {
      for (const frame of this.#frames.push(bytes)) this.#receive(frame);
    });
    this.#child.unref();
    this.#hold();
  }

  /** Whether it has ended. */
  get isGone(): boolean {
    return this.#gone !== undefined;
  }

  /** Number of the helper's process. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Starts a process: a container's first, another, or a copy; `own` are its streams that are the caller's.
   * @throws MachineError whatever the helper reports; `TIMEOUT`, `ABORTED`, after which the kernel clears away what there
   * is as soon as it can
   */
  async start(
    beginning: Beginning,
    output: Output,
    patience: Partial<Patience> = {},
    own: Descriptors = {},
  ): Promise<Served> {
    const { milliseconds = SETUP_LIMIT_MS, signal, suspects = [] } = patience;
    const isAborted = (): boolean => signal?.aborted === true;
    if (signal !== undefined && isAborted()) throw abortError(signal);
    const number = ++this.#last;
    const streams = Object.keys(own).length === 0 ? undefined : await this.#hand(number, own);
    if (this.#gone !== undefined) throw this.#gone;
    const process = new Served(this, number, output);
    this.#processes.set(number, process);
    this.#hold();
    this.send({ ...beginning, ...(streams === undefined ? {} : { streams }), process: number });
    const abandon = (error: MachineError): void => {
      this.send({ type: "abandon", process: number });
      this.#forget(process);
      process.lose(error);
    };
    const abort = (): void => {
      if (signal !== undefined) abandon(abortError(signal));
    };
    const timer = setTimeout(() => {
      abandon(tooSlow(milliseconds, suspects));
    }, milliseconds);
    signal?.addEventListener("abort", abort);
    if (isAborted()) abort();
    try {
      await process.starting.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
    return process;
  }

  async #hand(number: number, own: Descriptors): Promise<StreamName[]> {
    try {
      return await this.#handing.hand(number, own);
    } catch (error) {
      throw this.#gone ?? error;
    }
  }

  /** Asks something. */
  async ask(question: Question): Promise<Readonly<Record<string, unknown>>> {
    if (this.#gone !== undefined) throw this.#gone;
    const answer = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    const request = ++this.#last;
    this.#questions.set(request, answer);
    this.send({ ...question, request });
    return await answer.promise;
  }

  /** Sends a request. */
  send(request: Request, data?: Uint8Array): void {
    if (this.#gone === undefined) this.#child.stdin?.write(encodeFrame(request, data));
  }

  #receive({ message, data }: Frame): void {
    const reply = message as Reply;
    if (!this.#greeted) {
      this.#greet(reply);
      return;
    }
    if (reply.type === "hello") return;
    if ("request" in reply) {
      const question = this.#questions.get(reply.request);
      this.#questions.delete(reply.request);
      if (reply.type === "done") question?.resolve(reply.stats ?? {});
      else question?.reject(failure(reply.error));
      return;
    }
    const process = this.#processes.get(reply.process);
    if (process === undefined) return;
    switch (reply.type) {
      case "started":
        process.pid = reply.pid;
        process.freezes = reply.freezes;
        process.network = reply.network ?? undefined;
        process.starting.resolve();
        break;
      case "failed":
        this.#forget(process);
        process.lose(failure(reply.error));
        break;
      case "output":
        process.output(reply.stream, data);
        break;
      case "taken":
        process.take();
        break;
      case "oom":
        process.ooms.emit();
        break;
      case "exited":
        this.#forget(process);
        process.end({ exitCode: reply.code, signal: reply.signal === null ? null : signalName(reply.signal) });
        break;
    }
  }

  /** The first that is said tells whether the rest would be understood. */
  #greet(reply: Reply): void {
    const protocol = reply.type === "hello" ? reply.protocol : 1;
    this.#greeted = protocol === PROTOCOL;
    if (this.#greeted) return;
    this.#child.kill("SIGKILL");
    this.#lose(`it speaks protocol ${protocol}, and this package ${PROTOCOL}: build both with \`npm run build\``);
  }

  #forget(process: Served): void {
    this.#processes.delete(process.number);
    this.#hold();
  }

  /** While something runs, it keeps this process from ending by itself. */
  #hold(): void {
    for (const socket of this.#sockets) {
      if (this.#processes.size > 0) socket.ref();
      else socket.unref();
    }
  }

  #lose(reason: string): void {
    if (this.#gone !== undefined) return;
    const message = `The container runtime is not there: ${reason}.`;
    this.#gone = new MachineError("RUNTIME_UNAVAILABLE", message, { reason });
    for (const process of this.#processes.values()) process.lose(this.#gone);
    for (const question of this.#questions.values()) question.reject(this.#gone);
    this.#processes.clear();
    this.#questions.clear();
    this.#handing.close();
    this.#hold();
  }
}

function failure({ code, message, details }: Failure): MachineError {
  return new MachineError(code, message.charAt(0).toUpperCase() + message.slice(1), details);
}

/** The error for a process that has not been set up in time. */
function tooSlow(milliseconds: number, suspects: readonly string[]): MachineError<"TIMEOUT"> {
  const waitingFor = "the process to be set up";
  const where = suspects.length === 0 ? "" : `, perhaps that of ${suspects.join(" or ")}`;
  const mend = "see whether it can be listed, or allow more time";
  const message = `${milliseconds} ms were not enough to set the process up: a file system may not answer${where}; ${mend}.`;
  return new MachineError("TIMEOUT", message, { milliseconds, waitingFor, transcript: "" });
}

/**
 * Who holds a container: the process of `run`, or one left behind for it by `run --detach`. It boots it, keeps its log,
 * and answers at a socket in the container's directory. It ends with the container, and the container with it.
 */

import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { boot, oci, type Container, type ContainerProcess, type Output } from "@terrarium/container";
import { IDLE, onDisk, withLock, type Descriptors } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import { messageOf } from "@terrarium/machine/guest-kit";
import { isHeld, type Life } from "./client.js";
import { Receiver } from "./handing.js";
import { Log } from "./log.js";
import {
  directoryOf,
  forgetEnd,
  layerOf,
  noteEnd,
  socketOf,
  storeDirectory,
  type Ended,
  type ContainerRecord,
} from "./place.js";
import { makeVolumes, removeRecord } from "./volumes.js";
import { messages, send, sendSlowly, type Message, type Request } from "./wire.js";

/** Whose files are copied, and by whose right: as docker has it. */
const ROOT = { uid: 0, gid: 0 };

/** What may wait for who has asked for a process, before that has to. */
const MOST_UNSENT_BYTES = 1 << 20;

/** How a container is started. */
export interface StartOptions {
  /** Gets what it writes. */
  readonly onOutput?: (output: Output) => void;
  /** A descriptor of this process's that its program reads. */
  readonly stdin?: number;
  /** Whether it has run before, and ended. */
  readonly again?: boolean;
}

/** A container and what is around it. */
export class Holder {
  readonly container: Container;
  /** Resolves when it has ended and all is written and closed. */
  readonly ended: Promise<Ended>;
  readonly #receiver: Receiver | undefined;
  readonly #server: Server;
  readonly #log: Log;

  private constructor(
    record: ContainerRecord,
    receiver: Receiver | undefined,
    container: Container,
    server: Server,
    log: Log,
  ) {
    this.container = container;
    this.#receiver = receiver;
    this.#server = server;
    this.#log = log;
    const killed = { exitCode: null, signal: "SIGKILL" };
    this.ended = container.ended.catch(() => killed).then((end) => this.#finish(record, end));
  }

  /**
   * Boots the container of `record`. Where that fails, nothing of it stays; one that is started again stays as it was.
   * @throws MachineError `CONTAINER_STATUS` where somebody holds it, and whatever `boot()` does
   */
  static async start(record: ContainerRecord, { onOutput, stdin, again = false }: StartOptions = {}): Promise<Holder> {
    const calledOff = new AbortController();
    const held: Held = { name: record.name, container: undefined, calledOff, receiver: undefined };
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      void serve(held, socket);
    });
    try {
      await listen(server, record);
      await makeVolumes(record);
      // Without it, streams are carried.
      held.receiver = await Receiver.open(record.id).catch(() => undefined);
      const log = new Log(directoryOf(record.id));
      const container = await boot(oci(record.reference, { store: storeDirectory() }), {
        writes: { layer: layerOf(record.id) },
        ...record.options,
        ...(stdin === undefined ? {} : { stdin }),
        signal: calledOff.signal,
      });
      container.onOutput((output) => {
        log.add(output);
        onOutput?.(output);
      });
      if (again) await forgetEnd(record.id);
      held.container = container;
      return new Holder(record, held.receiver, container, server, log);
    } catch (error) {
      const isHeld = error instanceof MachineError && error.code === "CONTAINER_STATUS";
      server.close();
      await held.receiver?.[Symbol.asyncDispose]();
      if (!again) await removeRecord(record, { volumes: true });
      else if (!isHeld) await rm(socketOf(record.id), { force: true });
      throw onDisk(error, `starting the container ${record.name}`);
    }
  }

  async #finish(record: ContainerRecord, { exitCode, signal }: Omit<Ended, "at">): Promise<Ended> {
    const ended = { exitCode, signal, at: new Date().toISOString() };
    await this.#log.end();
    try {
      if (!record.removeAtEnd) await noteEnd(record.id, ended);
    } finally {
      this.#server.close();
      await this.#receiver?.[Symbol.asyncDispose]();
      await rm(socketOf(record.id), { force: true });
    }
    if (record.removeAtEnd) await removeRecord(record, { volumes: true });
    return ended;
  }
}

/** Calls `use` with a container that does nothing and has the files of one that does not run, and volumes, and that cannot be started meanwhile. */
export async function whileEnded<T>(record: ContainerRecord, use: (container: Container) => Promise<T>): Promise<T> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    void serve({ name: record.name, container: undefined, calledOff: undefined, receiver: undefined }, socket);
  });
  await listen(server, record);
  try {
    await makeVolumes(record);
    const { volumes = [], writes = { layer: layerOf(record.id) } } = record.options;
    const options = { volumes, writes, entrypoint: [], command: IDLE, cwd: "/", user: ROOT, terminal: false };
    await using container = await boot(oci(record.reference, { store: storeDirectory() }), options);
    return await use(container);
  } finally {
    server.close();
    await rm(socketOf(record.id), { force: true });
  }
}

/** Listens for who asks for the container, as nobody else does: who holds it is its holder. */
async function listen(server: Server, record: ContainerRecord): Promise<void> {
  const path = socketOf(record.id);
  await withLock(join(directoryOf(record.id), "lock"), false, async () => {
    if (await isHeld(record)) {
      const details = { id: record.name, status: "running", wanted: "ended" };
      throw new MachineError("CONTAINER_STATUS", `The container ${record.name} runs already.`, details);
    }
    // Of a holder that was killed.
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  });
}

/** What is asked about. */
interface Held {
  readonly name: string;
  /** Undefined while it is being made, or only its files are in use. */
  container: Container | undefined;
  /** Undefined where it is not being made. */
  readonly calledOff: AbortController | undefined;
  /** Where streams come for its processes; undefined where they have to be carried. */
  receiver: Receiver | undefined;
}

async function serve(held: Held, socket: Socket): Promise<void> {
  const incoming = messages<Request | Message>(socket);
  try {
    const first = await incoming.next();
    if (first.done !== true) {
      const request = first.value as Request;
      if (held.container === undefined) obeyEarly(held, request, socket);
      else await obey(held.container, held.receiver, request, incoming, socket);
    }
  } catch (error) {
    send(socket, { error: asData(error) });
  }
  socket.end();
}

/** What can be asked of a container that is being made: what it is, and that it be none. */
function obeyEarly({ name, calledOff }: Held, request: Request, socket: Socket): void {
  if (calledOff === undefined) {
    const details = { id: name, status: "being copied from or to", wanted: "running" };
    throw new MachineError("CONTAINER_STATUS", `The container ${name} does not run.`, details);
  }
  if (request.type === "ping") {
    send(socket, { done: { status: "creating", holder: process.pid, pid: 0, address: null, ports: [] } });
  } else if (request.type === "stop" || request.type === "kill") {
    calledOff.abort(new Error("it was stopped"));
    send(socket, { done: null });
  } else {
    const details = { id: name, status: "creating", wanted: "running" };
    throw new MachineError("CONTAINER_STATUS", `The container ${name} is being made, and does not run yet.`, details);
  }
}

async function obey(
  container: Container,
  receiver: Receiver | undefined,
  request: Request,
  incoming: AsyncGenerator<Request | Message, void>,
  socket: Socket,
): Promise<void> {
  switch (request.type) {
    case "exec":
      await exec(container, receiver, request, incoming, socket);
      return;
    case "pack":
      for await (const chunk of container.pack(request.path, { ...request, user: ROOT })) {
        await sendSlowly(socket, { output: "stdout", bytes: Buffer.from(chunk).toString("base64") });
        if (socket.destroyed) return;
      }
      break;
    case "unpack":
      await container.unpack(request.directory, inputOf(incoming), { user: ROOT });
      break;
    case "kill":
      container.kill(request.signal);
      break;
    case "stop":
      await container.stop({ grace: `${request.seconds}s` });
      break;
    case "pause":
      await container.pause();
      break;
    case "resume":
      await container.resume();
      break;
    case "stats":
      send(socket, { done: await container.stats() });
      return;
    case "ping":
      send(socket, { done: lifeOf(container) });
      return;
  }
  send(socket, { done: null });
}

async function* inputOf(incoming: AsyncGenerator<Request | Message, void>): AsyncGenerator<Uint8Array, void> {
  for await (const message of incoming) {
    if ("end" in message) return;
    if ("input" in message) yield Buffer.from(message.input, "base64");
  }
  throw new MachineError("ABORTED", "Who sent the archive has gone.", { reason: "who sent the archive has gone" });
}

function lifeOf({ pid, address, ports }: Container): Life {
  return { status: "running", holder: process.pid, pid, address: address ?? null, ports };
}

async function exec(
  container: Container,
  receiver: Receiver | undefined,
  { command, options, handed }: Extract<Request, { type: "exec" }>,
  incoming: AsyncGenerator<Request | Message, void>,
  socket: Socket,
): Promise<void> {
  const brake = new Brake(socket);
  const start = (own: Descriptors = {}): Promise<ContainerProcess> =>
    container.exec(command, { ...options, ...own }, ({ stream, bytes }) => {
      send(socket, { output: stream, bytes: Buffer.from(bytes).toString("base64") });
      brake.look();
    });
  const process = await (handed === undefined || receiver === undefined ? start() : receiver.use(handed, start));
  brake.process = process;
  const listen = async (): Promise<void> => {
    for await (const message of incoming) {
      if ("input" in message) await process.write(Buffer.from(message.input, "base64"));
      else if ("end" in message) process.closeInput();
      else if ("size" in message) process.resize(...message.size);
      else if ("signal" in message && typeof message.signal === "number") process.kill(message.signal);
    }
    // Who asked for it has gone.
    process.kill(9);
  };
  void listen().catch(() => undefined);
  const { exitCode, signal } = await process.ended;
  send(socket, { exit: { exitCode, signal } });
}

/** Holds a process up while too much of what it has written waits at a socket. */
class Brake {
  process: ContainerProcess | undefined;
  readonly #socket: Socket;
  #held = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  look(): void {
    if (this.#held || this.process === undefined || this.#socket.writableLength < MOST_UNSENT_BYTES) return;
    this.#hold(true);
    this.#socket.once("drain", () => {
      this.#hold(false);
    });
  }

  #hold(held: boolean): void {
    this.#held = held;
    this.process?.hold(held);
  }
}

function asData(error: unknown): Pick<MachineError, "code" | "message" | "details"> {
  if (error instanceof MachineError) {
    const { code, message, details } = error as MachineError;
    return { code, message, details };
  }
  const reason = messageOf(error);
  return { code: "INTERNAL", message: reason, details: { reason } };
}

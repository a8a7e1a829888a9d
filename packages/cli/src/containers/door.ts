/** Where a container is asked for, and what answers there. */

import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Container, ContainerProcess } from "@terrarium/container";
import { withLock, type Descriptors } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import { messageOf } from "@terrarium/machine/guest-kit";
import { isHeld, type Life } from "./client.js";
import { Receiver } from "./handing.js";
import { directoryOf, socketOf, type ContainerRecord } from "./place.js";
import { messages, send, sendSlowly, type Message, type Request } from "./wire.js";

/** Whose files are copied, and by whose right: as docker has it. */
export const ROOT = { uid: 0, gid: 0 };

/** What may wait for who has asked for a process, before that has to. */
const MOST_UNSENT_BYTES = 1 << 20;

/** The socket in a container's directory. Who listens there holds the container, and nobody else does. */
export class Door {
  readonly name: string;
  /** Undefined while it is being made, or only its files are in use. */
  container: Container | undefined;
  /** Undefined where it is not being made. */
  readonly calledOff: AbortController | undefined;
  readonly #path: string;
  readonly #server: Server;
  #receiver: Receiver | undefined;

  private constructor({ id, name }: ContainerRecord, calledOff: AbortController | undefined) {
    this.name = name;
    this.calledOff = calledOff;
    this.#path = socketOf(id);
    this.#server = createServer((socket) => {
      socket.on("error", () => undefined);
      void serve(this, socket);
    });
  }

  /**
   * Opens that of `record`. Who asks that the container be none, while it is made, aborts `calledOff`.
   * @throws MachineError `CONTAINER_STATUS` where somebody holds it
   */
  static async open(record: ContainerRecord, calledOff?: AbortController): Promise<Door> {
    const door = new Door(record, calledOff);
    await withLock(join(directoryOf(record.id), "lock"), false, async () => {
      if (await isHeld(record)) {
        const details = { id: record.name, status: "running", wanted: "ended" };
        throw new MachineError("CONTAINER_STATUS", `The container ${record.name} runs already.`, details);
      }
      // Of a holder that was killed.
      await rm(door.#path, { force: true });
      await new Promise<void>((resolve, reject) => {
        door.#server.once("error", reject);
        door.#server.listen(door.#path, resolve);
      });
    });
    // Without it, streams are carried.
    door.#receiver = await Receiver.open(record.id).catch(() => undefined);
    return door;
  }

  /** Where streams come for processes of the container; undefined where they have to be carried. */
  get receiver(): Receiver | undefined {
    return this.#receiver;
  }

  /** Whoever comes from now on finds nobody. */
  async close(): Promise<void> {
    this.#server.close();
    await this.#receiver?.[Symbol.asyncDispose]();
    await rm(this.#path, { force: true });
  }
}

async function serve(door: Door, socket: Socket): Promise<void> {
  const incoming = messages<Request | Message>(socket);
  try {
    const first = await incoming.next();
    if (first.done !== true) {
      const request = first.value as Request;
      if (door.container === undefined) obeyEarly(door, request, socket);
      else await obey(door.container, door.receiver, request, incoming, socket);
    }
  } catch (error) {
    send(socket, { error: asData(error) });
  }
  socket.end();
}

/** What can be asked of a container that is being made: what it is, and that it be none. */
function obeyEarly({ name, calledOff }: Door, request: Request, socket: Socket): void {
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
      for await (const chunk of container.pack(request.path, { ...request.options, user: ROOT })) {
        await sendSlowly(socket, { output: "stdout", bytes: Buffer.from(chunk).toString("base64") });
        if (socket.destroyed) return;
      }
      break;
    case "unpack":
      await container.unpack(request.directory, inputOf(incoming), { ...request.options, user: ROOT });
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

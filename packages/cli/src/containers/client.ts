/** Asking whoever holds a container that runs. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { CopyEnd, ExecOptions, Output, Port } from "@terrarium/container";
import { native, type ProcessHandle } from "@terrarium/container/kit";
import { MachineError } from "@terrarium/machine";
import type { Session } from "./attach.js";
import type { Handed } from "./handing.js";
import { socketOf, type ContainerRecord } from "./place.js";
import { messages, send, sendSlowly, type Answer, type Request } from "./wire.js";

/** A connection to the holder; undefined where the container does not run. */
async function reach({ id }: ContainerRecord): Promise<Socket | undefined> {
  const socket = connect(socketOf(id));
  try {
    await once(socket, "connect");
  } catch {
    return undefined;
  }
  socket.on("error", () => undefined);
  return socket;
}

async function need(record: ContainerRecord): Promise<Socket> {
  const socket = await reach(record);
  if (socket !== undefined) return socket;
  const details = { id: record.name, status: "not running", wanted: "running" };
  throw new MachineError("CONTAINER_STATUS", `The container ${record.name} does not run.`, details);
}

/** Whether somebody holds a container, which runs or is about to. */
export async function isHeld(record: ContainerRecord): Promise<boolean> {
  const socket = await reach(record);
  socket?.destroy();
  return socket !== undefined;
}

/** What a container that runs, or is being made, tells of itself. */
export interface Life {
  readonly status: "creating" | "running";
  /** Number of the process that holds it. */
  readonly holder: number;
  /** Number of its first process; 0 where there is none yet. */
  readonly pid: number;
  /** Its address on a network of its own. */
  readonly address: string | null;
  readonly ports: readonly Required<Port>[];
}

/** What a container tells of itself; undefined where nobody holds it. */
export async function lifeOf(record: ContainerRecord): Promise<Life | undefined> {
  const socket = await reach(record);
  if (socket === undefined) return undefined;
  // One that is about to run, and then does not.
  return (await exchange(socket, { type: "ping" }).catch(() => undefined)) as Life | undefined;
}

/** Whether somebody holds a container, and the number of its first process. */
export async function pidOf(record: ContainerRecord): Promise<number | undefined> {
  return (await lifeOf(record))?.pid;
}

/**
 * Waits until whoever holds a container has noted its end and gone.
 * @throws MachineError `ADDON_UNAVAILABLE`
 */
export async function untilEnded(record: ContainerRecord): Promise<void> {
  for (let life = await lifeOf(record); life !== undefined; life = await lifeOf(record)) {
    const holder = handleOn(life.holder);
    // The number was still the holder's when the handle was made if the holder answers afterwards.
    if (holder !== undefined && (await lifeOf(record))?.holder === life.holder) await holder.ended();
    holder?.close();
  }
}

/** A handle on a process, whatever becomes of its number; undefined where there is none any more. */
function handleOn(pid: number): ProcessHandle | undefined {
  try {
    return native().ProcessHandle.open(pid);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return undefined;
    throw error;
  }
}

/**
 * Has something done to a container that runs; resolves with what is said.
 * @throws MachineError `CONTAINER_STATUS`, and what the holder reports
 */
export async function ask(record: ContainerRecord, request: Request): Promise<unknown> {
  return await exchange(await need(record), request);
}

async function exchange(socket: Socket, request: Request): Promise<unknown> {
  send(socket, request);
  for await (const answer of messages<Answer>(socket)) {
    socket.end();
    if ("error" in answer) throw asError(answer);
    if ("done" in answer) return answer.done;
  }
  return undefined;
}

function asError({ error }: Extract<Answer, { error: unknown }>): MachineError {
  return new MachineError(error.code, error.message, error.details);
}

/** A container that runs, to be copied to and from as its root. */
export function copyEnd(record: ContainerRecord): CopyEnd {
  return {
    async *pack(path, options = {}) {
      const socket = await need(record);
      try {
        send(socket, { type: "pack", path, options });
        for await (const answer of messages<Answer>(socket)) {
          if ("output" in answer) yield Buffer.from(answer.bytes, "base64");
          else if ("error" in answer) throw asError(answer);
          else return;
        }
        throw new MachineError("GUEST_STOPPED", "The container has ended meanwhile.", { reason: "exited" });
      } finally {
        socket.destroy();
      }
    },
    async unpack(directory, archive, options = {}) {
      const socket = await need(record);
      const answering = exchange(socket, { type: "unpack", directory, options });
      const over = new AbortController();
      const answer = answering.finally(() => {
        over.abort();
      });
      answer.catch(() => undefined);
      try {
        for await (const chunk of archive instanceof Uint8Array ? [archive] : archive) {
          await sendSlowly(socket, { input: Buffer.from(chunk).toString("base64") });
          if (over.signal.aborted) break;
        }
        send(socket, { end: true });
        await answer;
      } finally {
        // Where the archive ends early, so does what comes of it.
        socket.destroy();
      }
    },
  };
}

/** Starts another process in a container that runs; it has the streams that are `handed` over. */
export async function exec(
  record: ContainerRecord,
  command: readonly string[],
  options: ExecOptions,
  handed: Handed | undefined,
  onOutput: (output: Output) => void,
): Promise<Session> {
  const socket = await need(record);
  send(socket, { type: "exec", command, options, handed });
  const ended = (async () => {
    for await (const answer of messages<Answer>(socket)) {
      if ("output" in answer) {
        onOutput({ stream: answer.output, bytes: Buffer.from(answer.bytes, "base64") });
      } else if ("exit" in answer) {
        socket.end();
        return answer.exit;
      } else if ("error" in answer) {
        throw asError(answer);
      }
    }
    return { exitCode: null, signal: "SIGKILL" };
  })();
  return {
    ended,
    write: (bytes) => {
      send(socket, { input: Buffer.from(bytes).toString("base64") });
    },
    closeInput: () => {
      send(socket, { end: true });
    },
    resize: (columns, rows) => {
      send(socket, { size: [columns, rows] });
    },
    kill: (signal) => {
      send(socket, { signal });
    },
  };
}

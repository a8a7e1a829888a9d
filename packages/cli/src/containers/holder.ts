/**
 * Who holds a container: the process of `run`, or one left behind for it by `run --detach`. It boots it, keeps its log,
 * and answers at its door. It ends with the container, and the container with it.
 */

import { boot, oci, type Container, type Output } from "@terrarium/container";
import { IDLE, onDisk } from "@terrarium/container/kit";
import { Door, ROOT } from "./door.js";
import { Log } from "./log.js";
import {
  directoryOf,
  forgetRest,
  layerOf,
  noteEnd,
  storeDirectory,
  type Ended,
  type ContainerRecord,
} from "./place.js";
import { makeVolumes, removeRecord } from "./volumes.js";

/** How a container is started. */
export interface StartOptions {
  /** Gets what it writes. */
  readonly onOutput?: (output: Output) => void;
  /** A descriptor of this process's that its program reads. */
  readonly stdin?: number;
  /** Whether it has been made before, and stays where it cannot be started. */
  readonly again?: boolean;
}

/** A container and what is around it. */
export class Holder {
  readonly container: Container;
  /** Resolves when it has ended and all is written and closed. */
  readonly ended: Promise<Ended>;
  readonly #door: Door;
  readonly #log: Log;

  private constructor(record: ContainerRecord, container: Container, door: Door, log: Log) {
    this.container = container;
    this.#door = door;
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
    let door: Door | undefined;
    try {
      door = await Door.open(record, calledOff);
      await makeVolumes(record);
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
      if (again) await forgetRest(record.id);
      door.container = container;
      return new Holder(record, container, door, log);
    } catch (error) {
      await door?.close();
      if (!again) await removeRecord(record, { volumes: true });
      throw onDisk(error, `starting the container ${record.name}`);
    }
  }

  async #finish(record: ContainerRecord, { exitCode, signal }: Omit<Ended, "at">): Promise<Ended> {
    const ended = { exitCode, signal, at: new Date().toISOString() };
    await this.#log.end();
    try {
      if (!record.removeAtEnd) await noteEnd(record.id, ended);
    } finally {
      await this.#door.close();
    }
    if (record.removeAtEnd) await removeRecord(record, { volumes: true });
    return ended;
  }
}

/** Calls `use` with a container that does nothing and has the files of one that does not run, and volumes, and that cannot be started meanwhile. */
export async function whileEnded<T>(record: ContainerRecord, use: (container: Container) => Promise<T>): Promise<T> {
  const door = await Door.open(record);
  try {
    await makeVolumes(record);
    const { volumes = [], writes = { layer: layerOf(record.id) } } = record.options;
    const options = { volumes, writes, entrypoint: [], command: IDLE, cwd: "/", user: ROOT, terminal: false };
    await using container = await boot(oci(record.reference, { store: storeDirectory() }), options);
    return await use(container);
  } finally {
    await door.close();
  }
}

/** `terrarium stop`, `kill`, `pause`, `resume`, `wait` and `rm`: what is done to containers, one after another. */

import { MachineError } from "@terrarium/machine";
import { signalNumber } from "@terrarium/machine/guest-kit";
import { Command } from "commander";
import { ask, lifeOf, pidOf, untilEnded } from "../../containers/client.js";
import { detach } from "../../containers/detach.js";
import { endOf, findRecord, isCreated, type ContainerRecord } from "../../containers/place.js";
import { removeRecord } from "../../containers/volumes.js";

/** As docker has it: who has not been started has nothing to be waited for. */
const NEVER_RUN = { exitCode: 0, signal: null };

function each(
  name: string,
  description: string,
  work: (record: ContainerRecord, flags: Flags) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .argument("<container...>")
    .action(async (names: string[], flags: Flags) => {
      for (const one of names) {
        const record = await findRecord(one);
        await work(record, flags);
        if (name !== "wait") process.stdout.write(`${one}\n`);
      }
    });
}

interface Flags {
  readonly time?: string;
  readonly signal?: string;
  readonly force?: true;
  readonly volumes?: true;
}

/** Asks it to end, and kills it when it has not. */
export function stopCommand(): Command {
  return each("stop", "ask containers to end, then kill them", async (record, { time = "10" }) => {
    if ((await pidOf(record)) === undefined) return;
    await ask(record, { type: "stop", seconds: Number(time) });
    await untilEnded(record);
  }).option("-t, --time <seconds>", "how long they have", "10");
}

/** Sends a signal. */
export function killCommand(): Command {
  return each("kill", "send containers a signal", async (record, { signal = "SIGKILL" }) => {
    await ask(record, { type: "kill", signal });
  }).option("-s, --signal <name>", "which one", "SIGKILL");
}

/** Makes it stand still. */
export function pauseCommand(): Command {
  return each("pause", "make containers stand still", async (record) => {
    await ask(record, { type: "pause" });
  });
}

/** Lets it go on. */
export function resumeCommand(): Command {
  return each("resume", "let containers go on", async (record) => {
    await ask(record, { type: "resume" });
  }).alias("unpause");
}

/** Waits for its end, and prints its status. */
export function waitCommand(): Command {
  return each("wait", "wait for containers to end, and print their exit status", async (record) => {
    await untilEnded(record);
    const end = (await isCreated(record.id)) ? NEVER_RUN : await endOf(record.id);
    const status = end?.exitCode ?? 128 + (signalNumber(end?.signal ?? "SIGKILL") ?? 0);
    process.stdout.write(`${String(status)}\n`);
  });
}

/** Removes it. */
export function rmCommand(): Command {
  return each("rm", "remove containers that do not run", async (record, { force, volumes }) => {
    const life = await lifeOf(record);
    if (life !== undefined) {
      if (force !== true) {
        const details = { id: record.name, status: life.status, wanted: "ended" };
        const message = `The container ${record.name} is ${life.status}: stop it, or remove it with --force.`;
        throw new MachineError("CONTAINER_STATUS", message, details);
      }
      await ask(record, { type: "kill", signal: "SIGKILL" });
      await untilEnded(record);
    }
    await removeRecord(record, { volumes: volumes === true });
  })
    .option("-f, --force", "kill those that run")
    .option("-v, --volumes", "also the volumes that were made for them alone");
}

/** Ends it where it runs, and starts it. */
export function restartCommand(): Command {
  return each("restart", "stop containers, and start them again", async (record, { time = "10" }) => {
    if ((await pidOf(record)) !== undefined) {
      await ask(record, { type: "stop", seconds: Number(time) });
      await untilEnded(record);
    }
    await detach(record, { again: true });
  }).option("-t, --time <seconds>", "how long they have to end", "10");
}

/** `terrarium inspect`, `stats`, `diff`, `commit` and `history`: what containers and images are, and were made of. */

import type { Volume } from "@terrarium/container";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { ask, lifeOf, pidOf } from "../../containers/client.js";
import { endOf, findRecord, layerOf, openImages, records, type ContainerRecord } from "../../containers/place.js";
import { nameOfVolume } from "../../containers/volumes.js";
import { size, table } from "../../containers/table.js";
import { statusOf } from "./ps.js";

/** All that is known, as JSON. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("show all that is known of containers or images")
    .argument("<name...>")
    .action(async (names: string[]) => {
      const found = await Promise.all(names.map(inspect));
      process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    });
}

async function inspect(name: string): Promise<unknown> {
  const record = await findRecord(name).catch(() => undefined);
  if (record === undefined) return await (await openImages()).inspect(name);
  const life = await lifeOf(record);
  const mounts = (record.options.volumes ?? []).map(mountOf);
  const running = life?.status === "running";
  const told = life ?? { status: await statusOf(record) };
  return { ...record, mounts, running, ...told, ended: (await endOf(record.id)) ?? null };
}

function mountOf(volume: Volume): object {
  const { source, target, readonly = false } = volume;
  const name = nameOfVolume(volume);
  return name === undefined
    ? { type: "bind", source, target, readonly }
    : { type: "volume", name, source, target, readonly };
}

/** What containers use. */
export function statsCommand(): Command {
  return new Command("stats")
    .description("show what containers that run have used")
    .argument("[container...]")
    .action(async (names: string[]) => {
      const chosen = names.length === 0 ? await running() : await Promise.all(names.map(findRecord));
      const rows: string[][] = [];
      for (const record of chosen) {
        const stats = (await ask(record, { type: "stats" })) as Readonly<Record<string, number | undefined>>;
        const [memory, cpu, tasks] = [stats["memoryBytes"], stats["cpuNanoseconds"], stats["tasks"]];
        const shown = (value: number | undefined, text: (value: number) => string): string =>
          value === undefined ? "unknown" : text(value);
        rows.push([
          record.name,
          shown(memory, size),
          shown(cpu, (ns) => `${(ns / 1e9).toFixed(2)} s`),
          shown(tasks, String),
        ]);
      }
      process.stdout.write(table([["NAME", "MEMORY", "PROCESSOR TIME", "TASKS"], ...rows]));
    });
}

async function running(): Promise<ContainerRecord[]> {
  const all = await records();
  const pids = await Promise.all(all.map(pidOf));
  return all.filter((_, index) => pids[index] !== undefined);
}

const SIGNS = { added: "A", changed: "C", deleted: "D" };

/** What a container has changed of its image. */
export function diffCommand(): Command {
  return new Command("diff")
    .description("list what a container has changed of its image's files")
    .argument("<container>")
    .action(async (name: string) => {
      const record = await findRecord(name);
      const changes = await (await openImages()).diff(record.reference, writtenBy(record));
      process.stdout.write(changes.map(({ kind, path }) => `${SIGNS[kind]} ${path}\n`).join(""));
    });
}

/** An image from a container. */
export function commitCommand(): Command {
  return new Command("commit")
    .description("make an image of a container's changes; it stands still meanwhile")
    .argument("<container>")
    .argument("<image>", "what the image is to be called")
    .option("-m, --message <text>", "what the history says")
    .option("-a, --author <name>", "who made it")
    .action(async (name: string, image: string, flags: { readonly message?: string; readonly author?: string }) => {
      const record = await findRecord(name);
      const options = {
        name: image,
        ...(flags.message === undefined ? {} : { comment: flags.message }),
        ...(flags.author === undefined ? {} : { author: flags.author }),
      };
      const images = await openImages();
      const commit = async (): Promise<string> =>
        (await images.commit(record.reference, writtenBy(record), options)).digest;
      const digest = (await pidOf(record)) === undefined ? await commit() : await whilePaused(record, commit);
      process.stdout.write(`${digest}\n`);
    });
}

/** A host without the means lets it run on, as it says in its capabilities. */
async function whilePaused<T>(record: ContainerRecord, work: () => Promise<T>): Promise<T> {
  const paused = await ask(record, { type: "pause" }).then(
    () => true,
    () => false,
  );
  try {
    return await work();
  } finally {
    if (paused) await ask(record, { type: "resume" });
  }
}

function writtenBy({ id, name, options }: ContainerRecord): string {
  if (options.writes !== "none") return layerOf(id);
  const details = { id: name, status: "read-only", wanted: "writable" };
  throw new MachineError("CONTAINER_STATUS", `The container ${name} is read-only: it has changed nothing.`, details);
}

/** How an image came about. */
export function historyCommand(): Command {
  return new Command("history")
    .description("show how an image was made, newest step first")
    .argument("<image>")
    .action(async (name: string) => {
      const steps = (await (await openImages()).history(name)).toReversed();
      const rows = steps.map((step) => [
        step.created ?? "",
        step.emptyLayer ? "no files" : "a layer",
        (step.createdBy ?? "").slice(0, 60),
        step.comment ?? "",
      ]);
      process.stdout.write(table([["CREATED", "MADE", "BY", "COMMENT"], ...rows]));
    });
}

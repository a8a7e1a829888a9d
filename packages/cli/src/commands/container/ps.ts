/** `terrarium ps`: which containers there are. */

import { Command } from "commander";
import { lifeOf } from "../../containers/client.js";
import { endOf, isCreated, records, type ContainerRecord } from "../../containers/place.js";
import { age, table } from "../../containers/table.js";

/** The command. */
export function psCommand(): Command {
  return new Command("ps")
    .description("list containers that run")
    .option("-a, --all", "those that do not run, too")
    .option("-q, --quiet", "their ids alone")
    .action(async ({ all, quiet }: { readonly all?: true; readonly quiet?: true }) => {
      const rows: string[][] = [];
      for (const record of await records()) {
        const life = await lifeOf(record);
        if (life === undefined && all !== true) continue;
        const status = life?.status ?? (await statusOf(record));
        const ports = (life?.ports ?? []).map(
          (port) => `${port.address}:${port.host}->${port.container}/${port.protocol}`,
        );
        const command = record.options.command?.join(" ") ?? "";
        rows.push([
          record.id,
          record.image,
          command.slice(0, 30),
          age(record.created),
          status,
          ports.join(", "),
          record.name,
        ]);
      }
      const heads = ["ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAME"];
      process.stdout.write(quiet === true ? rows.map(([id]) => `${id ?? ""}\n`).join("") : table([heads, ...rows]));
    });
}

/** What a container is that does not run. */
export async function statusOf({ id }: ContainerRecord): Promise<string> {
  if (await isCreated(id)) return "created";
  const end = await endOf(id);
  // Who held it was killed, and so was it.
  if (end === undefined) return "killed";
  return end.exitCode === null ? `ended by ${end.signal ?? "a signal"}` : `exited (${String(end.exitCode)})`;
}

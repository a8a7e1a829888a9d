/** `terrarium volume ls`, `rm` and `prune`: what containers have left in volumes. */

import { Command } from "commander";
import { age, table } from "../../containers/table.js";
import { removeVolume, volumes } from "../../containers/volumes.js";

/** The command. */
export function volumeCommand(): Command {
  const command = new Command("volume").description("list and remove volumes");
  command
    .command("ls")
    .description("list volumes")
    .option("-q, --quiet", "their names alone")
    .action(async ({ quiet }: { readonly quiet?: true }) => {
      const all = await volumes();
      const rows = all.map(({ name, created, users }) => [name, age(created.toISOString()), users.join(", ")]);
      const names = all.map(({ name }) => `${name}\n`).join("");
      process.stdout.write(quiet === true ? names : table([["NAME", "CREATED", "CONTAINERS"], ...rows]));
    });
  command
    .command("rm")
    .description("remove volumes that no container has")
    .argument("<volume...>")
    .action(async (names: string[]) => {
      for (const name of names) {
        await removeVolume(name);
        process.stdout.write(`${name}\n`);
      }
    });
  command
    .command("prune")
    .description("remove all volumes that no container has")
    .action(async () => {
      for (const { name, users } of await volumes()) {
        if (users.length > 0) continue;
        await removeVolume(name);
        process.stdout.write(`${name}\n`);
      }
    });
  return command;
}

/** `terrarium logs`: what a container has written. */

import { Command } from "commander";
import { pidOf } from "../../containers/client.js";
import { readLog } from "../../containers/log.js";
import { directoryOf, findRecord } from "../../containers/place.js";

/** The command. */
export function logsCommand(): Command {
  return new Command("logs")
    .description("show what a container has written")
    .argument("<container>")
    .option("-f, --follow", "go on until it ends")
    .action(async (name: string, { follow }: { readonly follow?: true }) => {
      const record = await findRecord(name);
      const isRunning = async (): Promise<boolean> => (await pidOf(record)) !== undefined;
      for await (const { stream, bytes } of readLog(directoryOf(record.id), follow === true ? isRunning : undefined)) {
        process[stream].write(Buffer.from(bytes, "base64"));
      }
    });
}

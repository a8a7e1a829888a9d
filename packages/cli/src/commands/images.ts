/** `terrarium images`: what can be booted or run by name. */

import { images } from "@terrarium/images";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { openImages } from "../containers/place.js";
import { age, size, table } from "../containers/table.js";

/** The command. */
export function imagesCommand(): Command {
  return new Command("images")
    .description("list the images that can be booted, and those that can be run")
    .action(async () => {
      const bootable = images.map(({ name, description }) => [name, description]);
      const runnable = (
        await openImages()
          .then((found) => found.list())
          .catch(missing)
      ).map(({ name, size: bytes, config, digest }) => {
        const created = config.created === undefined ? "" : `, made ${age(config.created)}`;
        const { os, architecture } = config.platform;
        return [name, `OCI image for ${os}/${architecture}, ${size(bytes)}${created}, ${digest.slice(0, 19)}`];
      });
      process.stdout.write(table([...bootable, ...runnable]));
    });
}

/** Without the means for containers there are no images of them, which is no mistake of who asks. */
function missing(error: unknown): [] {
  if (error instanceof MachineError && error.code === "RUNTIME_UNAVAILABLE") return [];
  throw error;
}

/** `terrarium images`: what can be booted by name. */

import { images } from "@terrarium/images";
import { Command } from "commander";

/** The command. */
export function imagesCommand(): Command {
  return new Command("images").description("list the images that can be booted by name").action(() => {
    const width = Math.max(...images.map(({ name }) => name.length));
    for (const { name, description } of images) process.stdout.write(`${name.padEnd(width)}  ${description}\n`);
  });
}

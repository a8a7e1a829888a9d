/** `terrarium save`, `load`, `tag` and `rmi`: images in files, by other names, and gone. */

import { MachineError } from "@terrarium/machine";
import { Command, Option } from "commander";
import { exactly, openImages, records } from "../../containers/place.js";

/** Writes an image to a file or directory. */
export function saveCommand(): Command {
  return new Command("save")
    .description("write an image to a file or directory")
    .argument("<image>")
    .requiredOption("-o, --output <path>", "where to")
    .addOption(
      new Option("--format <name>", "as what")
        .choices(["docker-archive", "oci-archive", "oci"])
        .default("docker-archive"),
    )
    .action(async (image: string, { output, format }: { readonly output: string; readonly format: string }) => {
      await (await openImages()).export(image, `${format}:${output}`);
    });
}

/** Takes images in. */
export function loadCommand(): Command {
  return new Command("load")
    .description("take in images from a file or directory")
    .requiredOption("-i, --input <path>", "an archive of `docker save` or `save`, or oci:DIRECTORY, oci-archive:FILE")
    .option("--name <image>", "what it is to be called")
    .action(async ({ input, name }: { readonly input: string; readonly name?: string }) => {
      const place = /^(oci|oci-archive|docker-archive):/.test(input) ? input : `docker-archive:${input}`;
      const names = await (await openImages()).import(place, name === undefined ? {} : { name });
      process.stdout.write(names.map((one) => `${one}\n`).join(""));
    });
}

/** Gives an image another name. */
export function tagCommand(): Command {
  return new Command("tag")
    .description("give an image another name, too")
    .argument("<image>")
    .argument("<name>")
    .action(async (image: string, name: string) => {
      await (await openImages()).tag(image, name);
    });
}

/** Removes images. */
export function rmiCommand(): Command {
  return new Command("rmi")
    .description("remove images, and what then nobody needs")
    .argument("<image...>")
    .option("-f, --force", "also where containers have been made of them")
    .action(async (names: string[], { force }: { readonly force?: true }) => {
      const images = await openImages();
      for (const image of names) {
        const found = await images.inspect(image);
        const digest = found.digest;
        const others = (await images.list()).filter((other) => other.digest === digest && other.name !== found.name);
        const users = (await records()).filter(({ reference }) => reference.endsWith(digest)).map(({ name }) => name);
        if (users.length > 0 && others.length === 0 && force !== true) {
          const containers = users.join(", ");
          const message = `The image ${found.name} is in use by ${containers}: remove them, or the image with --force.`;
          throw new MachineError("IMAGE_IN_USE", message, { image: exactly(found), containers });
        }
        await images.remove(image);
        process.stdout.write(`${found.name}\n`);
      }
    });
}

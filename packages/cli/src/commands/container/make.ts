/** `terrarium make`: a new image of one layer. */

import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { ImageDefaults, ImageSummary } from "@terrarium/container";
import { rootFromPackages } from "@terrarium/images/root";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { openImages, storeDirectory } from "../../containers/place.js";
import { repeated, variables } from "./options.js";

interface Flags {
  readonly directory?: string;
  readonly archive?: string;
  readonly packages?: string;
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
}

/** The command. */
export function makeCommand(): Command {
  return new Command("make")
    .description("make an image from a directory, an archive or Debian packages")
    .argument("<image>", "what it is to be called")
    .argument("[command...]", "what runs in its containers")
    .option("--directory <path>", "its files are those below this")
    .option("--archive <file>", "its files are those of this tar archive, compressed or not")
    .option(
      "--packages <names>",
      "its files are those of these Debian packages and what they depend on, as in dash,coreutils",
    )
    .option("-e, --env <name=value>", "an environment variable; may be repeated", repeated)
    .option("-u, --user <name:group>", "whose its processes are")
    .option("-w, --workdir <path>", "directory they run in")
    .passThroughOptions()
    .action(async (name: string, command: string[], flags: Flags) => {
      const { digest } = await make(name, defaultsOf(command, flags), flags);
      process.stdout.write(`${digest}\n`);
    });
}

async function make(
  name: string,
  defaults: Partial<ImageDefaults>,
  { directory, archive, packages }: Flags,
): Promise<ImageSummary> {
  const sources = [directory, archive, packages].filter((source) => source !== undefined);
  if (sources.length !== 1) {
    const options = "--directory, --archive, --packages";
    throw new MachineError("OPTIONS_CONFLICT", `Give one of ${options}.`, { options });
  }
  const images = await openImages();
  if (directory !== undefined) return await images.fromDirectory(directory, { name, defaults });
  if (archive !== undefined) return await images.fromArchive(createReadStream(archive), { name, defaults });
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const root = await rootFromPackages((packages ?? "").split(","), "amd64", join(storeDirectory(), "debian"), say);
  return await images.fromArchive(root, { name, defaults, comment: `Debian packages ${packages ?? ""}` });
}

function defaultsOf(command: readonly string[], { env, user, workdir }: Flags): Partial<ImageDefaults> {
  return {
    command,
    ...(env === undefined ? {} : { env: variables(env) }),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workingDirectory: workdir }),
  };
}

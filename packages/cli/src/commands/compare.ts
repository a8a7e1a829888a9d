/** `terrarium compare`: what one program pays for running in a container and in a machine. */

import { writeFile } from "node:fs/promises";
import { MachineError } from "@terrarium/machine";
import { messageOf } from "@terrarium/machine/guest-kit";
import { cpuWorkloads } from "@terrarium/measure";
import { Command } from "commander";
import { compared, comparisonTable, measurePlaces } from "../compare/comparison.js";
import { containerPlace, hostPlace, machinePlace, type Place } from "../compare/places.js";
import { count } from "../numbers.js";
import { fromUser } from "../paths.js";

interface Flags {
  readonly samples: string;
  readonly json?: string;
}

/** The command. */
export function compareCommand(): Command {
  return new Command("compare")
    .description("measure one program on this machine, in a container and in an emulated machine")
    .argument("[image]", "OCI image whose root the container has (default: an empty root)")
    .option("--samples <n>", "how often everything is measured", "3")
    .option("--json <file>", "write the samples and what the table shows, a line of JSON for each cell")
    .action(async (image: string | undefined, flags: Flags) => {
      await run(image, flags);
    });
}

async function run(image: string | undefined, { samples, json }: Flags): Promise<void> {
  const times = count("samples", samples);
  // Whoever cannot have the file should know before everything is measured.
  const file = json === undefined ? undefined : await emptied(json);
  try {
    const results = compared(await measurePlaces(await openPlaces(image), times, progress));
    progress("");
    process.stdout.write(`${comparisonTable(results)}\n`);
    if (file !== undefined) await writeFile(file, results.map((one) => `${JSON.stringify(one)}\n`).join(""));
  } finally {
    progress("");
  }
}

/** The places that there are here; what there is not is named with the cause. */
async function openPlaces(image: string | undefined): Promise<Place[]> {
  progress("building the program");
  const program = await cpuWorkloads("amd64", progress).catch((error: unknown) => {
    const feature = "measuring without the program that is measured";
    const mend = "install Rust with rustup, which builds it";
    const message = `The program that is measured cannot be built: ${messageOf(error)}; ${mend}.`;
    throw new MachineError("UNSUPPORTED", message, { feature, mend });
  });
  const openers = {
    host: () => hostPlace(program),
    container: () => containerPlace(program, image),
    machine: () => machinePlace(program),
  };
  const places: Place[] = [];
  for (const [name, open] of Object.entries(openers)) {
    try {
      places.push(await open());
    } catch (error) {
      progress("");
      process.stderr.write(`${name} is left out: ${messageOf(error)}\n`);
    }
  }
  return places;
}

/** On a terminal, one line that changes. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function emptied(path: string): Promise<string> {
  const file = fromUser(path);
  await writeFile(file, "").catch((error: unknown) => {
    const [option, expected] = ["json", "a file that can be written"];
    const message = `--${option} has to be ${expected}: ${messageOf(error)}.`;
    throw new MachineError("OPTION_INVALID", message, { option, value: path, expected });
  });
  return file;
}

/** `terrarium boot`: a guest on this terminal, or at the end of a pipe. */

import { images } from "@terrarium/images";
import {
  boot,
  CPU_MODELS,
  ENGINES,
  MachineError,
  type BootModule,
  type BootOptions,
  type Bytes,
  type CpuModel,
  type Engine,
  type Exit,
  type Image,
  type Machine,
  type MachineConfig,
} from "@terrarium/machine";
import { Command, Option } from "commander";
import { pipe } from "../pipe.js";
import { interact } from "../terminal.js";
import { fromUser } from "../paths.js";

const DEFAULT_IMAGE = "debian-cloud";
const ENTRIES = { auto: "auto", 16: "16-bit", 32: "32-bit", 64: "64-bit", pvh: "pvh" } as const;

/** Flags that say what is booted. */
export interface SourceFlags {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly module?: readonly string[];
  readonly bios?: string;
  readonly append?: string;
}

interface Flags extends SourceFlags {
  readonly memory?: string;
  readonly entry?: keyof typeof ENTRIES;
  readonly cpu?: CpuModel;
  readonly engine?: Engine;
  readonly trace?: string;
  readonly decompressOnHost?: true;
  readonly reboot: boolean;
}

/** The command; `report` gets the exit status. */
export function bootCommand(report: (status: number) => void): Command {
  return new Command("boot")
    .description("boot an image, or a kernel of your own; Ctrl-] leaves")
    .argument("[image]", `name of an image (default: ${DEFAULT_IMAGE})`)
    .option("--kernel <file>", "boot this Linux, PVH or multiboot kernel")
    .option("--initrd <file>", "its initial RAM disk")
    .option(
      "--module <file and words>",
      "a module for a multiboot kernel, and the string that goes with it; may be repeated",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option("--bios <file>", "start this flat firmware ROM at the reset vector")
    .option("--append <words>", "more words for the kernel command line")
    .option("--memory <size>", "guest RAM, such as 512MiB")
    .addOption(new Option("--entry <kind>", "how the kernel is entered").choices(Object.keys(ENTRIES)))
    .addOption(new Option("--cpu <model>", "model of the guest's processor").choices(CPU_MODELS))
    .addOption(new Option("--engine <name>", "what executes the guest").choices(ENGINES))
    .option("--trace <list>", "trace to stderr, such as exec,int,pio,mmio")
    .option("--decompress-on-host", "unpack a compressed kernel before the guest starts")
    .option("--no-reboot", "end when the guest resets")
    .action(async (name: string | undefined, flags: Flags) => {
      report(await run(source(name, flags), options(flags)));
    });
}

async function run(what: Image | MachineConfig, how: BootOptions): Promise<number> {
  await using machine = await boot(what, how);
  machine.onTrace((lines) => process.stderr.write(lines));
  const ready = "prompt" in what ? what.prompt : undefined;
  const exit = await attach(machine, ready);
  return statusOf(exit);
}

function attach(machine: Machine, prompt: string | undefined): Promise<Exit> {
  const { stdin, stdout } = process;
  return stdin.isTTY && stdout.isTTY ? interact(machine) : pipe(machine, prompt, stdin, stdout);
}

/** Zero when the guest ended as it wanted to, or the status it chose. */
function statusOf(exit: Exit): number {
  switch (exit.reason) {
    case "powered-off":
    case "stopped":
    case "reset":
      return 0;
    case "debug-exit":
      return exit.code & 0xff;
    case "exited":
      // As a shell counts an end by a signal, whose number is not at hand.
      return exit.exitCode ?? 128;
    case "fault":
      process.stderr.write(`terrarium: the guest's processor cannot go on.\n${exit.dump}\n`);
      return 1;
    case "failed":
      throw new MachineError(exit.error.code, exit.error.message, exit.error.details);
  }
}

/** What is booted: the image of that name, or files of the caller's. */
export function source(
  name: string | undefined,
  { kernel, initrd, module, bios, append }: SourceFlags,
): Image | MachineConfig {
  const parts = {
    ...(initrd === undefined ? {} : { initrd: fromUser(initrd) }),
    ...(module === undefined ? {} : { modules: module.map(bootModule) }),
  };
  if (kernel === undefined && bios === undefined) {
    return { ...find(name ?? DEFAULT_IMAGE), ...parts };
  }
  if (name !== undefined) {
    const options = "image, --kernel, --bios";
    throw new MachineError("OPTIONS_CONFLICT", "Give the name of an image or files of your own, not both.", {
      options,
    });
  }
  return {
    name: kernel ?? bios ?? "",
    ...(kernel === undefined ? {} : { kernel: fromUser(kernel) }),
    ...parts,
    ...(bios === undefined ? {} : { firmware: fromUser(bios) }),
    ...(append === undefined ? {} : { commandLine: append }),
  };
}

/** `--module "file words"`, as in a GRUB menu: the module's string is all of it, and kernels skip its first word. */
function bootModule(option: string): BootModule {
  const [file = ""] = option.split(" ");
  return { file: fromUser(file), commandLine: option };
}

function options(flags: Flags): BootOptions {
  const ownKernel = flags.kernel !== undefined || flags.bios !== undefined;
  return {
    ...(flags.append === undefined || ownKernel ? {} : { append: flags.append }),
    // The library checks the form; it is the same check for every caller.
    ...(flags.memory === undefined ? {} : { memory: flags.memory as Bytes }),
    ...(flags.entry === undefined ? {} : { entry: ENTRIES[flags.entry] }),
    ...(flags.cpu === undefined ? {} : { cpu: flags.cpu }),
    ...(flags.engine === undefined ? {} : { engine: flags.engine }),
    ...(flags.trace === undefined ? {} : { trace: flags.trace.split(",") }),
    ...(flags.decompressOnHost === undefined ? {} : { decompressOnHost: true }),
    onReset: flags.reboot ? "reboot" : "stop",
  };
}

function find(name: string): Image {
  const image = images.find((candidate) => candidate.name === name);
  if (image !== undefined) return image;
  const known = images.map((candidate) => candidate.name).join(", ");
  throw new MachineError("IMAGE_UNKNOWN", `There is no image "${name}": the images are ${known}.`, {
    image: name,
    known,
  });
}

/** `terrarium lockstep`: whether compiled code does what the interpreter does, over a whole boot. */

import { setImmediate } from "node:timers/promises";
import { MachineError, type Bytes } from "@terrarium/machine";
import { lockstep, type CoreLockstep, type LockstepProgress } from "@terrarium/machine/lockstep";
import { Command } from "commander";
import { count } from "../numbers.js";
import { source, type SourceFlags } from "./boot.js";

/** Instructions between two looks at the console. */
const STRETCH = 2_000_000;
const CONSOLE = 0;

interface Flags extends SourceFlags {
  readonly instructions?: string;
  readonly hot: string;
  readonly memory?: string;
  readonly decompressOnHost?: true;
  readonly type?: readonly string[];
}

/** The command; `report` gets the exit status: 1 where the engines disagree. */
export function lockstepCommand(report: (status: number) => void): Command {
  return new Command("lockstep")
    .description("boot a guest twice, interpreted and compiled, and compare them step by step")
    .argument("[image]", "name of an image")
    .option("--kernel <file>", "boot this Linux, PVH or multiboot kernel")
    .option("--initrd <file>", "its initial RAM disk")
    .option("--bios <file>", "start this flat firmware ROM at the reset vector")
    .option("--append <words>", "words for the kernel command line")
    .option("--instructions <n>", "stop after that many instructions (default: when the guest ends, or has its prompt)")
    .option("--hot <n>", "compile what has run that many times", "1")
    .option("--memory <size>", "guest RAM, such as 512MiB")
    .option("--decompress-on-host", "unpack a compressed kernel before the guest starts")
    .option(
      "--type <line>",
      "type this line at the prompt; may be repeated",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .action(async (name: string | undefined, flags: Flags) => {
      report(await run(name, flags));
    });
}

async function run(name: string | undefined, flags: Flags): Promise<number> {
  const what = source(name, flags);
  const append = flags.append === undefined || flags.kernel !== undefined ? {} : { append: flags.append };
  const memory = flags.memory === undefined ? {} : { memory: flags.memory as Bytes };
  const unpacked = flags.decompressOnHost === undefined ? {} : { decompressOnHost: true };
  const limit = flags.instructions === undefined ? Infinity : count("instructions", flags.instructions);
  const pair = await lockstep({ ...what, ...append, ...memory, ...unpacked, onReset: "stop" }, count("hot", flags.hot));
  const typist = new Typist(pair, "prompt" in what ? what.prompt : undefined, flags.type ?? []);
  const { instructions, compiledInstructions, ended, disagreement } = await drive(pair, typist, limit);
  if (disagreement !== undefined) {
    process.stdout.write(`${disagreement}\n`);
    return 1;
  }
  const share = ((100 * compiledInstructions) / instructions).toFixed(1);
  const end = ended === undefined ? "" : `, to the guest's end (${ended.kind})`;
  const extent = `${instructions.toLocaleString("en")} instructions, ${share} % of them compiled${end}`;
  process.stdout.write(`The engines agree over ${extent}.\n`);
  return 0;
}

async function drive(pair: CoreLockstep, typist: Typist, limit: number): Promise<LockstepProgress> {
  for (;;) {
    const progress = pair.run(STRETCH);
    show(`${Math.round(progress.instructions / 1e6)} million instructions`);
    const isDone = typist.look() && limit === Infinity;
    if (isDone || progress.instructions >= limit || (progress.ended ?? progress.disagreement) !== undefined) {
      show("");
      return progress;
    }
    // Ctrl-C has its turn.
    await setImmediate();
  }
}

/** Shows `text` in place of what was shown before, where somebody looks. */
function show(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

/** Types a line at every prompt. */
class Typist {
  readonly #pair: CoreLockstep;
  readonly #prompt: string | undefined;
  readonly #lines: string[];
  readonly #decoder = new TextDecoder();
  #seen = "";

  constructor(pair: CoreLockstep, prompt: string | undefined, lines: readonly string[]) {
    this.#pair = pair;
    this.#prompt = prompt;
    this.#lines = [...lines];
  }

  /** True where there is a prompt and nothing to type. */
  look(): boolean {
    this.#seen += this.#decoder.decode(this.#pair.serialOutput(CONSOLE), { stream: true });
    if (this.#prompt === undefined || !this.#seen.includes(this.#prompt)) return false;
    const line = this.#lines.shift();
    if (line === undefined) return true;
    this.#seen = "";
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#pair.serialInput(CONSOLE, bytes) < bytes.length) {
      throw new MachineError(
        "OPTION_INVALID",
        `The line "${line}" is longer than the guest's serial port takes at once.`,
        {
          option: "type",
          value: line,
          expected: "a short line",
        },
      );
    }
    return false;
  }
}

/** `terrarium profile`: where a guest spends its time, and what its hottest code was compiled to. */

import { setTimeout as sleep } from "node:timers/promises";
import { boot, MachineError, type Bytes, type HotRegion, type Machine, type MachineStats } from "@terrarium/machine";
import { Command } from "commander";
import { positive } from "../numbers.js";
import { functionText } from "../wasm-text.js";
import { source, type SourceFlags } from "./boot.js";

/** Longest a guest may take to its prompt. */
const BOOT_TIMEOUT = "10min";

interface Flags extends SourceFlags {
  readonly memory?: string;
  readonly decompressOnHost?: true;
  readonly run?: string;
  readonly seconds?: string;
  readonly top: string;
}

/** What was counted at one moment. */
interface Counts {
  readonly stats: MachineStats;
  readonly regions: readonly HotRegion[];
}

/** The command. */
export function profileCommand(): Command {
  return new Command("profile")
    .description("run a guest and show its hottest code beside the WebAssembly it was compiled to")
    .argument("[image]", "name of an image")
    .option("--kernel <file>", "boot this Linux, PVH or multiboot kernel")
    .option("--initrd <file>", "its initial RAM disk")
    .option("--bios <file>", "start this flat firmware ROM at the reset vector")
    .option("--append <words>", "words for the kernel command line")
    .option("--memory <size>", "guest RAM, such as 512MiB")
    .option("--decompress-on-host", "unpack a compressed kernel before the guest starts")
    .option("--run <command>", "profile this command at the guest's prompt, not the way there")
    .option("--seconds <n>", "stop after that long (default: at the guest's prompt)")
    .option("--top <n>", "how many regions to show", "10")
    .action(async (name: string | undefined, flags: Flags) => {
      await run(name, flags);
    });
}

async function run(name: string | undefined, flags: Flags): Promise<void> {
  const what = source(name, flags);
  const append = flags.append === undefined || flags.kernel !== undefined ? {} : { append: flags.append };
  const memory = flags.memory === undefined ? {} : { memory: flags.memory as Bytes };
  const unpacked = flags.decompressOnHost === undefined ? {} : { decompressOnHost: true };
  const top = positive("top", flags.top);
  const seconds = flags.seconds === undefined ? undefined : positive("seconds", flags.seconds);
  const prompt = "prompt" in what ? what.prompt : undefined;
  if (prompt === undefined && seconds === undefined) {
    throw new MachineError("OPTION_INVALID", "Nobody knows this guest's prompt: give --seconds.", {
      option: "seconds",
      value: "",
      expected: "a number of seconds",
    });
  }
  await using machine = await boot(what, { ...append, ...memory, ...unpacked, profile: true, onReset: "stop" });
  if (seconds !== undefined) await sleep(seconds * 1000);
  else if (prompt !== undefined) await machine.console.waitFor(prompt, { timeout: BOOT_TIMEOUT });
  let before: Counts | undefined;
  if (flags.run !== undefined) {
    before = await counts(machine);
    await machine.run(flags.run);
  }
  await report(machine, before, top);
}

async function counts(machine: Machine): Promise<Counts> {
  return { stats: await machine.stats(), regions: await machine.profile() };
}

async function report(machine: Machine, before: Counts | undefined, top: number): Promise<void> {
  const after = await counts(machine);
  const total = totals(after.stats, before?.stats);
  const regions = since(after.regions, before?.regions ?? []);
  const { stdout } = process;
  stdout.write(`${summary(total)}\n`);
  for (const [at, region] of regions.slice(0, top).entries()) {
    const listing = await machine.region(region.slot);
    stdout.write(`\n${at + 1}. ${headline(region, total.instructions)}\n`);
    if (listing === undefined) continue;
    stdout.write(`${indented(listing.guest)}\n\n${indented(await functionText(listing.module, "region"))}\n`);
  }
}

/** What the regions did after `before`, the hottest first. A slot may belong to another region by now. */
function since(regions: readonly HotRegion[], before: readonly HotRegion[]): HotRegion[] {
  const known = new Map(before.map((region) => [`${region.slot} ${region.address}`, region]));
  const differences = regions.map((region) => {
    const earlier = known.get(`${region.slot} ${region.address}`);
    if (earlier === undefined || earlier.entries > region.entries) return region;
    const instructions = region.instructions - earlier.instructions;
    return { ...region, instructions, entries: region.entries - earlier.entries };
  });
  return differences.filter(({ entries }) => entries > 0).sort((a, b) => b.instructions - a.instructions);
}

/** The counters that a summary shows. */
interface Totals {
  readonly instructions: number;
  readonly tiers: Readonly<Record<string, number>>;
  readonly entries: number;
  readonly exits: Readonly<Record<string, number>>;
  readonly modules: number;
  readonly moduleBytes: number;
  readonly compileNs: number;
}

function totals(after: MachineStats, before?: MachineStats): Totals {
  const counted = (name: NumberOf<MachineStats>): number => after[name] - (before?.[name] ?? 0);
  const exits = Object.entries({ ...after.compiledExits }) as [keyof MachineStats["compiledExits"], number][];
  return {
    instructions: counted("instructions"),
    tiers: {
      compiled: counted("compiledInstructions"),
      "by helpers": counted("helpedInstructions"),
      interpreted: counted("interpretedInstructions"),
    },
    entries: counted("compiledEntries"),
    exits: Object.fromEntries(exits.map(([name, count]) => [name, count - (before?.compiledExits[name] ?? 0)])),
    modules: counted("modules"),
    moduleBytes: counted("moduleBytes"),
    compileNs: counted("compileNs"),
  };
}

/** Names of the properties of `T` that are numbers. */
type NumberOf<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T];

function summary({ instructions, tiers, entries, exits, modules, moduleBytes, compileNs }: Totals): string {
  const shares = Object.entries(tiers).map(([tier, count]) => `${percent(count, instructions)} ${tier}`);
  const perEntry = entries === 0 ? 0 : Math.round(((tiers["compiled"] ?? 0) + (tiers["by helpers"] ?? 0)) / entries);
  const reasons = Object.entries(exits)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${percent(count, entries)} ${reason}`);
  return [
    `${whole(instructions)} instructions: ${shares.join(", ")}`,
    `compiled code entered ${whole(entries)} times, for ${whole(perEntry)} instructions each; left for: ${reasons.join(", ")}`,
    `${whole(modules)} modules of ${whole(moduleBytes)} bytes, compiled in ${(compileNs / 1e6).toFixed(0)} ms`,
  ].join("\n");
}

function headline({ address, bits, user, instructions, entries }: HotRegion, all: number): string {
  const mode = `${bits}-bit ${user ? "user" : "supervisor"}`;
  return `${percent(instructions, all)} at ${address}, ${mode}: ${whole(instructions)} instructions, entered ${whole(entries)} times`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => (line === "" ? "" : `    ${line}`)).join("\n");
}

function percent(part: number, all: number): string {
  return `${((100 * part) / Math.max(all, 1)).toFixed(1)} %`;
}

function whole(number: number): string {
  return number.toLocaleString("en");
}

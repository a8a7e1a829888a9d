/** Where a guest spends its time. */

import { boot } from "@terrarium/machine";
import { guestProgram } from "../../benchmarks/dist/guest-program.js";
import { beforeAll, expect, test } from "vitest";
import { cloudGuest } from "./guests.js";
import { terrarium } from "./terrarium.js";

let kernel: string;
beforeAll(async () => {
  kernel = await guestProgram(() => undefined);
});

test("the regions of a profile have run all that compiled code has run", async () => {
  await using machine = await boot({ kernel, commandLine: "sieve 100000", memory: "16MiB" }, { profile: true });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await machine.pause();
  const [stats, regions] = [await machine.stats(), await machine.profile()];
  expect(stats.regionsInvalidated + stats.regionsEvicted).toBe(0);
  const sum = regions.reduce((all, { instructions }) => all + instructions, 0);
  expect(sum).toBe(stats.compiledInstructions + stats.helpedInstructions);
  expect(sum).toBeGreaterThan(100e6);
  const entries = regions.reduce((all, region) => all + region.entries, 0);
  expect(entries).toBeGreaterThanOrEqual(stats.compiledEntries);
  const [hottest] = regions;
  expect(hottest).toMatchObject({ bits: 64, user: false });
  const listing = await machine.region(hottest?.slot ?? 0);
  expect(WebAssembly.validate(listing?.module as Uint8Array<ArrayBuffer>)).toBe(true);
  expect(await machine.region(1_000_000)).toBeUndefined();
});

test("a guest that was not asked to counts nothing", async () => {
  await using machine = await cloudGuest();
  expect(await machine.profile()).toEqual([]);
});

test("terrarium profile shows the hottest code beside what it was compiled to", async () => {
  const program = ["--kernel", kernel, "--append", "sieve 100000", "--memory", "16MiB"];
  const { stdout, status } = await terrarium(["profile", ...program, "--seconds", "2", "--top", "1"]);
  expect(status).toBe(0);
  const [, share, address] = /^1\. ([\d.]+) % at ([\da-f]+), 64-bit supervisor: /m.exec(stdout) ?? [];
  expect(Number(share)).toBeGreaterThan(50);
  expect(stdout).toMatch(new RegExp(`^ {4}${address} {2}[a-z]+ `, "m"));
  expect(stdout).toMatch(/^ {4}[\da-f]+ {2}j[a-z]+ 0x[\da-f]+$/m);
  expect(stdout).toContain("(func $region ");
  expect(stdout).toMatch(/local\.get \$rax/);
});

test("terrarium profile wants to know when to stop", async () => {
  const { stderr, status } = await terrarium(["profile", "--kernel", kernel]);
  expect({ stderr, status }).toEqual({ stderr: expect.stringContaining("give --seconds") as string, status: 2 });
});

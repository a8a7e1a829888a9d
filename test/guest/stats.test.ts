import type { CompiledExits, MachineStats } from "@terrarium/machine";
import { expect, test } from "vitest";
import { bootToShell, cloudGuest, debianCloud } from "./guests.js";

const WORK = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; cat /proc/stat; dmesg | wc -c";

function sum(exits: CompiledExits): number {
  return Object.values<number>({ ...exits }).reduce((all, count) => all + count);
}

/** What holds at any time. */
function expectToAddUp(stats: MachineStats): void {
  const { interpretedInstructions, compiledInstructions, helpedInstructions, restoredInstructions } = stats;
  const byTier = [interpretedInstructions, compiledInstructions, helpedInstructions, restoredInstructions];
  expect(byTier.reduce((all, count) => all + count)).toBe(stats.instructions);
  expect(sum(stats.compiledExits)).toBe(stats.compiledEntries);
  const { compiledExits, ...counters } = stats;
  for (const [name, count] of [...Object.entries(counters), ...Object.entries(compiledExits)]) {
    expect(Number.isSafeInteger(count) && count >= 0, `${name} ${String(count)}`).toBe(true);
  }
  expect(stats.longestCompileNs).toBeLessThanOrEqual(stats.compileNs);
  expect(stats.heldModuleBytes).toBeLessThanOrEqual(stats.moduleBytes);
}

test("what a guest's statistics tell of compiled code adds up", async () => {
  await using machine = await cloudGuest();
  const before = await machine.stats();
  expectToAddUp(before);
  expect(before.restoredInstructions).toBeGreaterThan(100e6);
  await machine.run(WORK);
  const after = await machine.stats();
  expectToAddUp(after);
  expect(after.compiledInstructions - before.compiledInstructions).toBeGreaterThan(5e6);
  expect(after.regions).toBeGreaterThan(10);
  expect(after.regions).toBeLessThanOrEqual(4096);
  expect(after.moduleBytes / after.modules).toBeGreaterThan(1000);
  expect(after.compileNs).toBeGreaterThan(before.compileNs);
  const { access, noCode } = after.compiledExits;
  expect(access).toBeGreaterThan(0);
  expect(noCode).toBeGreaterThan(0);
});

test("a guest that is interpreted has compiled nothing", async () => {
  await using machine = await bootToShell(debianCloud, { engine: "interpreter", decompressOnHost: true });
  const stats = await machine.stats();
  expectToAddUp(stats);
  expect(stats.interpretedInstructions).toBe(stats.instructions);
  expect([stats.modules, stats.compileNs, stats.compiledEntries]).toEqual([0, 0, 0]);
});

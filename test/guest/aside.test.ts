/** The thread that compiles beside a machine's own. */

import { readdir, readFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { expect, test, vi } from "vitest";
import { startAside } from "../../packages/core/dist/aside-node.js";
import { cloudGuest } from "./guests.js";

const CORE = new URL("../../packages/core/pkg/terrarium_bg.wasm", import.meta.url);

test("a guest's code is compiled by another thread", async () => {
  await using machine = await cloudGuest();
  await machine.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
  const stats = await machine.stats();
  expect(stats.regions).toBeGreaterThan(10);
  expect(stats.asideCompileNs).toBeGreaterThan(stats.compileNs);
});

test("whoever asks a thread that has died learns that it did, and that its jobs are lost", async () => {
  const aside = startAside(await WebAssembly.compile(await readFile(CORE)));
  expect(aside.ready(), "no thread comes up at once").toBe(false);
  await vi.waitFor(() => {
    expect(aside.ready()).toBe(true);
  });
  // No job at all: the other instance of the core panics over it.
  expect(aside.send(new Uint8Array(3))).toBe(true);
  await vi.waitFor(() => {
    expect(aside.receive()).toMatchObject({ moduleBytes: 0 });
  });
  expect(aside.send(new Uint8Array(3))).toBe(false);
  aside.close();
});

test("the engine's threads give way to a machine's", async ({ skip }) => {
  skip(process.platform !== "linux", "elsewhere threads have no priorities of their own");
  await using machine = await cloudGuest();
  await machine.run("true");
  const tasks = (await readdir("/proc/self/task")).map(Number);
  const named = await Promise.all(
    tasks.map(async (task) => ({ task, name: (await readFile(`/proc/self/task/${task}/comm`, "utf8")).trim() })),
  );
  const priorities = named.filter(({ name }) => name === "V8Worker").map(({ task }) => getPriority(task));
  skip(priorities.length === 0, "this Node gives its threads no names");
  expect(Math.min(...priorities)).toBeGreaterThan(getPriority());
});

/** The thread that compiles beside a machine's own. */

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import { startAside } from "../../packages/core/dist/aside-node.js";
import { cloudGuest } from "./guests.js";

const CORE = new URL("../../packages/core/pkg/terrarium_bg.wasm", import.meta.url);
/** Options of Node with which it runs the text behind them. */
const EVALUATE = ["--input-type=module", "--eval"];
const ASIDE = new URL("../../packages/core/dist/aside-node.js", import.meta.url);

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

test("a thread that waits for jobs keeps no process alive", async () => {
  const program = `
    import { readFile } from "node:fs/promises";
    import { setTimeout } from "node:timers/promises";
    import { startAside } from "${ASIDE.href}";
    const aside = startAside(await WebAssembly.compile(await readFile(new URL("${CORE.href}"))));
    while (!aside.ready()) await setTimeout(10);
    console.log("it waits");`;
  const { stdout } = await promisify(execFile)(process.execPath, [...EVALUATE, program], { timeout: 60_000 });
  expect(stdout).toBe("it waits\n");
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

test("a program on Node's command line has machines, and their threads, as one in a file does", async () => {
  const program = `
    import { boot } from "@terrarium/machine";
    import image from "@terrarium/images/debian-cloud";
    await using machine = await boot(image);
    const { stdout } = await machine.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; uname");
    console.log(stdout.trim(), (await machine.stats()).asideCompileNs > 0);`;
  const { stdout } = await promisify(execFile)(process.execPath, [...EVALUATE, program], { timeout: 110_000 });
  expect(stdout).toBe("Linux true\n");
});

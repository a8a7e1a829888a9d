/** What is left of containers where those who made them are killed, in whatever order. */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { childrenOf, expectNothingNew, forbidden, makeRootfs, parentOf, traces } from "./containers.js";
import { emptyStore, makeStore, output, terrarium, usr } from "./store.js";

const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** A Node process with a container; its number, its helper's, and that of the container's first process. */
async function startApart(paused: boolean): Promise<{ node: number; helper: number; first: number }> {
  const script = `
    import { boot } from "@terrarium/container";
    const usr = { source: "/usr", target: "/usr", readonly: true };
    const container = await boot({ rootfs: ${JSON.stringify(makeRootfs())}, volumes: [usr] });
    await container.run("sleep 1000 & true");
    void container.run("sleep 1000").catch(() => undefined);
    await container.run("true");
    if (${paused} && container.capabilities.pause) await container.pause();
    setInterval(() => undefined, 1_000);
    console.log(container.pid);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const node = child.pid ?? 0;
  return { node, helper: childrenOf(node)[0] ?? 0, first: Number(line.toString()) };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

describe.skipIf(forbidden !== undefined)("of a container nothing is left", () => {
  test.each([
    ["Node is killed", ["node"], false],
    ["its helper is killed", ["helper"], false],
    ["both are killed, the helper first", ["helper", "node"], false],
    ["both are killed, Node first", ["node", "helper"], false],
    ["it stands still and Node is killed", ["node"], true],
    ["it stands still and both are killed", ["helper", "node"], true],
  ] as const)("where %s", async (_, victims, paused) => {
    const before = traces();
    const numbers = await startApart(paused);
    expect(existsSync(`/proc/${numbers.first}`)).toBe(true);
    // The helper may have followed Node by itself.
    for (const victim of victims) killIfThere(numbers[victim]);
    // Where the helper cannot wait for them the host's init does, which may look every few seconds only.
    await expect.poll(() => existsSync(`/proc/${numbers.first}`), { timeout: 30_000 }).toBe(false);
    await expectNothingNew(before);
  });

  test("where its helper is killed while it takes the container down behind Node", { timeout: 60_000 }, async () => {
    const before = traces();
    for (let times = 0; times < 5; times++) {
      const { node, helper, first } = await startApart(false);
      process.kill(node, "SIGKILL");
      // Between the end of the first process and that of the groups there are some tenths of a millisecond.
      const start = performance.now();
      while (existsSync(`/proc/${first}`)) if (performance.now() - start > 10_000) throw new Error(`${first} stays`);
      killIfThere(helper);
    }
    await expectNothingNew(before);
  });

  test("where everybody is killed, once there is a helper again", async () => {
    const before = traces();
    const { node, helper, first } = await startApart(true);
    for (const pid of [...childrenOf(helper).filter((child) => child !== first), helper, node]) {
      process.kill(pid, "SIGKILL");
    }
    const next = await startApart(false);
    await expect.poll(() => existsSync(`/proc/${first}`), { timeout: 30_000 }).toBe(false);
    process.kill(next.node, "SIGKILL");
    await expectNothingNew(before);
  });
});

/** What the kernel's log has said of layers that two overlays write to; undefined where it is not for us to read. */
function sharedLayers(): number | undefined {
  const { status, stdout } = spawnSync("dmesg", { encoding: "utf8" });
  return status === 0 ? stdout.split("is in-use as upperdir/workdir of another mount").length - 1 : undefined;
}

describe.skipIf(forbidden !== undefined)("a container of the command line whose holder is killed", () => {
  const writer = "i=0; while :; do echo $i > /tmp/now; mv /tmp/now /tmp/last; i=$((i + 1)); done";

  beforeAll(async () => {
    await makeStore({ Entrypoint: ["/bin/sh", "-c"] });
    await output("run", "-d", "--name", "writer", ...usr, "test:1", writer);
  });
  afterAll(emptyStore);

  /** The holder of the one container, its helper, and the container's first process. */
  async function processes(): Promise<{ holder: number; helper: number; first: number }> {
    const [{ pid: first }] = JSON.parse(await output("inspect", "writer")) as [{ pid: number }];
    const helper = parentOf(first);
    return { holder: parentOf(helper), helper, first };
  }

  test("is started again when nothing writes to its layer any more, and not before", { timeout: 60_000 }, async () => {
    const { holder, helper, first } = await processes();
    // It does not come to notice that its holder is gone.
    process.kill(helper, "SIGSTOP");
    process.kill(holder, "SIGKILL");
    onTestFinished(() => {
      // Where it fails before, it must not stay so.
      if (existsSync(`/proc/${helper}`)) process.kill(helper, "SIGCONT");
    });
    const { stderr, status } = await terrarium("start", "writer");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/first process is \d+.*\[LAYER_IN_USE\]/)]);
    expect(stderr).toContain(String(first));
    expect(existsSync(`/proc/${first}`)).toBe(true);
    const starting = output("start", "writer");
    setTimeout(() => process.kill(helper, "SIGCONT"), 1_500);
    await starting;
    expect(existsSync(`/proc/${first}`)).toBe(false);
    expect(await output("exec", "writer", "cat", "/tmp/last")).toMatch(/^\d+\n$/);
  });

  test("is started again at once, many times, and never beside itself", { timeout: 120_000 }, async () => {
    const before = sharedLayers();
    if (before === undefined) process.stderr.write("Whether two overlays have a layer is not looked for: no dmesg\n");
    for (let times = 0; times < 15; times++) {
      const { holder, helper } = await processes();
      for (const pid of times % 2 === 0 ? [holder] : [helper, holder]) process.kill(pid, "SIGKILL");
      await output("start", "writer");
    }
    expect(await output("exec", "writer", "cat", "/tmp/last")).toMatch(/^\d+\n$/);
    expect(sharedLayers()).toBe(before);
  });
});

/** What the command line's own streams are to a program in a container. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { loadNative } from "@terrarium/core/native";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TERRARIUM, terrarium } from "../guest/terrarium.js";
import { forbidden } from "./containers.js";
import { emptyStore, makeStore, usr } from "./store.js";

describe.skipIf(forbidden !== undefined)("terrarium", () => {
  let store: string;

  beforeAll(async () => {
    store = await makeStore({ Cmd: ["sleep", "1000"] });
    expect(await terrarium(["run", "-d", "--name", "pots", ...usr, "test:1"])).toMatchObject({ status: 0 });
  });
  afterAll(emptyStore);

  /** Runs it with these as its streams; its status. */
  async function runWith(stdio: ("ignore" | number)[], ...args: string[]): Promise<unknown> {
    const [status] = (await once(spawn(process.execPath, [TERRARIUM, ...args], { stdio }), "exit")) as unknown[];
    return status;
  }

  test("exec gives a program the very files that it has been given itself", async () => {
    const names = ["in", "out", "err"].map((name) => join(store, name));
    writeFileSync(names[0] ?? "", "planted\n");
    const descriptors = names.map((name, index) => openSync(name, index === 0 ? "r" : "w"));
    const script = "cat; readlink /proc/self/fd/0 /proc/self/fd/1; ls /proc/self/fd | wc -w >&2; exit 5";
    expect(await runWith(descriptors, "exec", "-i", "pots", "sh", "-c", script)).toBe(5);
    expect(readFileSync(names[1] ?? "", "utf8")).toBe(`planted\n${names[0]}\n${names[1]}\n`);
    // Three, and the directory that ls reads.
    expect(readFileSync(names[2] ?? "", "utf8")).toBe("4\n");
    // Without --interactive its input is empty.
    expect(await runWith(descriptors, "exec", "pots", "sh", "-c", "readlink /proc/self/fd/0")).toBe(0);
    expect(readFileSync(names[1] ?? "", "utf8")).toMatch(/\npipe:\[\d+\]\n$/);
    descriptors.forEach(closeSync);
  });

  test("exec in a pipeline goes at the pace of its neighbours, and ends with them", () => {
    const tool = `'${process.execPath}' '${TERRARIUM}'`;
    const pipeline = `head -c 3000000 /dev/zero | ${tool} exec -i pots cat | { sleep 0.5; wc -c; }
      { ${tool} exec pots yes; echo "$?" >&2; } | head -n 1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", pipeline], { encoding: "utf8" });
    // 128 and SIGPIPE, as a shell counts.
    expect([stdout, stderr]).toEqual(["3000000\ny\n", "141\n"]);
  });

  test("run -i gives it the input, and logs what it writes", async () => {
    const input = join(store, "seeds");
    writeFileSync(input, "sown\n");
    const stdin = openSync(input, "r");
    const script = "readlink /proc/self/fd/0; cat";
    const run = ["run", "-i", "--name", "bed", ...usr, "test:1", "sh", "-c", script];
    const { stdout } = spawnSync(process.execPath, [TERRARIUM, ...run], { stdio: [stdin, "pipe", "inherit"] });
    closeSync(stdin);
    expect(stdout.toString()).toBe(`${input}\nsown\n`);
    expect((await terrarium(["logs", "bed"])).stdout).toBe(`${input}\nsown\n`);
  });

  test("a terminal is nobody's in a container; what a program writes is carried to it", async () => {
    const { master, slave } = loadNative().openTerminal({ columns: 80, rows: 24 });
    const screen = new ReadStream(master);
    let shown = "";
    screen.on("data", (bytes: Buffer) => (shown += bytes.toString()));
    // EIO: nobody has the other end open any more (pty(7)).
    screen.on("error", () => undefined);
    const script = "for fd in 0 1 2; do test -t $fd && echo $fd is one; done; readlink /proc/self/fd/1";
    expect(await runWith([slave, slave, slave], "exec", "-i", "pots", "sh", "-c", script)).toBe(0);
    closeSync(slave);
    await expect.poll(() => shown).toMatch(/^pipe:\[\d+\]\r\n$/);
    screen.destroy();
  });

  test("a program with a terminal has the size that this one gets", async () => {
    const native = loadNative();
    const { master, slave } = native.openTerminal({ columns: 91, rows: 37 });
    const screen = new ReadStream(master);
    let shown = "";
    screen.on("data", (bytes: Buffer) => (shown += bytes.toString()));
    screen.on("error", () => undefined);
    // Which takes a moment to get there.
    const until = (size: string): string =>
      `until [ "$(stty size)" = "${size}" ]; do sleep 0.05; done; echo is ${size}`;
    const script = `${until("37 91")}; ${until("11 44")}`;
    // As the terminal's leader the tool is told of another size (SIGWINCH).
    const leader = ["--ctty", "--wait", process.execPath, TERRARIUM];
    const child = spawn("setsid", [...leader, "exec", "-it", "pots", "sh", "-c", script], {
      stdio: [slave, slave, slave],
    });
    closeSync(slave);
    await expect.poll(() => shown, { timeout: 10_000 }).toContain("is 37 91");
    native.setWindowSize(master, { columns: 44, rows: 11 });
    expect(await once(child, "exit")).toEqual([0, null]);
    await expect.poll(() => shown).toContain("is 11 44");
    screen.destroy();
  });

  test("wait is told of a holder's end by the kernel, also where that has been killed", async () => {
    await terrarium(["run", "-d", "--name", "weed", ...usr, "test:1"]);
    const waiting = terrarium(["wait", "weed"]);
    const holders = spawnSync("pgrep", ["-f", "terrarium.mjs hold"]).stdout.toString().trim().split("\n");
    const [{ id }] = JSON.parse((await terrarium(["inspect", "weed"])).stdout) as [{ id: string }];
    const holder = holders.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(id));
    process.kill(Number(holder), "SIGKILL");
    expect(await waiting).toEqual({ stdout: "137\n", stderr: "", status: 0 });
    await terrarium(["rm", "weed"]);
  });

  test("a program whose output nobody takes waits, and does not fill who holds the container", async () => {
    const [{ id }] = JSON.parse((await terrarium(["inspect", "pots"])).stdout) as [{ id: string }];
    const holder = spawnSync("pgrep", ["-f", `terrarium.mjs hold ${id}`])
      .stdout.toString()
      .trim();
    const resident = (): number => {
      const status = readFileSync(`/proc/${holder}/status`, "utf8");
      return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) >> 10;
    };
    const before = resident();
    const socket = connect(join(store, "containers", id, "socket"));
    socket.write(`${JSON.stringify({ type: "exec", command: ["yes"], options: {} })}\n`);
    await sleep(1_500);
    // In that time it writes a gigabyte where nothing holds it up.
    expect(resident() - before).toBeLessThan(200);
    let taken = 0;
    for await (const chunk of socket as AsyncIterable<Buffer>) if ((taken += chunk.length) > 50_000_000) break;
    expect(taken).toBeGreaterThan(50_000_000);
    socket.destroy();
  });

  test("who holds a container keeps nothing open of what has been handed over", async () => {
    const [holder = ""] = spawnSync("pgrep", ["-f", "terrarium.mjs hold"]).stdout.toString().trim().split("\n");
    const opened = (): number => readdirSync(`/proc/${holder}/fd`).length;
    const before = opened();
    const stdout = openSync(join(store, "out"), "w");
    for (let times = 0; times < 5; times++) {
      expect(await runWith(["ignore", stdout, stdout], "exec", "pots", "echo", "here")).toBe(0);
    }
    closeSync(stdout);
    expect(statSync(join(store, "out")).size).toBe("here\n".length * 5);
    await expect.poll(opened).toBeLessThanOrEqual(before);
  });
});

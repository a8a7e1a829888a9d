/** Streams of a container's programs that are files, pipes and terminals of the host's. */

import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Container } from "@terrarium/container";
import type { RunOptions } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { childrenOf, forbidden, parentOf, startContainer } from "./containers.js";
import { makeDirectory } from "./images.js";
import { asNobody } from "./nobody.js";

/** How much is open in a process of the host's. */
function openIn(pid: number | "self"): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** A named pipe with both ends open here, so that neither waits for the other. */
function makePipe(directory: string, name: string): string {
  const path = join(directory, name);
  expect(spawnSync("mkfifo", [path]).status).toBe(0);
  return path;
}

describe.skipIf(forbidden !== undefined)("a program in a container", () => {
  let container: Container;
  let helper: number;
  let first: number[];
  const directory = makeDirectory();
  beforeAll(async () => {
    container = await startContainer();
    helper = parentOf(container.pid);
    first = childrenOf(helper);
    return () => container.stop();
  });

  /** Waits until nothing is left of other tests' programs. */
  async function idle(): Promise<void> {
    await expect.poll(() => childrenOf(helper).filter((pid) => !first.includes(pid))).toEqual([]);
  }

  test("reads and writes files of the caller's", async () => {
    const input = join(directory, "input");
    writeFileSync(input, "größe\n");
    await using stdin = await open(input);
    await using stdout = await open(join(directory, "output"), "w");
    const result = await container.run("tr a-z A-Z; echo told >&2; exit 3", { stdin, stdout });
    expect(result).toEqual({ stdout: "", stderr: "told\n", exitCode: 3, signal: null });
    expect(readFileSync(join(directory, "output"), "utf8")).toBe("GRößE\n");
  });

  test("has both outputs in one file where they are the same, in the order in which they were written", async () => {
    const path = join(directory, "both");
    await using both = await open(path, "w");
    const script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done";
    expect(await container.run(script, { stdout: both.fd, stderr: both })).toMatchObject({ stdout: "", stderr: "" });
    expect(readFileSync(path, "utf8")).toBe("out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
  });

  test("has nothing else of the host's open", async () => {
    const stdout = openSync("/dev/null", "w");
    const stdin = openSync("/etc/passwd", "r");
    const process = await container.exec(["sleep", "1000"], { stdin, stdout }, () => undefined);
    closeSync(stdout);
    closeSync(stdin);
    const descriptors = `/proc/${process.pid}/fd`;
    const opened = (): string[] => readdirSync(descriptors).map((fd) => readlinkSync(join(descriptors, fd)));
    // Once the loader has closed its libraries.
    await expect.poll(opened).toEqual(["/etc/passwd", "/dev/null", expect.stringMatching(/^pipe:/)]);
    process.kill(9);
    expect(await process.ended).toEqual({ exitCode: null, signal: "SIGKILL" });
  });

  test("is held up by a pipe that nobody reads, and goes on when somebody does", async () => {
    const path = makePipe(directory, "slow");
    // As Node opens its own: the program must not be told to come again.
    const stdout = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const stdin = openSync("/dev/zero", "r");
    const process = await container.exec(["head", "-c", "3000000"], { stdin, stdout }, () => undefined);
    // Asleep, not gone: it waits for room (proc_pid_stat(5)).
    const state = (): string => readFileSync(`/proc/${process.pid}/stat`, "utf8").split(" ")[2] ?? "";
    await expect.poll(state).toBe("S");
    const reader = spawn("head", ["-c", "3000000", path], { stdio: ["ignore", "pipe", "inherit"] });
    expect(await text(reader.stdout)).toHaveLength(3_000_000);
    expect(await process.ended).toEqual({ exitCode: 0, signal: null });
    closeSync(stdout);
    closeSync(stdin);
  });

  test("is ended as everywhere where nobody is left to read", async () => {
    const path = makePipe(directory, "broken");
    const keeper = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const stdout = openSync(path, "w");
    const running = container.run(["yes"], { stdout });
    closeSync(stdout);
    closeSync(keeper);
    expect(await running).toMatchObject({ exitCode: null, signal: "SIGPIPE" });
  });

  test("is told of the end of its input by the kernel", async () => {
    const path = makePipe(directory, "input-pipe");
    const stdin = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, "w");
    const running = container.run("cat; echo end", { stdin });
    writeFileSync(writer, "first\n");
    closeSync(stdin);
    closeSync(writer);
    expect((await running).stdout).toBe("first\nend\n");
  });

  test("is ended by the caller all the same", async () => {
    await using stdout = await open("/dev/null", "w");
    const waiting = container.run("sleep 1000", { stdout, timeout: "300ms" });
    await expect(waiting).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("is not started with what is no stream, and the option is named", async () => {
    await idle();
    const [opened, openedByHelper] = [openIn("self"), openIn(helper)];
    const root = openSync("/", "r");
    const reading = openSync("/etc/passwd", "r");
    const writing = openSync("/dev/null", "w");
    const wrong: [string, RunOptions][] = [
      ["stdin", { stdin: root }],
      ["stdout", { stdout: reading }],
      ["stderr", { stderr: reading, stdout: writing }],
      ["stdin", { stdin: writing }],
      ["stdin", { stdin: 99_999 }],
      ["stdout", { stdout: -1 }],
      ["stdout", { stdout: 1.5 }],
      ["stderr", { stderr: Number.NaN }],
      ["stderr", { stderr: 2 ** 32 + 1 }],
      ["stdin", { stdin: { fd: "0" } as never }],
      ["stdin", { stdin: {} as never }],
      ["stdin", { stdin: null as never }],
      ["stdout", { stdout: "/etc/passwd" as never }],
    ];
    for (const [option, options] of wrong) {
      const refused = container.run("true", options);
      await expect(refused, JSON.stringify(options)).rejects.toMatchObject({
        code: "OPTION_INVALID",
        details: { option },
      });
    }
    expect((await container.run("cat", { stdin: reading })).stdout).toContain("root:");
    for (const descriptor of [root, reading, writing]) closeSync(descriptor);
    await expect.poll(() => [openIn("self"), openIn(helper)]).toEqual([opened, openedByHelper]);
  });

  test("leaves nothing open, however many there are at once", async () => {
    await idle();
    const [opened, openedByHelper] = [openIn("self"), openIn(helper)];
    const path = join(directory, "many");
    await using stdout = await open(path, "w");
    const runs = Array.from({ length: 300 }, () =>
      container.run(["echo", "here"], { stdout, stderr: stdout, stdin: 0 }),
    );
    expect(new Set((await Promise.all(runs)).map(({ exitCode }) => exitCode))).toEqual(new Set([0]));
    expect(readFileSync(path, "utf8")).toBe("here\n".repeat(300));
    await expect.poll(() => [openIn("self"), openIn(helper)]).toEqual([opened + 1, openedByHelper]);
  });

  test.each([false, true])("that is its first has them, too (init: %s)", async (init) => {
    const path = join(directory, `first-${init}`);
    await using stdout = await open(path, "w");
    await using stdin = await open("/etc/passwd");
    const command = ["sh", "-c", "cat; ls -1 /proc/self/fd | wc -l; echo told >&2"];
    await using first = await startContainer({ command, init, terminal: false, stdin, stdout });
    let told = "";
    first.console.onData((bytes) => (told += Buffer.from(bytes).toString()));
    expect(await first.exited).toMatchObject({ reason: "exited", exitCode: 0 });
    expect(told).toBe("told\n");
    // The three, and the directory that ls reads.
    expect(readFileSync(path, "utf8")).toBe(`${readFileSync("/etc/passwd", "utf8")}4\n`);
  });

  test.skipIf(process.geteuid?.() !== 0)("has them for users without rights, too", () => {
    const script = `
      import { mkdirSync, openSync, readFileSync, symlinkSync } from "node:fs";
      const rootfs = store + "/root";
      for (const name of ["", "usr", "proc", "dev", "sys", "tmp", "etc"]) mkdirSync(rootfs + "/" + name);
      for (const name of ["bin", "lib", "lib64"]) symlinkSync("usr/" + name, rootfs + "/" + name);
      const container = await boot({ rootfs, volumes });
      const [stdin, stdout] = [openSync("/etc/passwd", "r"), openSync(store + "/out", "w")];
      const { exitCode } = await container.run("cat", { stdin, stdout });
      await container.stop();
      console.log(JSON.stringify([exitCode, readFileSync(store + "/out", "utf8")]));`;
    expect(asNobody(script)).toEqual([0, readFileSync("/etc/passwd", "utf8")]);
  });

  test("has either a terminal or streams", async () => {
    const refused = startContainer({ stdout: 1 });
    await expect(refused).rejects.toMatchObject({ code: "OPTIONS_CONFLICT", details: { options: "terminal, stdout" } });
    const exec = container.exec(["true"], { terminal: true, stdin: 0 }, () => undefined);
    await expect(exec).rejects.toMatchObject({ code: "OPTION_INVALID" });
    expect(existsSync(`/proc/${container.pid}`)).toBe(true);
  });
});

/** `run()` and the agent: the host's end against the guest's own binary, which runs here over a socket pair. */

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { CommandRunner } from "../../packages/machine/src/agent.js";
import { AgentClient } from "../../packages/machine/src/agent/client.js";
import { Serial } from "../../packages/machine/src/serial.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const AGENT = fileURLToPath(new URL("../../.cache/agent/amd64", import.meta.url));

// The guest's binary is a Linux one for x86-64.
const runsHere = process.platform === "linux" && process.arch === "x64";
if (!runsHere) console.warn(`agent tests skipped: ${process.platform} on ${process.arch} cannot run ${AGENT}`);

describe.runIf(runsHere)("a command run through the agent", () => {
  let guest: ChildProcess;
  let channel: Duplex;
  let agent: CommandRunner;

  beforeEach(() => {
    guest = spawn("/bin/sh", ["-c", 'exec "$0" - <&3', AGENT], { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    channel = guest.stdio[3] as Duplex;
    agent = attach(channel);
  });

  afterEach(async () => {
    channel.destroy();
    if (guest.exitCode === null) await once(guest, "exit");
  });

  test("gives back what it wrote and its exit code", async () => {
    const result = await agent.run("echo out; echo err >&2; exit 7", {});
    expect(result).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 7, signal: null });
  });

  test("reads the standard input it is given, every byte value, beyond every window", async () => {
    const stdin = new Uint8Array(randomBytes(300_000));
    const { stdout } = await agent.run(["cat"], { stdin, output: "bytes" });
    expect(Buffer.compare(stdout as Uint8Array, stdin)).toBe(0);
  });

  test("finds the end of its standard input when it is given none", async () => {
    expect(await agent.run(["cat"], {})).toMatchObject({ stdout: "", exitCode: 0 });
  });

  test("takes an argument vector as it is", async () => {
    expect(await agent.run(["printf", "[%s]", "a b", "", "*", "ü"], {})).toMatchObject({ stdout: "[a b][][*][ü]" });
  });

  test("has the directory and the variables asked for", async () => {
    const result = await agent.run('pwd; echo "$GREETING"', { cwd: "/usr", env: { GREETING: "a=b" } });
    expect(result).toMatchObject({ stdout: "/usr\na=b\n" });
  });

  test("tells the signal that ended it", async () => {
    expect(await agent.run("kill -TERM $$", {})).toMatchObject({ exitCode: null, signal: "SIGTERM" });
  });

  test("runs beside others without waiting for them", async () => {
    let slowIsDone = false;
    const slow = agent.run("sleep 1", {}).then(() => (slowIsDone = true));
    const quick = await Promise.all(["a", "b", "c"].map((word) => agent.run(["echo", word], {})));
    expect(quick.map(({ stdout }) => stdout)).toEqual(["a\n", "b\n", "c\n"]);
    expect(slowIsDone).toBe(false);
    await slow;
  });

  test("delivers megabytes", async () => {
    const { stdout } = await agent.run("head -c 3000000 /dev/zero", { output: "bytes" });
    expect(stdout).toHaveLength(3_000_000);
  });

  test("is over when it exits, though a descendant keeps writing to its output", async () => {
    const { stdout } = await agent.run("yes & echo done", { timeout: "5s" });
    expect(stdout).toMatch(/done/);
  });

  test("is not held up by one that never reads its input", async () => {
    const stuck = agent.run("sleep 30", { stdin: new Uint8Array(100_000), timeout: "3s" });
    expect(await agent.run("echo still here", {})).toMatchObject({ stdout: "still here\n" });
    await expect(stuck).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("is killed when its time is over, and its children with it", async () => {
    await expect(agent.run("echo begun; sleep 3131 & wait", { timeout: "500ms" })).rejects.toMatchObject({
      code: "TIMEOUT",
      transcript: "begun\n",
    });
    const left = await agent.run("sleep 0.2; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 313[1]'", {});
    expect(left).toMatchObject({ stdout: "0\n" });
  });

  test("is killed when its caller gives up", async () => {
    const given = new AbortController();
    const running = agent.run("sleep 30", { signal: given.signal });
    given.abort("no longer wanted");
    await expect(running).rejects.toMatchObject({ code: "ABORTED", details: { reason: "no longer wanted" } });
  });

  test("is killed when it writes more than is wanted", async () => {
    await expect(agent.run("yes", { maxOutput: "1MiB" })).rejects.toMatchObject({
      code: "OUTPUT_TOO_LARGE",
      details: { limit: 1_048_576 },
    });
  });

  test("that does not exist is an error, not an exit code", async () => {
    await expect(agent.run(["/no/such/program"], {})).rejects.toMatchObject({
      code: "COMMAND_NOT_STARTED",
      details: { program: "/no/such/program", reason: "no such file or directory (ENOENT)" },
    });
  });

  test.each([
    ["no program", [], {}],
    ["a NUL in an argument", ["echo", "a\0b"], {}],
    ["a variable without a name", ["true"], { env: { "": "x" } }],
    ["more than fits", ["echo", "x".repeat(40_000)], {}],
    ["a malformed time", ["true"], { timeout: "soon" as never }],
  ])("with %s is refused before it starts", async (_what, command, options) => {
    await expect(agent.run(command, options)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  test("does not outlive the host that started it", async () => {
    await agent.run("true", {});
    const orphan = agent.run("sleep 3232", {});
    orphan.catch(() => undefined);
    await agent.run("sleep 0.2", {});
    // A new host on the same channel, in the middle of a frame of the old one: a restored snapshot looks like that.
    channel.removeAllListeners("data");
    channel.write(Uint8Array.of(9, 2, 1));
    const successor = attach(channel);
    const left = await successor.run("sleep 0.2; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 323[2]'", {});
    expect(left).toMatchObject({ stdout: "0\n" });
  });

  test("waits for an agent that appears later", async () => {
    const late = spawn("/bin/sh", ["-c", 'sleep 0.5; dd count=1 bs=4096 <&3 >/dev/null 2>&1; exec "$0" - <&3', AGENT], {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
    });
    const end = late.stdio[3] as Duplex;
    try {
      // The greeting sent before is swallowed by dd, as a serial port without a driver swallows it.
      expect(await attach(end).run("echo late", {})).toMatchObject({ stdout: "late\n" });
    } finally {
      end.destroy();
      late.kill("SIGKILL");
    }
  });
});

function attach(channel: Duplex): CommandRunner {
  const serial = new Serial((bytes) => {
    channel.write(bytes);
    return Promise.resolve();
  });
  channel.on("data", (bytes: Uint8Array) => {
    serial.receive(bytes);
  });
  return new CommandRunner(new AgentClient(serial));
}

import { createHash } from "node:crypto";
import type { Machine } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { cloudGuest } from "./guests.js";

describe("a command run in the guest", () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await cloudGuest();
    return () => machine.stop();
  });

  test("keeps its two outputs apart and tells its exit code", async () => {
    expect(await machine.run("echo out; echo err >&2; exit 3")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 3,
      signal: null,
    });
  });

  test("tells the signal that ended it", async () => {
    expect(await machine.run("kill -TERM $$")).toMatchObject({ exitCode: null, signal: "SIGTERM" });
  });

  test("reads what it is given, then the end of it", async () => {
    const { stdout } = await machine.run("tr a-z A-Z", { stdin: "größe\n" });
    expect(stdout).toBe("GRößE\n");
  });

  test("takes a list of arguments as they are, without a shell", async () => {
    const { stdout } = await machine.run(["printf", "%s|", "$HOME", "a b", "*"]);
    expect(stdout).toBe("$HOME|a b|*|");
  });

  test("has the environment and directory asked for", async () => {
    const { stdout } = await machine.run("echo $FLAVOUR; pwd", { env: { FLAVOUR: "sweet" }, cwd: "/proc" });
    expect(stdout).toBe("sweet\n/proc\n");
  });

  test("gives bytes where text would change them", async () => {
    const { stdout } = await machine.run("printf '\\377\\000\\012'", { output: "bytes" });
    expect([...stdout]).toEqual([0xff, 0x00, 0x0a]);
  });

  test("may write a lot", async () => {
    const { stdout } = await machine.run("seq 1 40000");
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(40_000);
    expect(lines.at(-1)).toBe("40000");
  });

  test("may read a lot", async () => {
    const stdin = new Uint8Array(200_000).map((_, index) => index % 251);
    const { stdout } = await machine.run("sha256sum", { stdin });
    expect(stdout).toBe(`${createHash("sha256").update(stdin).digest("hex")}  -\n`);
  });

  test("leaves the console alone", async () => {
    const seen: string[] = [];
    const listener = machine.console.onData((bytes) => seen.push(new TextDecoder().decode(bytes)));
    await machine.run("echo not on the console");
    listener[Symbol.dispose]();
    expect(seen.join("")).toBe("");
  });

  test("is ended by its timeout, and the guest goes on", async () => {
    await expect(machine.run("sleep 1000", { timeout: "1s" })).rejects.toMatchObject({ name: "TimeoutError" });
    expect((await machine.run("ps | grep -c '[s]leep 1000'")).stdout).toBe("0\n");
  });

  test("is ended by the caller's signal", async () => {
    const controller = new AbortController();
    const running = machine.run("sleep 1000", { signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    await expect(running).rejects.toMatchObject({ code: "ABORTED" });
  });

  test("that does not exist is the shell's business, or a typed error without one", async () => {
    expect(await machine.run("no-such-program")).toMatchObject({ exitCode: 127 });
    await expect(machine.run(["no-such-program"])).rejects.toMatchObject({ code: "COMMAND_NOT_STARTED" });
  });

  test("is refused on a guest that has ended", async () => {
    const other = await cloudGuest();
    expect((await other.run("true")).exitCode).toBe(0);
    await other.stop();
    await expect(other.run("true")).rejects.toMatchObject({ code: "GUEST_STOPPED" });
  });
});

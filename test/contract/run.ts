/** What `run()` does in every kind of guest. */

import { createHash } from "node:crypto";
import type { Guest } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";

/** Registers the tests; `bootGuest` gives a guest with a shell and the usual small programs. */
export function runContract(bootGuest: () => Promise<Guest>): void {
  describe("a command run in the guest", () => {
    let guest: Guest;
    beforeAll(async () => {
      guest = await bootGuest();
      return () => guest.stop();
    });

    test("keeps its two outputs apart and tells its exit code", async () => {
      expect(await guest.run("echo out; echo err >&2; exit 3")).toEqual({
        stdout: "out\n",
        stderr: "err\n",
        exitCode: 3,
        signal: null,
      });
    });

    test("tells the signal that ended it", async () => {
      expect(await guest.run("kill -TERM $$")).toMatchObject({ exitCode: null, signal: "SIGTERM" });
    });

    test("reads what it is given, then the end of it", async () => {
      const { stdout } = await guest.run("tr a-z A-Z", { stdin: "größe\n" });
      expect(stdout).toBe("GRößE\n");
    });

    test("takes a list of arguments as they are, without a shell", async () => {
      const { stdout } = await guest.run(["printf", "%s|", "$HOME", "a b", "*"]);
      expect(stdout).toBe("$HOME|a b|*|");
    });

    test("has the environment and directory asked for", async () => {
      const { stdout } = await guest.run("echo $FLAVOUR; pwd", { env: { FLAVOUR: "sweet" }, cwd: "/proc" });
      expect(stdout).toBe("sweet\n/proc\n");
    });

    test("gives bytes where text would change them", async () => {
      const { stdout } = await guest.run("printf '\\377\\000\\012'", { output: "bytes" });
      expect([...stdout]).toEqual([0xff, 0x00, 0x0a]);
    });

    test("may write a lot", async () => {
      const { stdout } = await guest.run("seq 1 40000");
      const lines = stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(40_000);
      expect(lines.at(-1)).toBe("40000");
    });

    test("may read a lot", async () => {
      const stdin = new Uint8Array(200_000).map((_, index) => index % 251);
      const { stdout } = await guest.run("sha256sum", { stdin });
      expect(stdout).toBe(`${createHash("sha256").update(stdin).digest("hex")}  -\n`);
    });

    test("leaves the console alone", async () => {
      const seen: string[] = [];
      const listener = guest.console.onData((bytes) => seen.push(new TextDecoder().decode(bytes)));
      await guest.run("echo not on the console");
      listener[Symbol.dispose]();
      expect(seen.join("")).toBe("");
    });

    test("is ended by its timeout, and the guest goes on", async () => {
      await expect(guest.run("sleep 1000", { timeout: "1s" })).rejects.toMatchObject({ name: "TimeoutError" });
      expect((await guest.run("ps | grep -c '[s]leep 1000'")).stdout).toBe("0\n");
    });

    test("is ended by the caller's signal", async () => {
      const controller = new AbortController();
      const running = guest.run("sleep 1000", { signal: controller.signal });
      controller.abort(new Error("changed my mind"));
      await expect(running).rejects.toMatchObject({ code: "ABORTED" });
    });

    test("that does not exist is the shell's business, or a typed error without one", async () => {
      expect(await guest.run("no-such-program")).toMatchObject({ exitCode: 127 });
      await expect(guest.run(["no-such-program"])).rejects.toMatchObject({ code: "COMMAND_NOT_STARTED" });
    });

    test("is refused on a guest that has ended", async () => {
      const other = await bootGuest();
      expect((await other.run("true")).exitCode).toBe(0);
      await other.stop();
      await expect(other.run("true")).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    });
  });
}

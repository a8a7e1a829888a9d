import { boot } from "@terrarium/machine";
import { describe, expect, test } from "vitest";
import { bootToShell, debianCloud } from "./guests.js";

describe("a snapshot", () => {
  test("goes on where it was taken, twice, and the original is not disturbed", async () => {
    await using machine = await bootToShell(debianCloud);
    await machine.run("echo first > /tmp/state");
    const snapshot = structuredClone(await machine.snapshot());
    await machine.run("echo second > /tmp/state");
    for (let turn = 0; turn < 2; turn += 1) {
      await using twin = await boot(snapshot);
      expect((await twin.run("cat /tmp/state")).stdout).toBe("first\n");
      await twin.run("echo twin > /tmp/state");
      await twin.console.write("echo on the $((1 + 1))nd console\n");
      await twin.console.waitFor("on the 2nd console");
    }
    expect((await machine.run("cat /tmp/state")).stdout).toBe("second\n");
  });

  test("with a byte changed is refused, or at worst a guest that misbehaves, but never a crash of the host", async () => {
    await using machine = await bootToShell(debianCloud);
    const snapshot = await machine.snapshot();
    for (const offset of [0, 4, 8, 64, Math.floor(snapshot.bytes.length / 2)]) {
      const bytes = snapshot.bytes.slice();
      bytes[offset] = (bytes[offset] ?? 0) ^ 0x55;
      const twin = await boot({ ...snapshot, bytes }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: expect.stringMatching(/^SNAPSHOT_/) as string });
      });
      await twin?.stop();
    }
  });

  test.each([0, 1, 7, 100, 4096])("cut off after %d bytes is refused", async (length) => {
    await using machine = await boot({ firmware: new Uint8Array(65_536).fill(0xf4) });
    const snapshot = await machine.snapshot();
    await expect(boot({ ...snapshot, bytes: snapshot.bytes.slice(0, length) })).rejects.toMatchObject({
      code: "SNAPSHOT_DAMAGED",
    });
  });
});

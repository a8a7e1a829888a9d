import { boot } from "@terrarium/machine";
import { describe, expect, test } from "vitest";
import { cloudGuest } from "./guests.js";

describe("a snapshot", () => {
  test("goes on where it was taken, twice, and the original is not disturbed", async () => {
    await using machine = await cloudGuest();
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

  test("brings along what it was booted from, for when the guest resets", async () => {
    await using machine = await cloudGuest();
    await machine.console.write("reboot -f\n");
    await machine.console.waitFor(/\[ {4}0\.0+\] Linux version/, { timeout: "60s" });
  });

  test("with a byte changed is refused, or at worst a guest that misbehaves, but never a crash of the host", async () => {
    await using machine = await cloudGuest();
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

  test.each([0, 0.01, 0.5, 0.999])("of which only the share %d is left is refused", async (share) => {
    await using machine = await boot({ firmware: new Uint8Array(65_536).fill(0xf4) });
    const snapshot = await machine.snapshot();
    const bytes = snapshot.bytes.slice(0, Math.floor(snapshot.bytes.length * share));
    await expect(boot({ ...snapshot, bytes })).rejects.toMatchObject({ code: "SNAPSHOT_DAMAGED" });
  });
});

/** Standing still, going on and ending, in every kind of guest. */

import type { Guest } from "@terrarium/machine";
import { describe, expect, test } from "vitest";

/** Registers the tests. */
export function standContract(bootGuest: () => Promise<Guest>): void {
  describe("a guest", () => {
    test("stands still while it is paused, and goes on where it was", async () => {
      await using guest = await bootGuest();
      if (!guest.capabilities.pause) {
        await expect(guest.pause()).rejects.toMatchObject({ code: "CGROUP_REFUSED" });
        process.stderr.write("Pausing is not tried: this guest says that it cannot.\n");
        return;
      }
      const running = guest.run("for n in 1 2 3 4 5; do echo $n; sleep 0.1; done");
      await guest.pause();
      const early = await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 1_500, "paused"))]);
      expect(early).toBe("paused");
      await guest.resume();
      expect((await running).stdout).toBe("1\n2\n3\n4\n5\n");
    });

    test("tells what it has used", async () => {
      await using guest = await bootGuest();
      await guest.run("true");
      // What makes a container stand still also counts.
      if (guest.capabilities.pause) expect(Object.keys(await guest.stats()).length).toBeGreaterThan(0);
      else expect(await guest.stats()).toBeTypeOf("object");
    });

    test("that is stopped has ended for everybody who asks, and once", async () => {
      const guest = await bootGuest();
      const ends: unknown[] = [];
      guest.onExit((exit) => ends.push(exit));
      const waiting = guest.console.waitFor("what never comes", { timeout: "30s" });
      const refused = expect(waiting).rejects.toMatchObject({ code: "GUEST_STOPPED" });
      await Promise.all([guest.stop(), guest.stop()]);
      await refused;
      expect(await guest.exited).toEqual({ reason: "stopped" });
      expect(ends).toEqual([{ reason: "stopped" }]);
      await expect(guest.pause()).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    });

    test("says what it cannot do before it is asked", async () => {
      await using guest = await bootGuest();
      const kept = guest.capabilities.snapshot;
      const kind = kept === "files" ? "terrarium-files" : "terrarium-snapshot";
      if (kept !== false) expect((await guest.snapshot()).kind).toBe(kind);
      else await expect(guest.snapshot()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    });
  });
}

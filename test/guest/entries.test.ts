import { describe, expect, test } from "vitest";
import { bootToShell, debianCloud } from "./guests.js";

describe("the stock cloud kernel", () => {
  // boot.test.ts has the 64-bit entry, which is what `auto` takes.
  test.each(["16-bit", "32-bit", "pvh"] as const)("boots through its %s entry", async (entry) => {
    await using machine = await bootToShell(debianCloud, { entry });
    const { stdout } = await machine.run("dmesg");
    // Only the 16-bit code asks the BIOS for the memory map; Linux keeps where the map came from.
    expect(stdout).toContain("BIOS-provided physical RAM map");
    expect((await machine.run("uname -s")).stdout).toBe("Linux\n");
  });

  test("boots unpacked on the host, with the memory and the words on its command line that it was given", async () => {
    await using machine = await bootToShell(debianCloud, {
      decompressOnHost: true,
      memory: "1GiB",
      append: "flavour=sweet",
    });
    const { stdout } = await machine.run("dmesg | grep Memory:; cat /proc/cmdline");
    // 1 GiB less what the firmware keeps under 1 MiB.
    const kib = Number(/\/(\d+)K available/.exec(stdout)?.[1]);
    expect(kib).toBeGreaterThan(1_048_576 - 1_024);
    expect(kib).toBeLessThanOrEqual(1_048_576);
    expect(stdout).toMatch(/ flavour=sweet\n$/);
  });
});

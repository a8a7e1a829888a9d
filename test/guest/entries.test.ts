import { describe, expect, test } from "vitest";
import { bootToShell, debianCloud } from "./guests.js";

describe("the stock cloud kernel", () => {
  test.each(["16-bit", "32-bit", "64-bit", "pvh"] as const)("boots through its %s entry", async (entry) => {
    await using machine = await bootToShell(debianCloud, { entry });
    const { stdout } = await machine.run("dmesg");
    // Linux says so when it was started through PVH (arch/x86/platform/pvh), and only then.
    expect(/Booting (paravirtualized kernel on PVH|.*PVH)/i.test(stdout)).toBe(false);
    expect(stdout).toContain("Linux version");
  });

  test("boots when its payload is unpacked on the host", async () => {
    await using machine = await bootToShell(debianCloud, { decompressOnHost: true });
    expect((await machine.run("uname -s")).stdout).toBe("Linux\n");
  });

  test("sees the memory it was given", async () => {
    await using machine = await bootToShell(debianCloud, { memory: "1GiB", decompressOnHost: true });
    const { stdout } = await machine.run("dmesg | grep Memory:");
    // 1 GiB less what the firmware keeps under 1 MiB.
    const kib = Number(/\/(\d+)K available/.exec(stdout)?.[1]);
    expect(kib).toBeGreaterThan(1_048_576 - 1_024);
    expect(kib).toBeLessThanOrEqual(1_048_576);
  });

  test("gets words added to its command line", async () => {
    await using machine = await bootToShell(debianCloud, { append: "flavour=sweet", decompressOnHost: true });
    expect((await machine.run("cat /proc/cmdline")).stdout).toMatch(/ flavour=sweet\n$/);
  });
});

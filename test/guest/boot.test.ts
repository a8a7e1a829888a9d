import type { Image, Machine } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { bootToShell, debian, debianCloud, debianI386 } from "./guests.js";
import { complaints } from "./kernel-log.js";

describe.each<[Image, { machine: string; release: RegExp }]>([
  [debianCloud, { machine: "x86_64", release: /-cloud-amd64$/ }],
  [debian, { machine: "x86_64", release: /-amd64$/ }],
  [debianI386, { machine: "i686", release: /-686$/ }],
])("the stock kernel of $name", (image, { machine: architecture, release }) => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await bootToShell(image);
    return () => machine.stop();
  });

  test("reaches a shell that answers on the console", async () => {
    await machine.console.write("echo $((6 * 7))\n");
    expect(await machine.console.waitFor(image.prompt)).toContain("\r\n42\r\n");
  });

  test("is Debian's, byte for byte as its name says", async () => {
    const { stdout } = await machine.run("uname -m; uname -r; uname -v");
    const [processor, version, build] = stdout.split("\n");
    expect(processor).toBe(architecture);
    expect(version).toMatch(release);
    expect(build).toContain("Debian");
  });

  test("sees a processor with the features of x86-64-v2", async () => {
    const { stdout } = await machine.run("cat /proc/cpuinfo");
    const flags = /^flags\s*:\s*(.*)$/m.exec(stdout)?.[1]?.split(" ") ?? [];
    // System V psABI for AMD64, table 3.1, in Linux's spelling; `pni` is SSE3.
    const baseline = ["cmov", "cx8", "fpu", "fxsr", "mmx", "sse", "sse2", "lm", "nx"];
    const v2 = ["cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"];
    // Intel's processors report SYSCALL to 64-bit code only (SDM vol. 2, CPUID, leaf 80000001H).
    const syscall = architecture === "x86_64" ? ["syscall"] : [];
    expect(flags).toEqual(expect.arrayContaining([...baseline, ...v2, ...syscall]));
    expect(stdout).not.toMatch(/^(fdiv|f00f|coma)_bug\s*: yes/m);
  });

  test("complains of nothing in its log", async () => {
    const { stdout } = await machine.run("dmesg -r");
    expect(stdout).toContain("Linux version");
    expect(complaints(stdout)).toEqual([]);
  });

  test("keeps the time of day", async () => {
    const { stdout } = await machine.run("date +%s");
    expect(Math.abs(Number(stdout) - Date.now() / 1000)).toBeLessThan(5);
  });

  // The last one: afterwards the guest is gone.
  test("powers the machine off", async () => {
    await machine.console.write("poweroff\n");
    expect(await machine.exited).toEqual({ reason: "powered-off" });
  });
});

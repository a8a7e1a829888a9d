import type { MachineConfig } from "../../packages/machine/src/exports.js";
import { expect, test } from "vitest";
import { ANYTHING, bootFake } from "./boot-fake.js";

const boot = bootFake();

test.each<[string, MachineConfig, string]>([
  ["nothing to boot", {}, "OPTIONS_CONFLICT"],
  ["a kernel and a ROM", { ...ANYTHING, firmware: new Uint8Array(1) }, "OPTIONS_CONFLICT"],
  ["an initrd for a ROM", { firmware: new Uint8Array(1), initrd: new Uint8Array(1) }, "OPTIONS_CONFLICT"],
  ["a size without a unit", { ...ANYTHING, memory: "256" as "256B" }, "OPTION_INVALID"],
  ["an engine that does not exist", { ...ANYTHING, engine: "warp" as "auto" }, "OPTION_INVALID"],
  ["an entry that does not exist", { ...ANYTHING, entry: "128-bit" as "pvh" }, "OPTION_INVALID"],
  ["a processor that does not exist", { ...ANYTHING, cpu: "8086" as "486" }, "OPTION_INVALID"],
  ["a command line with a zero byte", { ...ANYTHING, commandLine: "quiet\0" }, "OPTION_INVALID"],
  ["a command line that is a number", { ...ANYTHING, commandLine: 7 as unknown as string }, "OPTION_INVALID"],
  ["a trace category that is no text", { ...ANYTHING, trace: [7 as unknown as string] }, "OPTION_INVALID"],
  ["a trace that is no list", { ...ANYTHING, trace: "exec" as unknown as string[] }, "OPTION_INVALID"],
  ["a kernel that is no file", { kernel: 7 as unknown as string }, "OPTION_INVALID"],
  ["a kernel that cannot be read", { kernel: "/nowhere/vmlinuz" }, "FILE_UNREADABLE"],
])("%s is refused", async (_, config, code) => {
  await expect(boot(config)).rejects.toMatchObject({ name: "MachineError", code });
});

test("a source that is no object is refused", async () => {
  await expect(boot("debian" as unknown as MachineConfig)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(boot(null as unknown as MachineConfig)).rejects.toMatchObject({ code: "OPTION_INVALID" });
});

test("a snapshot without bytes is refused", async () => {
  const snapshot = { kind: "terrarium-snapshot", agent: false, name: "x" } as never;
  await expect(boot(snapshot)).rejects.toMatchObject({ code: "SNAPSHOT_DAMAGED" });
});

test("a snapshot takes no options that would contradict it", async () => {
  await using machine = await boot(ANYTHING);
  await expect(boot(await machine.snapshot(), { memory: "1GiB" })).rejects.toMatchObject({ code: "OPTION_INVALID" });
});

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot, type Image, type MachineConfig } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { debianCloud } from "./guests.js";

const bytesOf = (url: string): Promise<Uint8Array> => readFile(fileURLToPath(url));

describe("what cannot be booted is refused before it runs", () => {
  let kernel: Uint8Array;
  beforeAll(async () => {
    kernel = await bytesOf(debianCloud.kernel);
  });

  async function codeOf(config: MachineConfig | Image): Promise<unknown> {
    const error = await boot(config).then(
      async (machine) => {
        await machine.stop();
        return new Error("it booted");
      },
      (caught: unknown) => caught as Error,
    );
    expect(error).toMatchObject({ name: "MachineError", message: expect.stringMatching(/\w{3,}/) as string });
    return (error as { code?: unknown }).code;
  }

  test("a file that is no kernel", async () => {
    expect(await codeOf({ kernel: new TextEncoder().encode("#!/bin/sh\n") })).toBe("KERNEL_NOT_RECOGNISED");
    expect(await codeOf({ kernel: new Uint8Array(0) })).toBe("KERNEL_NOT_RECOGNISED");
    expect(await codeOf({ kernel: new Uint8Array(1 << 20) })).toBe("KERNEL_NOT_RECOGNISED");
  });

  test.each([0.999, 0.5, 0.1])("a kernel cut off to %d of its length", async (part) => {
    const cut = kernel.slice(0, Math.floor(kernel.length * part));
    expect(await codeOf({ kernel: cut })).toBe("KERNEL_TRUNCATED");
  });

  test("too little memory for the kernel", async () => {
    expect(await codeOf({ kernel, memory: "16MiB" })).toBe("MEMORY_TOO_SMALL");
  });

  test("too little memory for any machine, and too much", async () => {
    expect(await codeOf({ kernel, memory: "4KiB" })).toBe("MEMORY_TOO_SMALL");
    expect(await codeOf({ kernel, memory: "64GiB" })).toBe("MEMORY_TOO_LARGE");
  });

  test("an initrd that does not fit", async () => {
    expect(await codeOf({ kernel, memory: "128MiB", initrd: new Uint8Array(120 << 20) })).toBe("INITRD_DOES_NOT_FIT");
  });

  test("a command line that is too long", async () => {
    expect(await codeOf({ kernel, commandLine: "x".repeat(100_000) })).toBe("COMMAND_LINE_TOO_LONG");
  });

  test("a firmware ROM of an impossible size", async () => {
    expect(await codeOf({ firmware: new Uint8Array(0) })).toBe("FIRMWARE_SIZE_INVALID");
    expect(await codeOf({ firmware: new Uint8Array(12_345) })).toBe("FIRMWARE_SIZE_INVALID");
  });

  test("a module for a kernel that takes none", async () => {
    expect(await codeOf({ kernel, modules: [{ file: new Uint8Array(1) }] })).toBe("KERNEL_UNSUPPORTED");
    expect(await codeOf({ firmware: new Uint8Array(65_536), modules: [] })).toBe("OPTIONS_CONFLICT");
  });

  test("an unknown trace category", async () => {
    expect(await codeOf({ kernel, trace: ["gossip"] })).toBe("OPTION_INVALID");
  });
});

describe("a guest that goes wrong ends at most itself", () => {
  /** A 64 KiB ROM that is entered at its last 16 bytes (Intel SDM vol. 3, 10.1.4) and starts with `code`. */
  function rom(code: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(65_536).fill(0xf4);
    bytes.set(code, 0);
    // JMP near, 16-bit, from the end of the instruction at fff3 to 0000.
    bytes.set([0xe9, 0x0d, 0x00], 0xfff0);
    return bytes;
  }

  test("a triple fault", async () => {
    // LIDT [cs:0x08] with a limit of zero, then INT 3: no vector can be delivered.
    const code = [0x2e, 0x0f, 0x01, 0x1e, 0x08, 0x00, 0xcc, 0xf4, 0, 0, 0, 0, 0, 0];
    await using machine = await boot({ firmware: rom(code), onReset: "stop" });
    expect(await machine.exited).toMatchObject({
      reason: "fault",
      dump: expect.stringMatching(/shut ?down/i) as string,
    });
  });

  test("a reset after which its file cannot be read any more", async () => {
    const directory = await mkdtemp(join(tmpdir(), "terrarium-"));
    const firmware = join(directory, "rom");
    // Poll COM1's line status until a byte has come, then reset through port 0xCF9 (PIIX3: RCPU on a rising edge).
    const code = [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee];
    await writeFile(firmware, rom([...code, 0xf4]));
    await using machine = await boot({ firmware });
    await rm(directory, { recursive: true });
    await machine.console.write("!");
    expect(await machine.exited).toMatchObject({
      reason: "failed",
      error: { code: "FILE_UNREADABLE", details: { source: firmware } },
    });
  });

  test("a storm of invalid opcodes", async () => {
    // The vector table in RAM is all zero: #UD goes to 0000:0000, where zeros execute until memory wraps around.
    await using machine = await boot({ firmware: rom([0x0f, 0x0b]) });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await machine.stats()).instructions).toBeGreaterThan(0);
  });

  test("an exit by the debug port, with the status that QEMU makes of the value", async () => {
    // MOV DX, 0x501 / MOV AL, 21 / OUT DX, AL
    await using machine = await boot({ firmware: rom([0xba, 0x01, 0x05, 0xb0, 0x15, 0xee, 0xf4]) });
    expect(await machine.exited).toEqual({ reason: "debug-exit", code: 2 * 21 + 1 });
  });

  test("bytes for ports 0x80 and 0xE9 are kept for the host", async () => {
    // MOV AL, 0x42 / OUT 0x80, AL / MOV AL, 'T' / OUT 0xE9, AL / CLI / HLT
    await using machine = await boot({ firmware: rom([0xb0, 0x42, 0xe6, 0x80, 0xb0, 0x54, 0xe6, 0xe9, 0xfa, 0xf4]) });
    await expect.poll(async () => [...(await machine.debugOutput()).postCodes]).toContain(0x42);
  });
});

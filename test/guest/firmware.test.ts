import { existsSync } from "node:fs";
import { boot } from "@terrarium/machine";
import { describe, expect, test } from "vitest";

/** Debian's package `seabios`, which QEMU brings along: one image of 128 KiB and one of 256. */
const IMAGES = ["/usr/share/seabios/bios.bin", "/usr/share/seabios/bios-256k.bin"];

describe("SeaBIOS, started at the reset vector", () => {
  for (const firmware of IMAGES) {
    if (!existsSync(firmware)) console.warn(`skipped: there is no ${firmware} (Debian: seabios)`);
    test.runIf(existsSync(firmware))(
      `${firmware} sets the board up and looks for a key`,
      { timeout: 60_000 },
      async () => {
        await using machine = await boot({ firmware, memory: "64MiB" }, { trace: ["int"] });
        let trace = "";
        const asksForKeys = new Promise<void>((resolve) => {
          machine.onTrace((lines) => {
            trace += lines;
            // INT 16h, AH = 1: is there a key? It asks while it shows how to get to its boot menu.
            if (/software interrupt 0x16 .*eax=100$/m.test(trace)) resolve();
          });
        });
        await asksForKeys;
        // Before that it set the text mode (INT 10h, AX = 3), and its timer interrupt (8) calls the user's (1Ch).
        expect(trace).toMatch(/software interrupt 0x10 .*eax=3$/m);
        expect(trace).toMatch(/interrupt 0x08 .*\n.*software interrupt 0x1c /);
      },
    );
  }
});

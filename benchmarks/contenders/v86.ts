/** v86, the best open PC emulator in a browser so far. It has 32 bits. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseBytes, type Image } from "@terrarium/machine";
import type { Contender } from "./contender.js";
import { SerialProcess } from "./serial-process.js";
import { bootToPrompt } from "./shell.js";

/** Its npm package leaves the firmware out. */
const FIRMWARE = "/usr/share/seabios/bios.bin";
const PROCESS = fileURLToPath(new URL("./v86-process.js", import.meta.url));

export const v86: Contender = {
  name: "v86",
  architectures: ["i386"],

  async unavailable() {
    if (!existsSync(FIRMWARE)) return `there is no ${FIRMWARE} (Debian: seabios)`;
    return await import("v86").then(
      () => undefined,
      () => "the npm package v86 is not installed",
    );
  },

  async boot({ kernel, initrd, commandLine, memory, prompt }: Image) {
    const files = [kernel, initrd ?? ""].map((url) => fileURLToPath(url));
    const start = performance.now();
    const bytes = String(parseBytes(memory, "memory"));
    const guest = new SerialProcess(process.execPath, [PROCESS, FIRMWARE, ...files, commandLine, bytes]);
    return await bootToPrompt(guest, prompt, start);
  },
};

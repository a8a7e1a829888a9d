/** QEMU's translator, TCG, as Debian packages it. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { recipes, type Architecture } from "@terrarium/images";
import { parseBytes, type Image } from "@terrarium/machine";
import { PROGRAM_END, PROGRAM_MEMORY_MIB, type Contender } from "./contender.js";
import { SerialProcess } from "./serial-process.js";
import { bootToPrompt } from "./shell.js";

/** QEMU has a program for each width: one for 32 bits does not carry registers of 64 along. */
const PROGRAMS: Readonly<Record<Architecture, string>> = { amd64: "qemu-system-x86_64", i386: "qemu-system-i386" };

export const qemu: Contender = {
  name: "qemu-tcg",
  architectures: ["amd64", "i386"],

  async unavailable() {
    for (const program of Object.values(PROGRAMS)) {
      try {
        await promisify(execFile)(program, ["--version"]);
      } catch {
        return `${program} is not installed (Debian: qemu-system-x86)`;
      }
    }
    return undefined;
  },

  async boot({ name, kernel, initrd, commandLine, memory, prompt }: Image, wide = false) {
    const architecture = recipes.find((recipe) => recipe.name === name)?.architecture ?? "amd64";
    const initrdArguments = initrd === undefined ? [] : ["-initrd", fileURLToPath(initrd)];
    const start = performance.now();
    const guest = startGuest(PROGRAMS[architecture], [
      ...["-m", String(parseBytes(memory, "memory") / 2 ** 20)],
      ...["-kernel", fileURLToPath(kernel), "-append", commandLine],
      ...initrdArguments,
      ...(wide ? ["-cpu", "max"] : []),
    ]);
    return await bootToPrompt(guest, prompt, start);
  },

  async execute(kernel, commandLine) {
    const options = ["-m", String(PROGRAM_MEMORY_MIB), "-kernel", kernel, "-append", commandLine];
    await using guest = startGuest(PROGRAMS.amd64, options);
    await guest.waitFor("begin");
    const start = performance.now();
    const shown = await guest.waitFor(PROGRAM_END);
    return { seconds: (performance.now() - start) / 1000, checksum: PROGRAM_END.exec(shown)?.[1] ?? "" };
  },
};

function startGuest(program: string, options: readonly string[]): SerialProcess {
  const common = ["-accel", "tcg", "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none"];
  return new SerialProcess(program, [...common, ...options]);
}

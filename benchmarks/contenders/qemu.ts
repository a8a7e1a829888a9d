/** QEMU's translator, TCG, as Debian packages it. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseBytes, type Image } from "@terrarium/machine";
import { PROGRAM_END, PROGRAM_MEMORY_MIB, type Contender } from "./contender.js";

const PROGRAM = "qemu-system-x86_64";
/** No guest of ours needs longer; QEMU is ended then. */
const LONGEST_MS = 600_000;

export const qemu: Contender = {
  name: "qemu-tcg",

  async unavailable() {
    try {
      await promisify(execFile)(PROGRAM, ["--version"]);
      return undefined;
    } catch {
      return `${PROGRAM} is not installed (Debian: qemu-system-x86)`;
    }
  },

  async boot({ kernel, initrd, commandLine, memory, prompt }: Image) {
    const initrdArguments = initrd === undefined ? [] : ["-initrd", fileURLToPath(initrd)];
    const start = performance.now();
    await using guest = new Guest([
      ...["-m", String(parseBytes(memory, "memory") / 2 ** 20)],
      ...["-kernel", fileURLToPath(kernel), "-append", commandLine],
      ...initrdArguments,
    ]);
    await guest.shows((text) => text.includes(prompt));
    return { seconds: (performance.now() - start) / 1000 };
  },

  async execute(kernel, commandLine) {
    await using guest = new Guest([
      ...["-m", String(PROGRAM_MEMORY_MIB)],
      ...["-kernel", kernel, "-append", commandLine],
    ]);
    await guest.shows((text) => text.includes("begin"));
    const start = performance.now();
    const shown = await guest.shows((text) => PROGRAM_END.test(text));
    return { seconds: (performance.now() - start) / 1000, checksum: PROGRAM_END.exec(shown)?.[1] ?? "" };
  },
};

/** A QEMU process with the guest's first serial port on its standard output. */
class Guest implements AsyncDisposable {
  readonly #process;
  readonly #ended: Promise<void>;
  #shown = "";

  constructor(options: readonly string[]) {
    this.#process = spawn(
      PROGRAM,
      ["-accel", "tcg", "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none", ...options],
      { stdio: ["pipe", "pipe", "inherit"], timeout: LONGEST_MS },
    );
    this.#ended = once(this.#process, "close").then(() => undefined);
    this.#process.stdout.setEncoding("utf8");
  }

  /** Resolves with everything shown so far when `enough` says so. */
  shows(enough: (text: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (piece: string): void => {
        this.#shown += piece;
        if (!enough(this.#shown)) return;
        this.#process.stdout.off("data", look);
        resolve(this.#shown);
      };
      void this.#ended.then(() => {
        reject(new Error(`QEMU ended early; the guest showed: ${this.#shown.slice(-500)}`));
      });
      this.#process.stdout.on("data", look);
      look("");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

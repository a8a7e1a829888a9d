/** A process with the guest's first serial port on its standard input and output. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Terminal } from "./shell.js";

/** Nothing that is waited for takes longer. */
const LONGEST_MS = 600_000;

export class SerialProcess implements Terminal, AsyncDisposable {
  readonly #name: string;
  readonly #process;
  readonly #ended: Promise<void>;
  #unmatched = "";

  constructor(program: string, options: readonly string[]) {
    this.#name = program;
    this.#process = spawn(program, options, { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = once(this.#process, "close").then(() => undefined);
    this.#process.stdout.setEncoding("utf8");
    this.#process.stdout.on("data", (piece: string) => {
      this.#unmatched += piece;
    });
  }

  write(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#process.stdin.write(text, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  waitFor(pattern: string | RegExp): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = (): void => {
      const found = typeof pattern === "string" ? pattern : pattern.exec(this.#unmatched)?.[0];
      if (found === undefined || !this.#unmatched.includes(found)) return;
      const end = this.#unmatched.indexOf(found) + found.length;
      resolve(this.#unmatched.slice(0, end));
      this.#unmatched = this.#unmatched.slice(end);
    };
    const fail = (why: string): void => {
      reject(new Error(`${this.#name} ${why}; the guest showed: ${this.#unmatched.slice(-500)}`));
    };
    const timer = setTimeout(fail, LONGEST_MS, "takes too long");
    void this.#ended.then(() => {
      fail("ended early");
    });
    this.#process.stdout.on("data", look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#process.stdout.off("data", look);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

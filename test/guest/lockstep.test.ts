/** Whether compiled code does what the interpreter does, where everything is compiled before it runs for the first time. */

import { guestProgram } from "../../benchmarks/dist/guest-program.js";
import { beforeAll, expect, test } from "vitest";
import { terrarium } from "./terrarium.js";

let kernel: string;
beforeAll(async () => {
  kernel = await guestProgram(() => undefined);
});

/** Compares the engines; resolves with the share of instructions that were compiled, in percent. */
async function compiledShare(...what: string[]): Promise<number> {
  const { stdout, status } = await terrarium(["lockstep", ...what]);
  expect({ stdout, status }).toEqual({
    stdout: expect.stringContaining("The engines agree over") as string,
    status: 0,
  });
  return Number(/([\d.]+) % of them compiled/.exec(stdout)?.[1]);
}

test.each(["alu 1", "branches 1", "memory 1", "calls 1", "sieve 1", "sha256 1"])(
  "the engines agree in every step of the bare program's %s",
  async (workload) => {
    const share = await compiledShare("--kernel", kernel, "--append", workload, "--memory", "16MiB");
    expect(share).toBeGreaterThan(90);
  },
);

test.each(["debian-cloud", "debian-i386"])("the engines agree in every step in which %s begins", async (image) => {
  const share = await compiledShare(image, "--instructions", "30_000_000", "--memory", "128MiB");
  expect(share).toBeGreaterThan(90);
});

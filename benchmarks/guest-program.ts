/** Builds the bare guest program with the Rust toolchain that the core needs anyway. */

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const TARGET = "x86_64-unknown-none";
const SOURCE = fileURLToPath(new URL("../guest/", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/benchmarks/", import.meta.url));

/** Builds it; resolves with the path of the kernel. */
export async function guestProgram(progress: (text: string) => void): Promise<string> {
  const run = promisify(execFile);
  const kernel = `${CACHE}guest`;
  await mkdir(CACHE, { recursive: true });
  const compile = (): Promise<unknown> =>
    run("rustc", [
      ...["--edition", "2024", "--target", TARGET, "--crate-type", "bin", "-o", kernel],
      ...["-Copt-level=3", "-Cpanic=abort", "-Crelocation-model=static", `-Clink-arg=-T${SOURCE}link.ld`],
      `${SOURCE}main.rs`,
    ]);
  try {
    await compile();
  } catch {
    progress(`adding Rust's target ${TARGET}`);
    await run("rustup", ["target", "add", TARGET]);
    await compile();
  }
  return kernel;
}

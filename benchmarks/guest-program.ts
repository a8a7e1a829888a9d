/** Builds the guest programs with the Rust toolchain that the core needs anyway. */

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Architecture } from "@terrarium/images";

const SOURCE = fileURLToPath(new URL("../", import.meta.url));
/** Where what is built goes. */
export const CACHE = fileURLToPath(new URL("../../.cache/benchmarks/", import.meta.url));

/** Rust's targets for static Linux programs; the guests' agent has set-up install them. */
const LINUX_TARGETS: Readonly<Record<Architecture, string>> = {
  amd64: "x86_64-unknown-linux-musl",
  i386: "i686-unknown-linux-musl",
};

/** Builds the bare kernel; resolves with its path. */
export async function guestProgram(progress: (text: string) => void): Promise<string> {
  const linkerScript = `-Clink-arg=-T${SOURCE}guest/link.ld`;
  return await build("guest", "guest/main.rs", "x86_64-unknown-none", [linkerScript], progress);
}

/** Builds the static Linux program with the workloads; resolves with its path. */
export async function cpuWorkloads(architecture: Architecture, progress: (text: string) => void): Promise<string> {
  // rustup brings the linker and the C library, so that nothing else has to be there for 32 bits.
  const options = ["-Clinker=rust-lld", "-Cstrip=symbols"];
  const target = LINUX_TARGETS[architecture];
  return await build(`cpu-workloads-${architecture}`, "cpu/workloads/main.rs", target, options, progress);
}

async function build(
  name: string,
  source: string,
  target: string,
  options: readonly string[],
  progress: (text: string) => void,
): Promise<string> {
  const run = promisify(execFile);
  const program = `${CACHE}${name}`;
  await mkdir(CACHE, { recursive: true });
  const compile = (): Promise<unknown> =>
    run("rustc", [
      ...["--edition", "2024", "--target", target, "--crate-type", "bin", "-o", program],
      ...["-Copt-level=3", "-Cpanic=abort", "-Crelocation-model=static", ...options],
      `${SOURCE}${source}`,
    ]);
  try {
    await compile();
  } catch {
    progress(`adding Rust's target ${target}`);
    await run("rustup", ["target", "add", target]);
    await compile();
  }
  return program;
}

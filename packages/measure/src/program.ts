/** The one program that is measured everywhere, and how programs are built. */

import { execFile } from "node:child_process";
import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Architecture } from "@terrarium/images";

/** Compiled, this module is packages/measure/dist/program.js. */
const SOURCE = fileURLToPath(new URL("../workloads/main.rs", import.meta.url));
/** Where what is built goes. */
export const CACHE = fileURLToPath(new URL("../../../.cache/benchmarks/", import.meta.url));

/** Name of the program with the workloads. */
export const PROGRAM = "cpu-workloads";

/** Rust's targets for static Linux programs; the guests' agent has set-up install them. */
const LINUX_TARGETS: Readonly<Record<Architecture, string>> = {
  amd64: "x86_64-unknown-linux-musl",
  i386: "i686-unknown-linux-musl",
};

/** Builds the static Linux program with the workloads, in a directory that has nothing else; resolves with its path. */
export async function cpuWorkloads(architecture: Architecture, progress: (text: string) => void): Promise<string> {
  // rustup brings the linker and the C library, so that nothing else has to be there for 32 bits.
  const options = ["-Clinker=rust-lld", "-Cstrip=symbols"];
  return await buildProgram(`${architecture}/${PROGRAM}`, SOURCE, LINUX_TARGETS[architecture], options, progress);
}

/** Builds a program of one crate with the Rust toolchain that the core needs anyway; resolves with its path. */
export async function buildProgram(
  name: string,
  source: string,
  target: string,
  options: readonly string[],
  progress: (text: string) => void,
): Promise<string> {
  const run = promisify(execFile);
  const program = `${CACHE}${name}`;
  // Others may be running it, or building it too.
  const unfinished = `${program}-${process.pid}`;
  await mkdir(dirname(program), { recursive: true });
  const compile = (): Promise<unknown> =>
    run("rustc", [
      ...["--edition", "2024", "--target", target, "--crate-type", "bin", "-o", unfinished],
      ...["-Copt-level=3", "-Cpanic=abort", "-Crelocation-model=static", ...options],
      source,
    ]);
  try {
    await compile();
  } catch {
    progress(`adding Rust's target ${target}`);
    await run("rustup", ["target", "add", target]);
    await compile();
  }
  await rename(unfinished, program);
  return program;
}

/** Builds the bare guest program with the Rust toolchain that the core needs anyway. */

import { fileURLToPath } from "node:url";
import { buildProgram } from "@terrarium/measure";

/** Compiled, this module is benchmarks/dist/guest-program.js. */
const SOURCE = fileURLToPath(new URL("../guest/", import.meta.url));

/** Builds the bare kernel; resolves with its path. */
export async function guestProgram(progress: (text: string) => void): Promise<string> {
  const linkerScript = `-Clink-arg=-T${SOURCE}link.ld`;
  return await buildProgram("guest", `${SOURCE}main.rs`, "x86_64-unknown-none", [linkerScript], progress);
}

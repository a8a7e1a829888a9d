/** The host itself, which everything is compared with. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Entry } from "@terrarium/images/cpio";
import type { Image } from "@terrarium/machine";
import { PROGRAM } from "@terrarium/measure";
import { unpacked } from "./guest-files.js";
import { argumentsFor, type Place } from "./place.js";

/** As in the guests' profile. */
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The host with the files of `image` below its root directory: the same programs with the same libraries as in a guest.
 * Undefined, and `progress` told why, where the host cannot do that.
 */
export async function nativePlace(
  bits: number,
  image: Image,
  files: readonly Entry[],
  progress: (text: string) => void,
): Promise<Place | undefined> {
  const name = `native-${bits}`;
  const root = await unpacked(image, files);
  // Only root may change the root directory; others can become root of a user namespace.
  const enter = process.getuid?.() === 0 ? ["chroot", root] : ["unshare", "--map-root-user", `--root=${root}`];
  const run = async (args: readonly string[]): Promise<string> => {
    const [command = "", ...options] = [...enter, `/usr/bin/${PROGRAM}`, ...args];
    return (await promisify(execFile)(command, options, { env: { PATH } })).stdout;
  };
  try {
    await run([]);
  } catch (error) {
    progress(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  return { name, bits, run: (workload) => run(argumentsFor(workload)) };
}

/** Paths as the user means them. */

import { isAbsolute } from "node:path";

/**
 * Relative paths count from where the user stands; npm changes the directory and remembers that place. What a path ends in
 * stays: to copy, a slash and `/.` mean something.
 */
export function fromUser(path: string): string {
  return isAbsolute(path) ? path : `${process.env["INIT_CWD"] ?? process.cwd()}/${path}`;
}

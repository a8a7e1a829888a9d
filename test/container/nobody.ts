/** A user without rights, for tests that root runs. */

import { spawnSync } from "node:child_process";
import { makeDirectory, USR } from "./images.js";

/** Number of that user and of its group. */
export const NOBODY = "65534";

/** Runs a script that has `boot`, `oci`, `Images`, a store, and the host's programs as `volumes`; what it prints as JSON. */
export function asNobody(script: string): unknown {
  const [store, home] = [makeDirectory(), makeDirectory()];
  spawnSync("chown", [NOBODY, store, home]);
  const imports = `import { boot, oci, Images } from "@terrarium/container"; const store = ${JSON.stringify(store)};
    const volumes = [${JSON.stringify(USR)}];`;
  const user = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
  const node = [process.execPath, "--input-type=module", "--eval", imports + script];
  const options = { cwd: import.meta.dirname, encoding: "utf8", env: { ...process.env, HOME: home } } as const;
  const { stdout, stderr } = spawnSync("setpriv", [...user, ...node], options);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

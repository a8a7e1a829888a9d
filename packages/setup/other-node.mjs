/** Another Node than the one of node_modules, for tests: npm has it as a package. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./command.mjs";

/** Directory of the newest Node whose major version is `version`, fetched where it is not there yet. */
export function otherNode(root, version, env) {
  if (!/^\d+$/.test(version ?? "")) {
    throw new SetupError(`--node ${version ?? ""} names no major version.`, "Say --node 22, for example.");
  }
  const prefix = join(root, ".cache/node", version);
  const name = `node-${process.platform}-${process.arch}`;
  const directory = join(prefix, "node_modules", name, "bin");
  if (existsSync(directory)) return directory;
  mkdirSync(prefix, { recursive: true });
  const install = ["install", "--no-audit", "--no-fund", "--prefix", prefix, `${name}@${version}`];
  const { status } = spawnSync("npm", install, { env, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new SetupError(`Node ${version} cannot be had.`, "npm has told why.");
  return directory;
}

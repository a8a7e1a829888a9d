/** Containers for tests: the host's own programs in a root of their own, so that nothing has to be built. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { boot, type Container, type ContainerOptions } from "@terrarium/container";
import { makeDirectory, USR } from "./images.js";

/** Why this machine's kernel lets this user make no containers, asked of util-linux, not of ourselves. */
export const forbidden: string | undefined = ((): string | undefined => {
  if (process.platform !== "linux") return `this is ${process.platform}`;
  const flags = ["--user", "--map-root-user", "--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "--mount-proc"];
  const { status, stderr, error } = spawnSync("unshare", [...flags, "true"], { encoding: "utf8" });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
})();

if (forbidden !== undefined) {
  process.stderr.write(`Tests of containers are skipped: this machine does not let us make namespaces: ${forbidden}\n`);
}

/** A root file system in a temporary directory, removed behind the last test of the file. */
export function makeRootfs(): string {
  const directory = makeDirectory();
  for (const name of ["usr", "proc", "dev", "sys", "tmp", "etc", "root"]) mkdirSync(join(directory, name));
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    if (existsSync(join("/usr", name))) symlinkSync(`usr/${name}`, join(directory, name));
  }
  return directory;
}

let rootfs: string | undefined;

/** Starts a container with the host's programs. */
export async function startContainer(options: ContainerOptions = {}): Promise<Container> {
  rootfs ??= makeRootfs();
  const { volumes = [], ...rest } = options;
  return await boot({ rootfs, ...rest, volumes: [USR, ...volumes] });
}

/** Containers for tests: the host's own programs in a root of their own, so that nothing has to be built. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { boot, type Container, type ContainerOptions } from "@terrarium/container";
import { expect } from "vitest";
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

/** Groups of containers, in every hierarchy, and the files in them. */
export function groups(): string[] {
  return spawnSync("find", ["/sys/fs/cgroup", "-path", "*/terrarium/*"], { encoding: "utf8" }).stdout.split("\n");
}

/** Everything that a container could leave on the host. */
export function traces(): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [...mounts, ...groups(), ...readdirSync("/sys/class/net")];
}

/** What was not there before is gone; containers of other tests, which come and go beside these, may still be on their way. */
export async function expectNothingNew(before: readonly string[]): Promise<void> {
  await expect.poll(() => traces().filter((trace) => !before.includes(trace)), { timeout: 30_000 }).toEqual([]);
}

/** Number of a process's parent: of a container's first process the helper, of that one who has started it. */
export function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Numbers of a process's children, oldest first. */
export function childrenOf(parent: number): number[] {
  const { stdout } = spawnSync("pgrep", ["-P", String(parent)], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

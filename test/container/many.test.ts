/** Many containers at once, as the benchmark has them: what it says of what stays, in small. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { expectNothingLeft, traces } from "../../benchmarks/left-behind.js";
import { manyAtOnce } from "../../benchmarks/many-containers.js";
import { forbidden, makeRootfs } from "./containers.js";
import { makeDirectory, USR } from "./images.js";

// Where nobody else makes anything.
process.env["TMPDIR"] = makeDirectory();

test.skipIf(forbidden !== undefined).each(["none", "user"] as const)(
  "twenty at once leave nothing behind, with the network %s",
  async (network) => {
    const config = { rootfs: makeRootfs(), volumes: [USR], terminal: false, command: ["true"], network };
    const { startMs, stopMs } = await manyAtOnce(config, 20);
    expect([startMs > 0, stopMs > 0]).toEqual([true, true]);
  },
);

test.skipIf(forbidden !== undefined || process.geteuid?.() !== 0)(
  "at a bridge they leave nothing, either",
  async () => {
    const config = { rootfs: makeRootfs(), volumes: [USR], terminal: false, command: ["true"] };
    await manyAtOnce({ ...config, network: "bridge" }, 20);
  },
);

test.skipIf(process.geteuid?.() !== 0)("what is left behind is named", async () => {
  const before = traces();
  const directory = mkdtempSync(join(tmpdir(), "terrarium-left-"));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const hierarchy = mounts.find((line) => line.includes(" - cgroup"))?.split(" ")[4];
  const group = join(hierarchy ?? "/nowhere", `terrarium/left@${process.pid}-0-0`);
  const grouped = hierarchy !== undefined && spawnSync("mkdir", ["-p", group]).status === 0;
  mkdirSync(join(directory, "mount"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "none", join(directory, "mount")]).status === 0;
  try {
    const named = expectNothingLeft(before, 0);
    await expect(named).rejects.toThrow(`file ${directory}`);
    if (grouped) await expect(named).rejects.toThrow(`cgroup ${group}`);
    if (mounted) await expect(named).rejects.toThrow(/mount .*terrarium-left-/);
  } finally {
    if (mounted) spawnSync("umount", [join(directory, "mount")]);
    if (grouped) spawnSync("rmdir", [group, dirname(group)]);
    rmSync(directory, { recursive: true });
  }
});

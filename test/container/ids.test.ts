import { spawnSync } from "node:child_process";
import { chownSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forbidden, makeRootfs } from "./containers.js";

const NOBODY = 65_534;

/** Why a user without rights has no range of ids here. */
const ungranted = ((): string | undefined => {
  if (process.geteuid?.() !== 0) return "only root can be somebody else";
  if (spawnSync("newuidmap").error !== undefined) return "there is no newuidmap";
  const granted = ["/etc/subuid", "/etc/subgid"].every((file) => /^(nobody|65534):/m.test(readFileSync(file, "utf8")));
  return granted ? undefined : "nobody has no range in /etc/subuid and /etc/subgid";
})();

if (ungranted !== undefined) process.stderr.write(`More ids for a user without rights are not tried: ${ungranted}\n`);

test.skipIf(forbidden !== undefined || ungranted !== undefined)("a user who has been granted ids has them all", () => {
  const rootfs = makeRootfs();
  for (const name of ["", ...readdirSync(rootfs)]) {
    if (!["bin", "sbin", "lib", "lib64"].includes(name)) chownSync(join(rootfs, name), NOBODY, NOBODY);
  }
  const script = `
    import { boot } from "@terrarium/container";
    const volumes = [{ source: "/usr", target: "/usr", readonly: true }];
    await using container = await boot({ rootfs: ${JSON.stringify(rootfs)}, volumes });
    const { stdout } = await container.run("touch /tmp/f && chown 7:8 /tmp/f && stat -c %u:%g /tmp/f; wc -l < /proc/self/uid_map");
    await using other = await boot({ rootfs: ${JSON.stringify(rootfs)}, volumes, user: { uid: 33, gid: 33 } });
    console.log(JSON.stringify([stdout, (await other.run("id -u; id -g")).stdout]));`;
  const options = { cwd: import.meta.dirname, encoding: "utf8", uid: NOBODY, gid: NOBODY } as const;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], options);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual(["7:8\n2\n", "33\n33\n"]);
});

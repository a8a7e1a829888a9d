/** Ids of users without rights, where /etc/subuid grants some: in a mount namespace it does. */

import { spawnSync } from "node:child_process";
import { chownSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { forbidden, makeRootfs } from "./containers.js";
import { makeDirectory } from "./images.js";

const NOBODY = 65_534;

/** Why nobody can be granted ids here. */
const ungranted = ((): string | undefined => {
  if (process.geteuid?.() !== 0) return "only root can be somebody else, and grant ids";
  const missing = ["newuidmap", "newgidmap"].filter((program) => spawnSync(program).error !== undefined);
  return missing.length === 0 ? undefined : `there is no ${missing.join(" and no ")} (Debian's package uidmap)`;
})();

if (ungranted !== undefined) process.stderr.write(`More ids for a user without rights are not tried: ${ungranted}\n`);

/** Runs a script as nobody, who has been granted what `line` says, by the name of a user or the number. */
function runAsNobody(
  line: string,
  script: (rootfs: string) => string,
): { readonly stdout: string; readonly stderr: string } {
  const rootfs = makeRootfs();
  for (const name of ["", ...readdirSync(rootfs)]) {
    if (!["bin", "sbin", "lib", "lib64"].includes(name)) chownSync(join(rootfs, name), NOBODY, NOBODY);
  }
  const grants = join(makeDirectory(), "grants");
  writeFileSync(grants, line);
  // The files may not even be there.
  const shell = `for file in /etc/subuid /etc/subgid; do [ -e $file ] || : > $file; mount --bind ${grants} $file; done
    exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups "$0" --input-type=module --eval "$1"`;
  const words = ["--mount", "sh", "-c", shell, process.execPath, script(rootfs)];
  return spawnSync("unshare", words, { cwd: import.meta.dirname, encoding: "utf8" });
}

const usr = `[{ source: "/usr", target: "/usr", readonly: true }]`;

describe.skipIf(forbidden !== undefined || ungranted !== undefined)("a user without rights", () => {
  test.each(["nobody:1800000000:65536\n", `other:1:1\n${NOBODY}:1800000000:65536\n`])(
    "who has been granted ids by %j has them all",
    (line) => {
      const { stdout, stderr } = runAsNobody(
        line,
        (rootfs) => `
          import { boot } from "@terrarium/container";
          import { readFileSync } from "node:fs";
          const rootfs = ${JSON.stringify(rootfs)};
          const volumes = ${usr};
          await using container = await boot({ rootfs, volumes });
          const { stdout } = await container.run("touch /tmp/f && chown 7:8 /tmp/f && stat -c %u:%g /tmp/f");
          const map = readFileSync("/proc/" + container.pid + "/uid_map", "utf8").trim().split(/\\s+/).map(Number);
          await using other = await boot({ rootfs, volumes, user: { uid: 33, gid: 33 } });
          console.log(JSON.stringify([stdout, map, (await other.run("id -u; id -g")).stdout]));`,
      );
      expect(stderr).toBe("");
      const map = [0, NOBODY, 1, 1, 1_800_000_000, 65_535];
      expect(JSON.parse(stdout)).toEqual(["7:8\n", map, "33\n33\n"]);
    },
  );

  test("who may have no user namespace is told so, and how that is mended", () => {
    // The first namespace gives the right to allow no more than one below it, which the second one is.
    const script = `
      import { boot } from "@terrarium/container";
      const error = await boot({ rootfs: ${JSON.stringify(makeRootfs())} }).catch((caught) => caught);
      console.log(JSON.stringify([error.code, error.details.namespaces.includes("user"), error.details.mend]));`;
    const inner = `exec unshare --user --map-user=1000 --map-group=1000 "$0" --input-type=module --eval "$1"`;
    const outer = `echo 1 > /proc/sys/user/max_user_namespaces && ${inner}`;
    const words = ["--user", "--map-root-user", "sh", "-c", outer, process.execPath, script];
    const options = { cwd: import.meta.dirname, encoding: "utf8", uid: NOBODY, gid: NOBODY } as const;
    const { stdout, stderr } = spawnSync("unshare", words, options);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(["NAMESPACE_REFUSED", true, "raise the limits in /proc/sys/user"]);
  });

  test("who has been granted none is root in the container and nobody else", () => {
    const { stdout, stderr } = runAsNobody(
      "other:1800000000:65536\n",
      (rootfs) => `
        import { boot } from "@terrarium/container";
        const rootfs = ${JSON.stringify(rootfs)};
        const volumes = ${usr};
        await using container = await boot({ rootfs, volumes });
        const refused = await boot({ rootfs, volumes, user: { uid: 33, gid: 33 } }).catch((error) => error);
        console.log(JSON.stringify([(await container.run("id -u")).stdout, refused.code, refused.details.mend]));`,
    );
    expect(stderr).toBe("");
    const mend = expect.stringContaining("/etc/subuid") as string;
    expect(JSON.parse(stdout)).toEqual(["0\n", "ID_MAPPING_REFUSED", mend]);
  });
});

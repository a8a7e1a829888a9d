/** Images as other tools read and write them. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boot, Images, oci } from "@terrarium/container";
import { beforeAll, describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, ROOT, USR, writeLayout } from "./images.js";

const isRoot = process.geteuid?.() === 0;

/** Which of Debian's tools are not here; they are no part of every machine. */
const missing = ["skopeo", "umoci"].filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
const unjudged = forbidden ?? (missing.length > 0 ? `${missing.join(" and ")} are not installed` : undefined);
if (unjudged !== undefined) process.stderr.write(`Images are not judged by other tools: ${unjudged}\n`);

function tool(name: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(name, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${name} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

describe.skipIf(unjudged !== undefined)("skopeo and umoci", () => {
  let images: Images;
  const copy = (from: string, to: string): string => tool("skopeo", "copy", "--insecure-policy", from, to);

  beforeAll(async () => {
    images = await Images.open(makeDirectory());
    const below = await archive(...ROOT, [{ name: "etc/gone" }, "x"], [{ name: "beds/weeds" }, "x"]);
    const config = { Cmd: ["sleep", "1000"], Env: ["A=b"], User: "gardener", Labels: { kind: "garden" } };
    await images.import(`oci:${writeLayout({ layers: [below], config })}`);
    const layer = makeDirectory();
    await using container = await boot(oci("test:1", { store: images.directory }), {
      volumes: [USR],
      writes: { layer },
      user: { uid: 0, gid: 0 },
    });
    await container.run("rm /etc/gone; rm -r /beds; mkdir /beds; echo f > /beds/flowers; ln -s flowers /beds/link");
    await container.stop();
    await images.commit("test:1", layer, { name: "garden:2" });
  });

  test.each(["oci", "oci-archive", "docker-archive"])("read what we write as %s", async (transport) => {
    const path = join(makeDirectory(), "saved");
    await images.export("garden:2", `${transport}:${path}`);
    const inspected = JSON.parse(tool("skopeo", "inspect", "--config", `${transport}:${path}`)) as {
      config: Record<string, unknown>;
      rootfs: { diff_ids: string[] };
    };
    const summary = await images.inspect("garden:2");
    expect(inspected.config).toMatchObject({ Cmd: ["sleep", "1000"], User: "gardener", Labels: { kind: "garden" } });
    expect(inspected.rootfs.diff_ids).toEqual(summary.config.diffIds);
    // Copying reads every blob and compares it with its digest.
    const other = join(makeDirectory(), "copied");
    copy(`${transport}:${path}`, `oci:${other}:again`);
    tool("umoci", "unpack", ...(isRoot ? [] : ["--rootless"]), "--image", `${other}:again`, join(other, "bundle"));
    const root = join(other, "bundle/rootfs");
    expect(tool("ls", join(root, "beds"))).toBe("flowers\nlink\n");
    expect(tool("ls", join(root, "etc"))).toBe("group\nhostname\nhosts\npasswd\nresolv.conf\n");
    expect(readFileSync(join(root, "beds/link"), "utf8")).toBe("f\n");
  });

  test.each(["oci", "oci-archive", "docker-archive"])("write as %s what we read", async (transport) => {
    const layout = join(makeDirectory(), "made");
    tool("umoci", "init", "--layout", layout);
    tool("umoci", "new", "--image", `${layout}:1`);
    const bundle = join(makeDirectory(), "bundle");
    tool("umoci", "unpack", ...(isRoot ? [] : ["--rootless"]), "--image", `${layout}:1`, bundle);
    const root = join(bundle, "rootfs");
    for (const name of ["usr", "proc", "dev", "sys", "tmp", "etc"]) mkdirSync(join(root, name));
    tool("ln", "-s", "usr/bin", "usr/lib", "usr/lib64", root);
    for (const name of ["gone", "hostname", "hosts", "resolv.conf"]) writeFileSync(join(root, "etc", name), "");
    writeFileSync(join(root, "etc/kept"), "kept\n");
    tool("umoci", "repack", "--image", `${layout}:1`, bundle);
    const second = join(makeDirectory(), "bundle");
    tool("umoci", "unpack", ...(isRoot ? [] : ["--rootless"]), "--image", `${layout}:1`, second);
    tool("rm", join(second, "rootfs/etc/gone"));
    tool("umoci", "repack", "--image", `${layout}:2`, second);
    tool("umoci", "config", "--image", `${layout}:2`, "--config.cmd", "sleep", "--config.cmd", "1000");
    const path = join(makeDirectory(), "copied");
    copy(`oci:${layout}:2`, transport === "oci" ? `oci:${path}:2` : `${transport}:${path}:garden:2`);
    const other = await Images.open(makeDirectory());
    const [name = ""] = await other.import(`${transport}:${path}`, { name: "garden:2" });
    expect((await other.inspect(name)).config.diffIds).toHaveLength(2);
    await using container = await boot(oci(name, { store: other.directory }), { volumes: [USR] });
    expect((await container.run("cat /etc/kept; ls /etc")).stdout).toBe("kept\nhostname\nhosts\nkept\nresolv.conf\n");
  });
});

/** Disks that run full: what is told, and that nothing half-made stays. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot, copyFromGuest, Images, oci } from "@terrarium/container";
import { describe, expect, test } from "vitest";
import { terrarium } from "../guest/terrarium.js";
import { forbidden, makeRootfs, startContainer } from "./containers.js";
import { archive, makeDirectory, ROOT, USR, writeLayout, type Member } from "./images.js";
import { asNobody, NOBODY } from "./nobody.js";

const isRoot = process.geteuid?.() === 0;
const RUNTIME = fileURLToPath(new URL("../../packages/container/pkg/terrarium-container", import.meta.url));

const full = { code: "DISK_FULL", message: expect.stringMatching(/no space is left there: free some/) as string };

/** A disk of that size in memory, for as long as it is used. */
function makeDisk(options: string): { readonly path: string } & Disposable {
  const path = makeDirectory();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path], { encoding: "utf8" });
  if (mounted.status !== 0) throw new Error(mounted.stderr);
  return {
    path,
    [Symbol.dispose]() {
      spawnSync("umount", ["--lazy", path]);
    },
  };
}

/** Leaves no room on the disk that a directory is on. */
function fill(directory: string): void {
  spawnSync("dd", ["if=/dev/zero", `of=${join(directory, "filler")}`, "bs=4k"]);
}

/** Everything in a store that a failure could have left. */
function leftIn(store: string): string[] {
  return ["layers", "tmp", "blobs/sha256"].flatMap((name) => readdirSync(join(store, name)));
}

/** Packed it is small, for it is all zeros; unpacked it is not. */
async function layoutOf(bytes: number, noise = false): Promise<string> {
  const random = spawnSync("head", ["-c", String(noise ? bytes : 0), "/dev/urandom"], { maxBuffer: bytes + 1 }).stdout;
  const big: Member = [{ name: "big" }, noise ? random : Buffer.alloc(bytes)];
  const layers = [await archive(...ROOT), await archive(big)];
  const layout = writeLayout({ layers, config: { Cmd: ["sleep", "1000"] } });
  spawnSync("chmod", ["-R", "a+rX", layout]);
  return layout;
}

describe.skipIf(forbidden !== undefined || !isRoot)("a full disk", () => {
  test("is told of where a store has no room for an image, which is not there then", async () => {
    using disk = makeDisk("size=4m");
    const images = await Images.open(disk.path);
    const layout = await layoutOf(8 << 20, true);
    await expect(images.import(`oci:${layout}`)).rejects.toMatchObject(full);
    expect(await images.list()).toEqual([]);
    expect(leftIn(disk.path)).toEqual([]);
    const archived = join(makeDirectory(), "image.tar");
    spawnSync("tar", ["cf", archived, "-C", layout, "."]);
    await expect(images.import(`oci-archive:${archived}`, { name: "a:1" })).rejects.toMatchObject(full);
    expect(leftIn(disk.path)).toEqual([]);
    await expect(images.fromDirectory(layout, { name: "b:1" })).rejects.toMatchObject(full);
    expect([await images.list(), leftIn(disk.path)]).toEqual([[], []]);
  });

  test("is told of where there is no room for an image's layers, of which none is half there", async () => {
    using disk = makeDisk("size=4m");
    const images = await Images.open(disk.path);
    await images.import(`oci:${await layoutOf(8 << 20)}`);
    await expect(boot(oci("test:1", { store: disk.path }))).rejects.toMatchObject(full);
    expect(readdirSync(join(disk.path, "tmp"))).toEqual([]);
    // The layer below is whole.
    expect(readdirSync(join(disk.path, "layers"))).toHaveLength(1);
    const target = makeDisk("size=100k");
    await expect(images.export("test:1", `oci-archive:${target.path}/x`)).resolves.toBeUndefined();
    fill(target.path);
    await expect(images.export("test:1", `docker-archive:${target.path}/y`)).rejects.toMatchObject(full);
    expect(readdirSync(target.path).toSorted()).toEqual(["filler", "x"]);
    target[Symbol.dispose]();
  });

  test("is told a user without rights, too", async () => {
    using disk = makeDisk(`size=4m,uid=${NOBODY}`);
    const [big, packed] = [await layoutOf(8 << 20, true), await layoutOf(8 << 20)];
    const found = asNobody(`
      const store2 = ${JSON.stringify(disk.path)};
      const images = await Images.open(store2);
      const codes = [await images.import(${JSON.stringify(`oci:${big}`)}).catch((error) => error.code)];
      await images.import(${JSON.stringify(`oci:${packed}`)});
      codes.push(await boot(oci("test:1", { store: store2 })).catch((error) => error.code));
      console.log(JSON.stringify(codes));
      process.exit(0);`);
    expect(found).toEqual(["DISK_FULL", "DISK_FULL"]);
    expect(readdirSync(join(disk.path, "tmp"))).toEqual([]);
  });

  test("is told of where a container's layer cannot be made; where it can, its programs are told", async () => {
    const [store, layout] = [makeDirectory(), await layoutOf(10)];
    const source = oci(`oci:${layout}`, { store });
    // One directory after another has no room, the last of them is one that the kernel makes.
    for (const inodes of [1, 2, 3, 4]) {
      using none = makeDisk(`nr_inodes=${inodes}`);
      const layer = join(none.path, "layer");
      await expect(boot(source, { volumes: [USR], writes: { layer } }), `${inodes}`).rejects.toMatchObject(full);
      if (inodes < 4) expect(existsSync(layer)).toBe(false);
    }

    using disk = makeDisk("size=1m");
    const writes = { layer: join(disk.path, "layer") };
    await using container = await boot(source, { volumes: [USR], writes });
    fill(disk.path);
    const { stdout } = await container.run("head -c 100000 /dev/zero > /x || echo refused");
    expect(stdout).toBe("refused\n");
  });

  test("is told of where a volume cannot be filled, which is empty then", async () => {
    using disk = makeDisk("size=100k");
    const layers = [
      await archive(...ROOT, [{ name: "beds/a/b" }, "b"], [{ name: "beds/big" }, Buffer.alloc(200_000, 1)]),
    ];
    const layout = writeLayout({ layers, config: { Cmd: ["true"] } });
    const volumes = [USR, { source: disk.path, target: "/beds", fill: true }];
    await expect(boot(oci(`oci:${layout}`, { store: makeDirectory() }), { volumes })).rejects.toMatchObject(full);
    expect(readdirSync(disk.path)).toEqual([]);
  });

  test("is told of where what is copied has no room, on either side", async () => {
    using disk = makeDisk("size=100k,mode=777");
    await using container = await startContainer({ volumes: [{ source: disk.path, target: "/small" }] });
    const big: Member[] = [
      [{ name: "first" }, "1"],
      [{ name: "big" }, Buffer.alloc(200_000, 1)],
    ];
    await expect(container.unpack("/small", await archive(...big))).rejects.toMatchObject(full);
    // What came before is there, and half a file is not.
    expect(readdirSync(disk.path)).toEqual(["first"]);
    await expect(container.copyIn("/small/x", "x".repeat(200_000))).rejects.toMatchObject(full);
    await container.run("rm /small/*; mkdir /tmp/big; head -c 200000 /dev/zero > /tmp/big/zeros");
    await expect(copyFromGuest(container, "/tmp/big/zeros", disk.path)).rejects.toMatchObject(full);
    expect(readdirSync(disk.path)).toEqual([]);
  });

  test("is told of on the command line, where nothing stays of a container that could not be made", async () => {
    const layout = await layoutOf(10);
    using disk = makeDisk("size=1m");
    process.env["TERRARIUM_STORE"] = disk.path;
    expect((await terrarium(["load", "-i", `oci:${layout}`])).status).toBe(0);
    const run = ["run", "--name", "pot", "-v", "/usr:/usr:ro", "-v", "soil:/soil", "test:1", "true"];
    // Its layers are unpacked then.
    expect((await terrarium(["run", "--rm", ...run.slice(3)])).status).toBe(0);
    fill(disk.path);
    const { stderr, status } = await terrarium(run);
    expect([status, stderr]).toEqual([2, expect.stringContaining("[DISK_FULL]")]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(readdirSync(join(disk.path, "containers"))).toEqual([]);
    expect(readdirSync(join(disk.path, "names"))).toEqual([]);
  });

  test("takes lines of a container's log, and not the container", async () => {
    const layout = await layoutOf(10);
    using disk = makeDisk("size=1m");
    process.env["TERRARIUM_STORE"] = disk.path;
    await terrarium(["load", "-i", `oci:${layout}`]);
    const script =
      "while test ! -e /in/go; do sleep 0.05; done; seq 1 20000; echo done >&2; rm /in/go; while test ! -e /in/go; do sleep 0.05; done; echo later";
    const given = makeDirectory();
    const started = await terrarium([
      "run",
      "-d",
      "--name",
      "talker",
      "-v",
      "/usr:/usr:ro",
      "-v",
      `${given}:/in`,
      "test:1",
      "sh",
      "-c",
      script,
    ]);
    expect(started.stderr).toBe("");
    fill(disk.path);
    writeFileSync(join(given, "go"), "");
    await expect.poll(() => existsSync(join(given, "go")), { timeout: 10_000 }).toBe(false);
    spawnSync("rm", [join(disk.path, "filler")]);
    writeFileSync(join(given, "go"), "");
    expect((await terrarium(["wait", "talker"])).stdout).toBe("0\n");
    const { stdout, stderr } = await terrarium(["logs", "talker"]);
    expect(stderr.replace("done\n", "")).toBe("");
    expect(stdout).toMatch(/later\n$/);
    await terrarium(["rm", "talker"]);
  });

  test("is told of by the OCI runtime, for the state and for a bundle", () => {
    const bundle = makeDirectory();
    const rootfs = makeRootfs();
    const config = {
      ociVersion: "1.2.0",
      process: { cwd: "/", args: ["true"], user: { uid: 0, gid: 0 } },
      root: { path: rootfs },
      mounts: [{ destination: "/usr", source: "/usr", options: ["bind", "ro"] }],
      linux: { namespaces: ["mount", "pid"].map((type) => ({ type })) },
    };
    const run = (root: string, changes: object = {}): { status: number | null; stderr: string } => {
      writeFileSync(join(bundle, "config.json"), JSON.stringify({ ...config, ...changes }));
      const { status, stderr } = spawnSync(RUNTIME, ["--root", root, "run", "--bundle", bundle, "full"], {
        encoding: "utf8",
      });
      return { status, stderr };
    };
    const state = makeDirectory();
    expect(run(state)).toEqual({ status: 0, stderr: "" });
    using disk = makeDisk("size=100k,nr_inodes=10");
    fill(disk.path);
    const refused = run(disk.path);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain("no space is left there");
    expect(readdirSync(disk.path)).toEqual(["filler"]);
    // A root without room for what is mounted in it.
    using small = makeDisk("nr_inodes=2");
    mkdirSync(join(small.path, "usr"));
    const inSmall = run(state, {
      root: { path: small.path },
      mounts: [...config.mounts, { destination: "/proc", type: "proc", source: "proc" }],
    });
    expect(inSmall.stderr).toContain("no space is left there");
    expect(readdirSync(small.path)).toEqual(["usr"]);
    expect(readdirSync(state)).toEqual([]);
  });
});

/** What the command line does with containers' files: copies, volumes, and what is there when one is started again. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { terrarium as callTerrarium } from "../guest/terrarium.js";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, writeLayout, type Member } from "./images.js";
import { emptyStore, makeStore, output, terrarium, usr } from "./store.js";

const isRoot = process.geteuid?.() === 0;

describe.skipIf(forbidden !== undefined)("terrarium", () => {
  let store: string;

  beforeAll(async () => {
    const owner = isRoot ? { uid: 1000, gid: 1001 } : {};
    const kept: Member[] = [
      [{ name: "beds", type: "directory", mode: 0o750, ...owner }],
      [{ name: "beds/rose", mode: 0o640, ...owner }, "rose\n"],
      [{ name: "beds/deep", type: "directory", mode: 0o755 }],
      [{ name: "beds/deep/link", type: "symlink", linkname: "../rose" }],
    ];
    const Volumes = { "/beds": {}, "/new/place": {} };
    store = await makeStore({ Entrypoint: ["/bin/sh", "-c"], Cmd: ["echo default"], Volumes }, ...kept);
  });
  beforeEach(() => {
    process.env["TERRARIUM_STORE"] = store;
  });
  afterAll(emptyStore);

  test("copies files and directories in and out, as docker does", async () => {
    await output("run", "-d", "--name", "shed", ...usr, "test:1", "sleep 1000");
    const host = makeDirectory();
    mkdirSync(join(host, "tools"));
    writeFileSync(join(host, "tools/spade"), "spade\n");
    await output("cp", join(host, "tools"), "shed:/root");
    await output("cp", join(host, "tools/spade"), "shed:root/second");
    await output("cp", `${host}/tools/.`, "shed:/root");
    expect(await output("exec", "shed", "sh", "-c", "cd /root; cat tools/spade second spade; stat -c %u second")).toBe(
      "spade\nspade\nspade\n0\n",
    );
    await output("cp", "shed:/root", join(host, "back"));
    expect(readdirSync(join(host, "back"))).toEqual(["second", "spade", "tools"]);
    await output("cp", "shed:/root/tools/spade", host);
    expect(readFileSync(join(host, "spade"), "utf8")).toBe("spade\n");
    const packed = spawnSync("tar", ["c", "-C", host, "spade"]);
    expect(await callTerrarium(["cp", "-", "shed:/tmp"], packed.stdout)).toEqual({ stdout: "", stderr: "", status: 0 });
    expect(await output("exec", "shed", "cat", "/tmp/spade")).toBe("spade\n");
    expect(await output("cp", "shed:/tmp/spade", "-")).toContain("spade\n");
    for (const [args, code] of [
      [["shed:/no/such", host], "PATH_UNUSABLE"],
      [[host, "shed:/no/such/place"], "PATH_UNUSABLE"],
      [[join(host, "none"), "shed:/tmp"], "FILE_UNREADABLE"],
      [[host, host], "OPTIONS_CONFLICT"],
      [["nobody:/tmp", host], "CONTAINER_UNKNOWN"],
    ] as const) {
      const { stderr, status } = await terrarium("cp", ...args);
      expect([status, stderr], args.join(" ")).toEqual([2, expect.stringContaining(code)]);
    }
    await output("rm", "-f", "-v", "shed");
  });

  test("copies to and from a container that has ended, which stays that", async () => {
    const options = [...usr, "-v", "/volume"];
    const script = "echo own > /tmp/own; exit 3";
    expect((await terrarium("run", "--name", "ended", ...options, "test:1", script)).status).toBe(3);
    const host = makeDirectory();
    await output("cp", "ended:/tmp", host);
    expect(readFileSync(join(host, "tmp/own"), "utf8")).toBe("own\n");
    writeFileSync(join(host, "more"), "more\n");
    await output("cp", join(host, "more"), "ended:/tmp");
    await output("cp", join(host, "more"), "ended:/volume");
    expect(await output("cp", "ended:/volume/more", "-")).toContain("more\n");
    expect(await output("ps", "-a")).toMatch(/exited \(3\) +ended$/m);
    expect(await output("diff", "ended")).toBe("C /tmp\nA /tmp/more\nA /tmp/own\n");
    expect((await terrarium("start", "-a", "ended")).status).toBe(3);
    expect((await terrarium("exec", "ended", "true")).stderr).toContain("CONTAINER_STATUS");
    await output("rm", "-v", "ended");
  });

  test("gives a container volumes where its image wants them, filled with what the image has there", async () => {
    const volumes = (): string[] => readdirSync(join(store, "volumes"));
    const look =
      "stat -c '%a %u %g %n' /beds /beds/rose; readlink /beds/deep/link; cat /beds/deep/link; ls -d /new/place";
    const id = isRoot ? "1000 1001" : "0 0";
    const seen = `750 ${id} /beds\n640 ${id} /beds/rose\n../rose\nrose\n/new/place\n`;
    expect(await output("run", "--rm", ...usr, "test:1", look)).toBe(seen);
    expect(volumes()).toEqual([]);

    await output("run", "--name", "plot", ...usr, "test:1", "echo grown > /beds/grown; echo x > /new/place/x");
    const [{ mounts }] = JSON.parse(await output("inspect", "plot")) as [
      { mounts: { type: string; name?: string; target: string }[] },
    ];
    const named = mounts.filter(({ type }) => type === "volume");
    expect(named.map(({ target }) => target).toSorted()).toEqual(["/beds", "/new/place"]);
    expect(named.map(({ name }) => name).toSorted()).toEqual(volumes().toSorted());
    // What is in a volume is none of the container's changes.
    expect(await output("diff", "plot")).toBe("");
    expect((await terrarium("volume", "rm", volumes()[0] ?? "")).stderr).toContain("VOLUME_IN_USE");
    await output("rm", "plot");
    expect(await output("volume", "ls", "-q")).toBe(
      volumes()
        .map((name) => `${name}\n`)
        .join(""),
    );
    expect(volumes()).toHaveLength(2);
    await output("volume", "prune");
    expect(volumes()).toEqual([]);

    await output("run", "--name", "plot", "-v", "/extra", ...usr, "test:1", "true");
    expect(volumes()).toHaveLength(3);
    await output("rm", "-v", "plot");
    expect(volumes()).toEqual([]);
  });

  test("keeps what is in a volume with a name, which is filled once", async () => {
    const named = ["run", "--rm", ...usr, "-v", "beds:/beds"];
    expect(await output(...named, "test:1", "ls /beds; rm /beds/rose; echo own > /beds/own")).toBe("deep\nrose\n");
    expect(await output(...named, "test:1", "ls /beds")).toBe("deep\nown\n");
    expect(
      await output(
        "run",
        "--rm",
        ...usr,
        "-v",
        "beds:/tmp/beds:ro",
        "test:1",
        "ls /tmp/beds; touch /tmp/beds/x 2>/tmp/x || echo no",
      ),
    ).toContain("deep\nown\nno\n");
    // A directory of the host's is what it is.
    const host = makeDirectory();
    expect(await output("run", "--rm", ...usr, "-v", `${host}:/beds`, "test:1", "ls /beds")).toBe("");
    await output("volume", "rm", "beds");
    expect((await terrarium("volume", "rm", "beds")).stderr).toContain("VOLUME_UNKNOWN");
  });

  test("starts a container again with what it has written", async () => {
    const script = "echo run >> /tmp/runs; echo note >> /beds/notes; cat /tmp/runs /beds/notes; exit 3";
    expect(await terrarium("run", "--name", "again", ...usr, "test:1", script)).toMatchObject({ status: 3 });
    expect(await terrarium("start", "-a", "again")).toEqual({
      stdout: "run\nrun\nnote\nnote\n",
      stderr: "",
      status: 3,
    });
    expect(await output("start", "again")).toBe("again\n");
    expect(await output("wait", "again")).toBe("3\n");
    expect((await output("logs", "again")).split("run\n")).toHaveLength(1 + 1 + 2 + 3);
    await output("rm", "-v", "again");

    await output("run", "-d", "--name", "reader", ...usr, "test:1", "cat; sleep 0.1");
    await output("wait", "reader");
    expect((await callTerrarium(["start", "-a", "-i", "reader"], "heard\n")).stdout).toBe("heard\n");
    await output("rm", "-v", "reader");
  });

  test("starts what was killed with its holder, and leaves alone what runs", async () => {
    await output("run", "-d", "--name", "stayer", ...usr, "test:1", "echo x >> /tmp/x; sleep 1000");
    const pid = async (): Promise<number> =>
      (JSON.parse(await output("inspect", "stayer")) as [{ pid: number }])[0].pid;
    const first = await pid();
    expect(await output("start", "stayer")).toBe("stayer\n");
    expect(await pid()).toBe(first);
    expect((await terrarium("start", "-a", "stayer")).stderr).toContain("CONTAINER_STATUS");
    const holders = spawnSync("pgrep", ["-f", "terrarium.mjs hold"]).stdout.toString().trim().split("\n");
    const holder = holders.find((number) => readFileSync(`/proc/${number}/environ`, "utf8").includes(store));
    process.kill(Number(holder), "SIGKILL");
    await expect.poll(() => existsSync(`/proc/${first}`), { timeout: 10_000 }).toBe(false);
    const both = await Promise.all([terrarium("start", "stayer"), terrarium("start", "stayer")]);
    expect(both.map(({ status }) => status).toSorted()).toBeOneOf([
      [0, 0],
      [0, 2],
    ]);
    expect(await output("exec", "stayer", "cat", "/tmp/x")).toBe("x\nx\n");
    await output("restart", "-t", "0", "stayer");
    expect(await output("exec", "stayer", "cat", "/tmp/x")).toBe("x\nx\nx\n");
    await output("rm", "-f", "-v", "stayer");
    expect(await output("volume", "ls", "-q")).toBe("");
  });

  test("leaves a container as it was where it cannot be started again", async () => {
    const host = makeDirectory();
    mkdirSync(join(host, "given"));
    await output("run", "--name", "fragile", ...usr, "-v", `${host}/given:/given`, "test:1", "echo kept > /tmp/kept");
    spawnSync("rmdir", [join(host, "given")]);
    for (const args of [
      ["start", "fragile"],
      ["start", "-a", "fragile"],
    ]) {
      expect((await terrarium(...args)).stderr).toContain("MOUNT_FAILED");
    }
    expect(await output("ps", "-a")).toMatch(/exited \(0\) +fragile$/m);
    expect(await output("diff", "fragile")).toContain("A /tmp/kept");
    await output("rm", "-v", "fragile");
  });

  test("finds no mount points among what a container has changed", async () => {
    const bare: Member[] = [
      [{ name: "bin", type: "symlink", linkname: "usr/bin" }],
      ...["lib", "lib64"].map((name): Member => [{ name, type: "symlink", linkname: `usr/${name}` }]),
      [{ name: "real/etc", type: "directory" }],
      [{ name: "etc", type: "symlink", linkname: "real/etc" }],
    ];
    const layout = writeLayout({ layers: [await archive(...bare)] }, "bare:1");
    await output("load", "-i", `oci:${layout}`);
    const script = "cat /etc/hostname; ls /etc; echo mine > /etc/mine";
    const run = ["run", "--name", "bare", "-h", "box", ...usr, "-v", `${makeDirectory()}:/srv/data`];
    expect(await output(...run, "bare:1", "sh", "-c", script)).toBe("box\nhostname\nhosts\n");
    expect(await output("diff", "bare")).toBe("C /real\nC /real/etc\nA /real/etc/mine\n");
    await output("commit", "bare", "mine:1");
    const saved = join(makeDirectory(), "saved");
    await output("save", "--format", "oci", "-o", saved, "mine:1");
    const blobs = join(saved, "blobs/sha256");
    const names = readdirSync(blobs).flatMap((name) =>
      spawnSync("tar", ["tzf", join(blobs, name)])
        .stdout.toString()
        .split("\n"),
    );
    expect(names.filter((name) => /host|resolv|proc|sys|dev|srv/.test(name))).toEqual([]);
    expect(names).toContain("real/etc/mine");
    await output("start", "bare");
    await output("wait", "bare");
    expect(await output("diff", "bare")).toBe("C /real\nC /real/etc\nA /real/etc/mine\n");
    await output("rm", "bare");
  });
});

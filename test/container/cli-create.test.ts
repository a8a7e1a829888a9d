/** Containers that are made before they are started, and what `cp` is told of links, owners and holes. */

import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { makeDirectory } from "./images.js";
import { emptyStore, makeStore, output, terrarium, usr } from "./store.js";

const isRoot = process.geteuid?.() === 0;

describe.skipIf(forbidden !== undefined)("terrarium create", () => {
  let store: string;

  beforeAll(async () => {
    store = await makeStore({ Entrypoint: ["/bin/sh", "-c"], Cmd: ["echo default"] });
  });
  afterAll(emptyStore);

  test("makes a container that start runs, with what has been put there", async () => {
    const script = "echo ran; cat /tmp/seed; exit 3";
    const id = (await output("create", "--name", "seedling", ...usr, "-v", "/beds", "test:1", script)).trimEnd();
    expect(await output("ps", "-q")).toBe("");
    expect(await output("ps", "-a")).toMatch(new RegExp(`^${id} +test:1 +.* +created +seedling$`, "m"));
    expect(JSON.parse(await output("inspect", "seedling"))).toMatchObject([{ running: false, status: "created" }]);
    expect(await output("diff", "seedling")).toBe("");
    expect(await output("logs", "seedling")).toBe("");
    expect(await output("wait", "seedling")).toBe("0\n");
    expect(await output("volume", "ls", "-q")).toMatch(/^[0-9a-f]{32}\n$/);
    expect((await terrarium("exec", "seedling", "true")).stderr).toContain("CONTAINER_STATUS");
    expect((await terrarium("create", "--name", "seedling", "test:1")).stderr).toContain("CONTAINER_EXISTS");
    const seed = join(makeDirectory(), "seed");
    writeFileSync(seed, "rose\n");
    await output("cp", seed, "seedling:/tmp");
    // Who has only been copied to has not run.
    expect(await output("ps", "-a")).toMatch(/created +seedling$/m);
    expect(await terrarium("start", "-a", "seedling")).toEqual({ stdout: "ran\nrose\n", stderr: "", status: 3 });
    expect(await output("ps", "-a")).toMatch(/exited \(3\) +seedling$/m);
    expect(await output("wait", "seedling")).toBe("3\n");
    await output("rm", "-v", "seedling");
    expect(await output("volume", "ls", "-q")).toBe("");
    expect(existsSync(join(store, "containers", id))).toBe(false);
  });

  test("makes one that can be removed unstarted, or goes by itself when it has ended", async () => {
    await output("create", "--name", "never", ...usr, "test:1");
    expect(await output("rm", "never")).toBe("never\n");
    await output("create", "--rm", "--name", "once", ...usr, "test:1");
    expect((await terrarium("start", "-a", "once")).stdout).toBe("default\n");
    expect(await output("ps", "-aq")).toBe("");
  });

  test("leaves one that cannot be started as it was, and makes none of what there is not", async () => {
    await output("create", "--name", "broken", "--entrypoint", "/no/program", ...usr, "test:1");
    expect((await terrarium("start", "broken")).stderr).toContain("PROGRAM_UNUSABLE");
    expect(await output("ps", "-a")).toMatch(/created +broken$/m);
    await output("rm", "broken");
    expect((await terrarium("create", "no-such:1")).stderr).toContain("IMAGE_UNKNOWN");
    expect((await terrarium("create", "--isolation", "machine", "test:1")).status).toBe(2);
    expect(await output("ps", "-aq")).toBe("");
  });

  test("cp -L copies what a link leads to, by the link's name", async () => {
    const host = makeDirectory();
    mkdirSync(join(host, "deep"));
    writeFileSync(join(host, "deep/rose"), "rose\n");
    symlinkSync("deep/rose", join(host, "link"));
    symlinkSync("deep", join(host, "beds"));
    await output("create", "--name", "links", ...usr, "test:1", "ln -s /tmp/link /tmp/second; cat /tmp/link");
    await output("cp", join(host, "link"), "links:/tmp/plain");
    await output("cp", "-L", join(host, "link"), "links:/tmp");
    await output("cp", "--follow-link", join(host, "beds"), "links:/tmp");
    expect((await terrarium("start", "-a", "links")).stdout).toBe("rose\n");
    await output("cp", "links:/tmp/second", host);
    expect(readlinkSync(join(host, "second"))).toBe("/tmp/link");
    await output("cp", "-L", "links:/tmp/second", join(host, "copy"));
    expect(lstatSync(join(host, "copy")).isFile()).toBe(true);
    expect(readFileSync(join(host, "copy"), "utf8")).toBe("rose\n");
    await output("cp", "links:/tmp/plain", host);
    expect(readlinkSync(join(host, "plain"))).toBe("deep/rose");
    await output("cp", "links:/tmp/beds/rose", join(host, "again"));
    expect(readFileSync(join(host, "again"), "utf8")).toBe("rose\n");
    await output("rm", "links");
  });

  test.skipIf(!isRoot)("cp -a keeps owners, which belong to who copies otherwise", async () => {
    const host = makeDirectory();
    writeFileSync(join(host, "owned"), "mine\n");
    chownSync(join(host, "owned"), 1234, 4321);
    await output("run", "-d", "--name", "owners", ...usr, "test:1", "sleep 1000");
    await output("cp", join(host, "owned"), "owners:/tmp/plain");
    await output("cp", "-a", join(host, "owned"), "owners:/tmp/kept");
    expect(await output("exec", "owners", "stat", "-c", "%u %g", "/tmp/plain", "/tmp/kept")).toBe("0 0\n1234 4321\n");
    await output("cp", "owners:/tmp/kept", join(host, "plain"));
    await output("cp", "--archive", "owners:/tmp/kept", join(host, "kept"));
    const owners = ["plain", "kept"].map((name) => statSync(join(host, name))).map(({ uid, gid }) => [uid, gid]);
    expect(owners).toEqual([
      [0, 0],
      [1234, 4321],
    ]);
    // An id that no container has.
    chownSync(join(host, "owned"), 100_000, 0);
    expect((await terrarium("cp", "-a", join(host, "owned"), "owners:/tmp/far")).stderr).toContain("ARCHIVE_REFUSED");
    await output("rm", "-f", "owners");
  });

  test("cp and commit keep a file's holes", async () => {
    const script = "truncate -s 300M /tmp/holes; printf end >> /tmp/holes; stat -c '%s %b' /tmp/holes";
    const look = (file: string): string => spawnSync("stat", ["-c", "%s %b", file], { encoding: "utf8" }).stdout;
    const seen = await output("run", "--name", "holes", ...usr, "test:1", script);
    const host = makeDirectory();
    await output("cp", "holes:/tmp/holes", host);
    spawnSync("sync", [join(host, "holes")]);
    expect(look(join(host, "holes"))).toBe(seen);
    truncateSync(join(host, "holes"), 200 << 20);
    await output("cp", join(host, "holes"), "holes:/tmp/back");
    await output("commit", "holes", "holes:2");
    await output("rm", "holes");
    const listed = await output(
      "run",
      "--rm",
      ...usr,
      "holes:2",
      "stat -c '%s %b' /tmp/holes /tmp/back; tail -c 3 /tmp/holes",
    );
    expect(listed).toBe(`${seen}${String(200 << 20)} 0\nend`);
    const saved = join(makeDirectory(), "saved.tar");
    await output("save", "-o", saved, "holes:2");
    expect(statSync(saved).size).toBeLessThan(1 << 20);
    await output("rmi", "holes:2");
  });
});

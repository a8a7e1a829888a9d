import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TERRARIUM, terrarium as callTerrarium } from "../guest/terrarium.js";
import { forbidden } from "./containers.js";
import { makeDirectory } from "./images.js";
import { registryMissing, startRegistry } from "./registry.js";
import { emptyStore, makeStore, output, terrarium, usr } from "./store.js";

const isRoot = process.geteuid?.() === 0;

describe.skipIf(forbidden !== undefined)("terrarium", () => {
  let store: string;

  beforeAll(async () => {
    store = await makeStore({ Entrypoint: ["/bin/sh", "-c"], Cmd: ["echo default"], Env: ["KIND=garden"] });
  });
  afterAll(emptyStore);

  test("runs what the image says, or what the caller does, and ends as that ends", async () => {
    expect(await output("run", "--rm", ...usr, "test:1")).toBe("default\n");
    expect(await terrarium("run", "--rm", ...usr, "test:1", "echo out; echo err >&2; exit 7")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      status: 7,
    });
    const killed = await terrarium("run", "--rm", ...usr, "--entrypoint", "sh", "test:1", "-c", "sh -c 'kill -9 $$'");
    expect(killed.status).toBe(137);
    expect(await output("ps", "-aq")).toBe("");
    expect(readdirSync(join(store, "names"))).toEqual([]);
  });

  test("passes options on", async () => {
    const host = makeDirectory();
    chmodSync(host, 0o755);
    writeFileSync(join(host, "given"), "by the host\n");
    process.env["INHERITED"] = "kept";
    const script =
      "echo $KIND $A $INHERITED; pwd; cat /data/given; cat /proc/sys/kernel/hostname; id -u; touch /x && echo writable";
    const options = ["-e", "A=b=c", "-e", "INHERITED", "-w", "/tmp", "-v", `${host}:/data:ro`, "-h", "box"];
    const user = isRoot ? ["-u", "gardener"] : [];
    const { stdout } = await terrarium("run", "--rm", ...usr, ...options, ...user, "--read-only", "test:1", script);
    expect(stdout).toBe(`garden b=c kept\n/tmp\nby the host\nbox\n${isRoot ? "1000" : "0"}\n`);
    const limited = await terrarium(
      "run",
      "--rm",
      ...usr,
      "--memory",
      "64m",
      "--pids-limit",
      "50",
      "--cpus",
      "0.5",
      "test:1",
    );
    // A host without the means refuses by name.
    if (limited.status === 0) expect(limited.stdout).toBe("default\n");
    else expect(limited.stderr).toMatch(/CONTROLLER_MISSING|CGROUP_REFUSED/);
    // What a named volume holds is there for the next.
    const named = [...usr, "-v", "beds:/beds"];
    await output("run", "--rm", ...named, "test:1", "echo seeds > /beds/first");
    expect(await output("run", "--rm", ...named, "test:1", "cat /beds/first")).toBe("seeds\n");
  });

  test("passes input on with --interactive, and none without", async () => {
    const { stdout } = await callTerrarium(["run", "-i", "--rm", ...usr, "test:1", "wc -c"], "x".repeat(200_000));
    expect(stdout).toBe("200000\n");
    expect((await callTerrarium(["run", "--rm", ...usr, "test:1", "wc -c"], "ignored")).stdout).toBe("0\n");
  });

  test("gives it a terminal, with this one's size, and leaves this one as it was", async () => {
    const run = `'${process.execPath}' '${TERRARIUM}' run -it --rm ${usr.join(" ")} test:1 "sleep 0.3; stty size; tty; read line; echo got:\\$line"`;
    const session = `stty rows 33 cols 111; stty -a > ${store}/before; ${run}; echo "status $?"; stty -a > ${store}/after`;
    // script(1), of every Debian, gives the session a terminal of its own.
    const child = spawn("script", ["-qefc", session, "/dev/null"]);
    let stdout = "";
    child.stdout.on("data", (bytes: Buffer) => {
      if (!stdout.includes("/dev/") && `${stdout}${bytes.toString()}`.includes("/dev/")) child.stdin.write("typed\r");
      stdout += bytes.toString();
    });
    await new Promise((resolve) => child.once("close", resolve));
    expect(stdout.replaceAll("\r", "")).toMatch(/^33 111\n\/dev\/(console|pts\/0)\n/m);
    expect(stdout).toContain("got:typed");
    expect(stdout).toContain("status 0");
    expect(readFileSync(join(store, "after"), "utf8")).toBe(readFileSync(join(store, "before"), "utf8"));
    const refused = await terrarium("run", "-it", "--rm", ...usr, "test:1");
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining("OPTIONS_CONFLICT")]);
  });

  test("leaves a container running, which can be looked at, joined and stopped", async () => {
    const script = "echo begun; trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done";
    const id = (await output("run", "-d", "--name", "pots", ...usr, "test:1", script)).trimEnd();
    expect(await output("ps")).toMatch(new RegExp(`^${id} +test:1 +.* +running +pots$`, "m"));
    const [inspected] = JSON.parse(await output("inspect", "pots")) as [
      { running: boolean; pid: number; name: string },
    ];
    expect(inspected).toMatchObject({ running: true, name: "pots", id });
    expect(existsSync(`/proc/${inspected.pid}`)).toBe(true);
    expect(await output("exec", "pots", "sh", "-c", "echo $KIND; cat /proc/1/cmdline | tr '\\0' ' '")).toContain(
      "garden\n/bin/sh -c echo begun;",
    );
    expect(await terrarium("exec", "-w", "/tmp", "-e", "A=1", "pots", "sh", "-c", "pwd; echo $A >&2; exit 4")).toEqual({
      stdout: "/tmp\n",
      stderr: "1\n",
      status: 4,
    });
    expect((await callTerrarium(["exec", "-i", "pots", "cat"], "through\n")).stdout).toBe("through\n");
    expect((await terrarium("exec", "pots", "/no/program")).stderr).toContain("COMMAND_NOT_STARTED");
    expect(await output("stats", "pots")).toMatch(/^pots +/m);
    expect((await terrarium("run", "-d", "--name", "pots", ...usr, "test:1")).stderr).toContain("CONTAINER_EXISTS");
    expect((await terrarium("rm", "pots")).stderr).toContain("CONTAINER_STATUS");
    expect((await terrarium("rmi", "test:1")).stderr).toContain("IMAGE_IN_USE");
    const following = terrarium("logs", "--follow", "pots");
    const waiting = terrarium("wait", "pots");
    await output("stop", "pots");
    expect((await following).stdout).toBe("begun\nbye\n");
    expect((await waiting).stdout).toBe("5\n");
    expect(await output("ps", "-q")).toBe("");
    expect(await output("ps", "-a")).toMatch(/exited \(5\) +pots$/m);
    expect((await terrarium("exec", "pots", "true")).stderr).toContain("CONTAINER_STATUS");
    expect(await output("rm", "pots")).toBe("pots\n");
    expect(existsSync(join(store, "containers", id))).toBe(false);
  });

  test("leads ports of this machine into it", async () => {
    const server = `use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die;
      $| = 1; print "up\\n"; while ($c = $s->accept) { print $c "grown here"; close $c }`;
    const shared = ["--name", "stall", "-p", "127.0.0.1::80", "--entrypoint", "perl"];
    const { status, stderr } = await terrarium("run", "-d", ...usr, ...shared, "test:1", "-e", server);
    if (/NETWORK|NAMESPACE|UNSUPPORTED|SYSTEM/.test(stderr)) {
      process.stderr.write(`Published ports are not tried: ${stderr}`);
      return;
    }
    expect([stderr, status]).toEqual(["", 0]);
    const [{ ports }] = JSON.parse(await output("inspect", "stall")) as [{ ports: { host: number }[] }];
    const port = ports[0]?.host ?? 0;
    expect(await output("ps")).toContain(`127.0.0.1:${String(port)}->80/tcp`);
    await expect.poll(async () => (await terrarium("logs", "stall")).stdout, { timeout: 10_000 }).toBe("up\n");
    const got = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1").on("error", reject);
      let text = "";
      socket
        .on("data", (bytes) => (text += bytes.toString()))
        .on("close", () => {
          resolve(text);
        });
    });
    expect(got).toBe("grown here");
    await output("rm", "-f", "stall");
  });

  test("kills, and knows of containers whose holder was killed", async () => {
    const id = (await output("run", "-d", "--name", "deaf", ...usr, "test:1", "sleep 1000")).trimEnd();
    await output("kill", "deaf");
    expect(await output("wait", "deaf")).toBe("137\n");
    await output("rm", "deaf");
    await output("run", "-d", "--name", "orphan", ...usr, "test:1", "sleep 1000");
    const [{ pid }] = JSON.parse(await output("inspect", "orphan")) as [{ pid: number }];
    const holders = spawnSync("pgrep", ["-f", "terrarium.mjs hold"]).stdout.toString().trim().split("\n");
    const holder = holders.find((number) => readFileSync(`/proc/${number}/environ`, "utf8").includes(store));
    expect(holder).toBeDefined();
    process.kill(Number(holder), "SIGKILL");
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 10_000 }).toBe(false);
    expect(await output("ps", "-a")).toMatch(/killed +orphan$/m);
    expect(await output("rm", "orphan")).toBe("orphan\n");
    expect(id).not.toBe("");
  });

  test("a run in the foreground is ended by a signal to it, as its program takes it", async () => {
    const child = spawn(process.execPath, [
      TERRARIUM,
      "run",
      "--rm",
      ...usr,
      "test:1",
      "trap 'exit 9' INT; echo up; while :; do sleep 0.05; done",
    ]);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(9);
  });

  test("makes images of changes, saves them and takes them in again", async () => {
    await output("run", "--name", "weeding", ...usr, "test:1", "echo new > /etc/new; rm /etc/group");
    expect((await output("diff", "weeding")).split("\n")).toEqual(
      expect.arrayContaining(["A /etc/new", "D /etc/group"]),
    );
    expect(await output("commit", "-m", "weeded", "-a", "me", "weeding", "weeded:2")).toMatch(
      /^sha256:[0-9a-f]{64}\n$/,
    );
    await output("rm", "weeding");
    expect(await output("run", "--rm", ...usr, "weeded:2", "cat /etc/new; ls /etc")).toBe(
      "new\nhostname\nhosts\nnew\npasswd\nresolv.conf\n",
    );
    expect(await output("history", "weeded:2")).toContain("weeded");
    await output("tag", "weeded:2", "weeded:3");
    const saved = join(makeDirectory(), "saved.tar");
    await output("save", "-o", saved, "weeded:3");
    await output("rmi", "weeded:2", "weeded:3");
    expect(await output("images")).not.toContain("weeded");
    expect(await output("load", "-i", saved)).toBe("weeded:3\n");
    expect(await output("images")).toMatch(/^weeded:3 +OCI image for linux\/amd64/m);
    expect(await output("run", "--rm", ...usr, "weeded:3", "cat /etc/new")).toBe("new\n");
    await output("rmi", "weeded:3");
  });

  test("makes an image of Debian packages, which runs by itself", { timeout: 240_000 }, async () => {
    const command = ["/bin/busybox", "sh", "-c", "busybox id -u; busybox ls /"];
    const made = await terrarium("make", "--packages", "busybox-static", "debian:12", ...command);
    if (made.status !== 0 && /archive|mirror|apt/.test(made.stderr)) {
      process.stderr.write(`Images of Debian packages are not tried: ${made.stderr}`);
      return;
    }
    expect(made.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const { stdout } = await terrarium("run", "--rm", "debian:12");
    expect(stdout).toMatch(/^0\nbin\n(.*\n)*usr\nvar\n$/);
    expect(await output("rmi", "debian:12")).toBe("debian:12\n");
    expect((await terrarium("make", "nothing:1")).stderr).toContain("OPTIONS_CONFLICT");
  });

  test.skipIf(registryMissing !== undefined)(
    "sends images to a registry and fetches them when they are to be run",
    async () => {
      await using registry = await startRegistry();
      const name = `${registry.host}/plants:1`;
      await output("tag", "test:1", name);
      await output("push", name);
      await output("rmi", name);
      expect(await output("run", "--rm", ...usr, name)).toBe("default\n");
      expect(await output("pull", name)).toMatch(new RegExp(`^${name}\nsha256:`));
      await output("rmi", name);
    },
  );

  test.each([
    [["run", "no-such:1"], "IMAGE_UNKNOWN"],
    [["run", "-v", "nonsense", "test:1"], "OPTION_INVALID"],
    [["run", "--memory", "lots", "test:1"], "OPTION_INVALID"],
    [["run", "--cpus", "none", "test:1"], "OPTION_INVALID"],
    [["run", "-p", "eighty", "test:1"], "OPTION_INVALID"],
    [["run", "--network", "carrier-pigeon", "test:1"], "OPTION_INVALID"],
    [["run", "--name", "a b", "test:1"], "OPTION_INVALID"],
    [["run", "--entrypoint", "/no/program", "test:1"], "PROGRAM_UNUSABLE"],
    [["run", "-d", "--entrypoint", "/no/program", "test:1"], "PROGRAM_UNUSABLE"],
    [["run", "-u", "nobody-here", "test:1"], "USER_UNKNOWN"],
    [["run", "--isolation", "machine", "--cpus", "1", "test:1"], "UNSUPPORTED"],
    [["exec", "no-such", "true"], "CONTAINER_UNKNOWN"],
    [["stop", "no-such"], "CONTAINER_UNKNOWN"],
    [["pull", "no-registry"], "REFERENCE_INVALID"],
    [["load", "-i", "/no/where"], "FILE_UNREADABLE"],
  ])("%j ends with status 2, one sentence and %s, and leaves nothing", async (args, code) => {
    const before = readdirSync(store).length;
    const { stdout, stderr, status } = await terrarium(...args);
    expect([stdout, status]).toEqual(["", 2]);
    expect(stderr).toContain(`[${code}]`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    mkdirSync(join(store, "containers"), { recursive: true });
    expect(readdirSync(join(store, "containers"))).toEqual([]);
    expect(readdirSync(store).length).toBeLessThanOrEqual(before + 2);
  });
});

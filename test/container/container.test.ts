import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boot } from "@terrarium/container";
import { MachineError } from "@terrarium/machine";
import { describe, expect, test } from "vitest";
import { expectNothingNew, forbidden, makeRootfs, startContainer, traces } from "./containers.js";

const isRoot = process.geteuid?.() === 0;

describe.skipIf(forbidden !== undefined)("a container", () => {
  test("has a console that is a terminal, with a shell at it", async () => {
    await using container = await startContainer();
    await container.console.write("echo $((6 * 7)); tty\n");
    await container.console.waitFor("42\r\n/dev/console", { timeout: "10s" }).catch(() => undefined);
    await container.console.write("stty size\n");
    container.resize(91, 37);
    await container.console.write("stty size\n");
    await container.console.waitFor("37 91", { timeout: "10s" });
    await container.console.write("exit 3\n");
    expect(await container.exited).toEqual({ reason: "exited", exitCode: 3, signal: null });
  });

  test("has a console of pipes where that is asked for", async () => {
    await using container = await startContainer({ terminal: false, command: ["cat"] });
    await container.console.write("back\n");
    expect(await container.console.waitFor("\n", { timeout: "10s" })).toBe("back\n");
  });

  test("tells whoever listens at once also of what was written before boot() had resolved", async () => {
    for (let times = 0; times < 20; times++) {
      await using container = await startContainer({ terminal: false, command: ["sh", "-c", "echo first; echo last"] });
      let text = "";
      container.console.onData((bytes) => (text += Buffer.from(bytes).toString()));
      await container.exited;
      expect(text).toBe("first\nlast\n");
    }
  });

  test("has root in it that is nobody on the host, and few rights", async () => {
    await using container = await startContainer({ hostname: "box", env: { FLAVOUR: "sweet" } });
    const { stdout } = await container.run("id -u; cat /proc/sys/kernel/hostname; echo $FLAVOUR");
    expect(stdout).toBe("0\nbox\nsweet\n");
    const status = readFileSync(`/proc/${String(container.pid)}/status`, "utf8");
    // The kernel's own view: real, effective, saved and file-system ids.
    const uid = isRoot ? 1_900_000_000 : (process.geteuid?.() ?? 0);
    expect(status).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}\n`);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    // The fourteen that docker gives, but for CAP_NET_RAW (13).
    expect(status).toMatch(/^CapEff:\t00000000a80405fb$/m);
    expect((await container.run("mount -t tmpfs none /tmp")).exitCode).not.toBe(0);
    expect((await container.run("unshare --user true")).exitCode).not.toBe(0);
  });

  test("keeps what it writes in memory, and leaves the directory as it was", async () => {
    const rootfs = makeRootfs();
    writeFileSync(join(rootfs, "etc/given"), "by the host\n");
    const volumes = [{ source: "/usr", target: "/usr", readonly: true }];
    await using container = await boot({ rootfs, volumes });
    const { stdout } = await container.run(
      "cat /etc/given; stat -c %u /etc/given; echo x > /etc/given; rm -r /root; ls /",
    );
    expect(stdout).toContain("by the host\n0\n");
    expect(stdout).not.toContain("root\n");
    expect(readFileSync(join(rootfs, "etc/given"), "utf8")).toBe("by the host\n");
    expect(existsSync(join(rootfs, "root"))).toBe(true);
  });

  test("has no mount of the host in its namespace, whoever joins it", async () => {
    await using container = await startContainer();
    const points = readFileSync(`/proc/${String(container.pid)}/mountinfo`, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "");
    const own = /^\/$|^\/(proc|dev|sys|usr)(\/|$)|^\/etc\/host(s|name)$/;
    expect(points.filter((point) => !own.test(point))).toEqual([]);
    expect(points.filter((point) => point === "/")).toHaveLength(1);
    // The first process and one that joined stand in the same root.
    const { stdout } = await container.run("stat -c '%d %i' / /proc/1/root/");
    const [joined, first] = stdout.trimEnd().split("\n");
    expect(joined).toBe(first);
  });

  test("writes to the directory where that is asked for, as the directory's owner", async () => {
    const rootfs = makeRootfs();
    const volumes = [{ source: "/usr", target: "/usr", readonly: true }];
    await using container = await boot({ rootfs, volumes }, { writes: "directory" });
    expect(await container.run("echo kept > /etc/made")).toMatchObject({ exitCode: 0 });
    expect(readFileSync(join(rootfs, "etc/made"), "utf8")).toBe("kept\n");
    await using other = await boot({ rootfs, volumes }, { writes: "none" });
    expect((await other.run("cat /etc/made; echo > /etc/made")).stdout).toBe("kept\n");
    expect(readFileSync(join(rootfs, "etc/made"), "utf8")).toBe("kept\n");
  });

  test("sees volumes past its root, and cannot write to one that is only to be read", async () => {
    const directory = mkdtempSync(join(tmpdir(), "terrarium-volume-"));
    writeFileSync(join(directory, "file"), "shared\n");
    const volumes = [{ source: directory, target: "/data", readonly: true }];
    await using container = await startContainer({ volumes });
    const { stdout, exitCode } = await container.run("cat /data/file; echo > /data/file");
    rmSync(directory, { recursive: true });
    expect([stdout, exitCode === 0]).toEqual(["shared\n", false]);
  });

  test("is copied to and from as its own user would, or as another", async () => {
    await using container = await startContainer();
    await container.copyIn("/tmp/in", "x");
    expect((await container.run("stat -c %u /tmp/in")).stdout).toBe("0\n");
    await expect(container.copyIn("/proc/version", "x")).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    // A link out of the container leads to the container's own file.
    await container.run("ln -s ../../../../../../etc/passwd /tmp/link; chmod 600 /tmp/in");
    await expect(container.copyOut("/tmp/link")).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    if (!isRoot) return;
    const user = { uid: 33, gid: 33 };
    await expect(container.copyOut("/tmp/in", { user })).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    await container.run("chmod 1777 /tmp");
    await container.copyIn("/tmp/theirs", "x", { user });
    expect((await container.run("stat -c '%u %g' /tmp/theirs")).stdout).toBe("33 33\n");
  });

  test("is asked to end before it is killed, where there is grace", async () => {
    const command = ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"];
    const container = await startContainer({ command });
    await container.console.waitFor("up", { timeout: "10s" });
    const goodbye = container.console.waitFor("bye", { timeout: "10s" });
    await container.stop({ grace: "20s" });
    await goodbye;
    // The first process of a container ignores what it has no handler for.
    const deaf = await startContainer({ command: ["sleep", "1000"] });
    const begun = performance.now();
    await deaf.stop({ grace: "300ms" });
    expect(performance.now() - begun).toBeGreaterThan(290);
  });

  test("is limited, or refused by name where the host cannot", async () => {
    const container = await startContainer({ memory: "32MiB", pidsLimit: 20, cpus: 0.5 }).catch((error: unknown) => {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(CONTROLLER_MISSING|CGROUP_REFUSED)$/) as string });
      process.stderr.write(`Limits are not tried: ${(error as Error).message}\n`);
      return undefined;
    });
    if (container === undefined) return;
    const greedy = await container.run("a=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#a}");
    expect(greedy.signal ?? greedy.exitCode).toBeOneOf(["SIGKILL", 137]);
    const stats = await container.stats();
    expect(stats.oomKills).toBeGreaterThan(0);
    expect(stats.tasks).toBeGreaterThan(0);
    expect(stats.memoryBytes).toBeLessThanOrEqual(32 << 20);
    await container.stop();
  });

  test("tells when it has run out of memory", async () => {
    const container = await startContainer({ memory: "32MiB" }).catch((error: unknown) => {
      process.stderr.write(`Running out of memory is not tried: ${(error as Error).message}\n`);
      return undefined;
    });
    if (container === undefined) return;
    let times = 0;
    const listening = container.onOom(() => (times += 1));
    await container.run("true");
    expect(times).toBe(0);
    await container.run("a=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#a}");
    await expect.poll(() => times, { timeout: 5_000 }).toBeGreaterThan(0);
    listening[Symbol.dispose]();
    await container.stop();
  });

  test("has a small first process where that is asked for, which reaps and hands signals on", async () => {
    const handlers = "trap 'echo told; exit 7' TERM; echo up; while :; do sleep 0.05; done";
    const container = await startContainer({ init: true, command: ["sh", "-c", handlers], terminal: false });
    await container.console.waitFor("up", { timeout: "10s" });
    // A process whose parent has gone, and which then ends.
    await container.run("sh -c '(sleep 0.2; exit 3) &'");
    const zombies = async (): Promise<string> => (await container.run("cat /proc/[0-9]*/stat | grep -c ' Z '")).stdout;
    await expect.poll(zombies, { timeout: 5_000 }).toBe("0\n");
    const { stdout } = await container.run("readlink /proc/1/exe; tr '\\0' ' ' < /proc/2/cmdline; cat /proc/1/environ");
    expect(stdout).toBe(`/memfd:terrarium-container (deleted)\nsh -c ${handlers} `);
    // It is sealed: what is written there would be the runtime's.
    expect((await container.run("echo > /proc/1/exe")).exitCode).not.toBe(0);
    const goodbye = container.console.waitFor("told", { timeout: "10s" });
    process.kill(container.pid, "SIGTERM");
    await goodbye;
    expect(await container.exited).toMatchObject({ exitCode: 7 });
    // At a terminal the program alone is in the foreground.
    await using shell = await startContainer({ init: true, command: ["sh", "-c", "cat; echo status $?; read x"] });
    await shell.console.write("heard\n");
    await shell.console.waitFor("heard\r\nheard", { timeout: "10s" });
    await shell.console.write("\x03");
    expect(await shell.exited).toMatchObject({ exitCode: 130 });
    await expect(startContainer({ init: true, command: ["/no/program"] })).rejects.toMatchObject({
      code: "PROGRAM_UNUSABLE",
    });
  });

  test.each([
    [{ rootfs: "/no/where" }, "ROOTFS_UNUSABLE"],
    [{ rootfs: "" }, "OPTION_INVALID"],
    [{ command: ["/no/program"] }, "PROGRAM_UNUSABLE"],
    [{ command: [] }, "OPTION_INVALID"],
    [{ cwd: "etc" }, "OPTION_INVALID"],
    [{ env: { "A=B": "c" } }, "OPTION_INVALID"],
    [{ cpus: -1 }, "OPTION_INVALID"],
    [{ volumes: [{ source: "/no/where", target: "/x" }] }, "MOUNT_FAILED"],
  ])("with %j is refused, by the code %s", async (wrong, code) => {
    const before = traces();
    const volumes = [{ source: "/usr", target: "/usr", readonly: true }];
    const error: unknown = await boot({ rootfs: makeRootfs(), volumes, ...wrong }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(MachineError);
    expect(error).toMatchObject({ code });
    await expectNothingNew(before);
  });

  test("leaves nothing behind", async () => {
    const before = traces();
    const container = await startContainer();
    await container.run("sleep 100 & sleep 100 & mkdir /tmp/a; true");
    if (container.capabilities.pause) await container.pause();
    await container.stop();
    await expectNothingNew(before);
    expect(existsSync(`/proc/${String(container.pid)}`)).toBe(false);
  });

  test("goes down with the Node process that made it, even when that is killed", async () => {
    const before = traces();
    const script = `
      import { boot } from "@terrarium/container";
      const usr = { source: "/usr", target: "/usr", readonly: true };
      const container = await boot({ rootfs: ${JSON.stringify(makeRootfs())}, volumes: [usr] });
      await container.run("sleep 1000 & true");
      void container.run("sleep 1000");
      await container.run("true");
      console.log(container.pid);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const pid = line.toString().trim();
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    child.kill("SIGKILL");
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 10_000 }).toBe(false);
    await expectNothingNew(before);
  });
});

test("the codes of failures are those of the runtime", () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const source = read("emulator-core/crates/container/src/error.rs");
  const variants = [...source.matchAll(/^ {4}([A-Z]\w+) \{ ([\w:, ]+) \},$/gm)].map(([, name, fields]) => [
    (name ?? "").replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase(),
    (fields ?? "")
      .split(", ")
      .map((field) => (field.split(":")[0] ?? "").replace(/_(\w)/g, (_, c: string) => c.toUpperCase())),
  ]);
  const table = read("packages/machine/src/container-codes.ts");
  const codes = [...table.matchAll(/^ {2}readonly ([A-Z_]+): \{ (.*) \};$/gm)].map(([, code, fields]) => [
    code,
    [...(fields ?? "").matchAll(/readonly (\w+):/g)].map(([, name]) => name),
  ]);
  // These two every kind of guest has.
  const own = variants.filter(([code]) => code !== "OPTION_INVALID" && code !== "INTERNAL");
  expect(codes).toEqual(own);
});

/** Containers whose files are on a file system that does not answer: nobody else waits for them, and nothing stays. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TERRARIUM } from "../guest/terrarium.js";
import { forbidden, groups, makeRootfs } from "./containers.js";
import { SERVER } from "./dead.js";
import { archive, makeDirectory, ROOT, writeLayout } from "./images.js";

const NOBODY = 65_534;
const MARK = "TERRARIUM_TEST_MARK";

/** Why there is no such file system here. */
const missing = ((): string | undefined => {
  if (process.geteuid?.() !== 0) return "only root mounts file systems";
  if (!existsSync("/dev/fuse")) return "there is no /dev/fuse";
  return spawnSync("python3", ["--version"]).error === undefined ? undefined : "there is no python3";
})();

if (missing !== undefined) process.stderr.write(`File systems that do not answer are not tried: ${missing}\n`);

/** Processes with that mark in their environment. */
function marked(mark: string): string[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return numbers.filter((number) => {
    try {
      return readFileSync(`/proc/${number}/environ`, "utf8").includes(`${MARK}=${mark}`);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

/** Whether a group is of a container whose maker lives: somebody else's, where all of ours have ended. */
function isOthers(group: string): boolean {
  const maker = /[@~](\d+)-/.exec(group)?.[1];
  return maker !== undefined && existsSync(`/proc/${maker}`);
}

/** Begins a script that runs in a mount namespace of its own: `dead` is where a file system answers until `die()`. */
function prelude(dead: string): string {
  return `
    import { spawn } from "node:child_process";
    import { once } from "node:events";
    const dead = ${JSON.stringify(dead)};
    const server = spawn("python3", ["-c", ${JSON.stringify(SERVER)}, dead], {
      detached: true, stdio: ["ignore", "pipe", "ignore"],
    });
    await once(server.stdout, "data");
    server.unref();
    server.stdout.unref();
    // Which only root may do, also where this has become another user by then.
    const executioner = spawn("sh", ["-c", "read now; kill -USR1 " + server.pid], { stdio: ["pipe", "ignore", "inherit"] });
    const die = async () => {
      executioner.stdin.end("now\\n");
      await once(executioner, "exit");
    };`;
}

/** Containers of the package, made by user `uid`. */
function packageScript(dead: string, rootfs: string, layer: string, uid: number): string {
  return `${prelude(dead)}
    import { boot } from "@terrarium/container";
    process.setgroups([]);
    process.setgid(${uid});
    process.setuid(${uid});

    const [rootfs, layer] = ${JSON.stringify([rootfs, layer])};
    const usr = { source: "/usr", target: "/usr", readonly: true };
    const start = (options = {}) => boot({ rootfs, terminal: false, command: ["sleep", "1000"], volumes: [usr], ...options });
    const code = (promise) => promise.then(() => "made", (error) => error.code + (error.message.includes(dead) ? " named" : ""));
    const live = await start();
    // Mounted while it still answers. Root's volumes have their ids mapped, which this file system does not do.
    const tainted = ${uid} === 0 ? undefined : await start({ volumes: [usr, { source: dead, target: "/tmp" }] });
    await die();

    const setupTimeout = "1500ms";
    const controller = new AbortController();
    const hanging = [
      start({ rootfs: dead + "/root", setupTimeout }),
      start({ volumes: [usr, { source: dead + "/data", target: "/tmp" }], setupTimeout }),
      start({ writes: { layer: dead + "/layer" }, setupTimeout }),
      start({ volumes: [usr, { source: dead + "/data", target: "/tmp" }], signal: controller.signal }),
      tainted?.run("true", { cwd: "/tmp/sub", timeout: "1500ms" }),
    ].filter((one) => one !== undefined).map(code);
    tainted?.pause().catch(() => undefined);
    let settled = 0;
    for (const one of hanging) one.then(() => (settled += 1));

    // Meanwhile everybody else is served.
    const said = (await live.run("echo alive")).stdout;
    const other = await start({ writes: { layer } });
    await other.run("true");
    await other.stop();
    const early = settled;
    controller.abort(new Error("enough"));
    // Which takes until the file system is gone.
    void tainted?.stop();
    const codes = (await Promise.all(hanging)).sort();
    const after = (await live.run("echo alive")).stdout;
    console.log(JSON.stringify({ server: server.pid, said, early, codes, after }));
    process.exit();`;
}

/** A container of the command line's, of the image in `layout`. */
function commandScript(dead: string, layout: string): string {
  return `${prelude(dead)}
    import { text } from "node:stream/consumers";
    await die();
    const terrarium = async (...words) => {
      const child = spawn(process.execPath, [${JSON.stringify(TERRARIUM)}, ...words]);
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      return stdout + stderr;
    };
    await terrarium("load", "-i", "oci:${layout}");
    const running = terrarium("run", "--name", "box", "-v", dead + "/data:/data", "test:1", "true");
    while (!(await terrarium("ps", "-a")).includes("creating"));
    const early = await terrarium("rm", "box");
    const stopped = await terrarium("stop", "box");
    const told = await running;
    console.log(JSON.stringify({ server: server.pid, early, stopped, told, left: await terrarium("ps", "-aq") }));
    process.exit();`;
}

/** Runs such a script; what it prints. */
function runApart(script: string, env: Readonly<Record<string, string>>): { readonly server: number } {
  const { stdout, stderr } = spawnSync(
    "unshare",
    ["--mount", process.execPath, "--input-type=module", "--eval", script],
    { cwd: import.meta.dirname, encoding: "utf8", env: { ...process.env, ...env }, timeout: 30_000 },
  );
  expect(stderr).toBe("");
  return JSON.parse(stdout) as { readonly server: number };
}

/** Whoever asked waits in the kernel until it is answered, and with it the helper, to clear away behind it. */
async function expectNothingLeft(server: number, mark: string, before: readonly string[]): Promise<void> {
  process.kill(server, "SIGKILL");
  await expect.poll(() => marked(mark), { timeout: 10_000 }).toEqual([]);
  const left = (): string[] => groups().filter((group) => !before.includes(group) && !isOthers(group));
  await expect.poll(left, { timeout: 10_000 }).toEqual([]);
}

describe.skipIf(forbidden !== undefined || missing !== undefined)("a set-up that hangs", () => {
  test.each([
    ["root", 0, ["ABORTED"]],
    ["a user without rights", NOBODY, ["ABORTED", "TIMEOUT"]],
  ])("keeps nobody waiting and leaves nothing, for %s", async (_, uid, more) => {
    const [before, mark] = [groups(), randomUUID()];
    const [dead, rootfs, layer] = [makeDirectory(), makeRootfs(), makeDirectory()];
    for (const directory of [dead, rootfs, layer]) spawnSync("chown", ["-R", String(uid), directory]);
    const { server, ...seen } = runApart(packageScript(dead, rootfs, layer, uid), { [MARK]: mark });
    const codes = [...more, ...Array<string>(3).fill("TIMEOUT named")].sort();
    expect(seen).toEqual({ said: "alive\n", early: 0, codes, after: "alive\n" });
    await expectNothingLeft(server, mark, before);
  });

  test("is a container that is being made for the command line, and can be stopped", async () => {
    const [before, mark] = [groups(), randomUUID()];
    const layout = writeLayout({ layers: [await archive(...ROOT)] });
    const env = { [MARK]: mark, TERRARIUM_STORE: makeDirectory() };
    const { server, ...seen } = runApart(commandScript(makeDirectory(), layout), env);
    expect(seen).toEqual({
      early: expect.stringContaining("is creating") as string,
      stopped: "box\n",
      told: expect.stringContaining("called it off") as string,
      left: "",
    });
    await expectNothingLeft(server, mark, before);
  });
});

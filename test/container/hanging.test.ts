/** Containers whose files are on a file system that does not answer: nobody else waits for them, and nothing stays. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { forbidden, makeRootfs } from "./containers.js";
import { SERVER } from "./dead.js";
import { makeDirectory } from "./images.js";

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

/** Groups of containers, in every hierarchy. */
function groups(): string[] {
  return spawnSync("find", ["/sys/fs/cgroup", "-path", "*/terrarium/*"], { encoding: "utf8" }).stdout.split("\n");
}

/** What happens in a mount namespace of its own, as user `uid`; what it prints is judged below. */
function script(directories: { readonly dead: string; readonly rootfs: string; readonly layer: string }, uid: number): string {
  return `
    import { spawn } from "node:child_process";
    import { once } from "node:events";
    import { boot } from "@terrarium/container";
    const { dead, rootfs, layer } = ${JSON.stringify(directories)};
    const server = spawn("python3", ["-c", ${JSON.stringify(SERVER)}, dead], {
      detached: true, stdio: ["ignore", "pipe", "ignore"],
    });
    await once(server.stdout, "data");
    server.unref();
    server.stdout.unref();
    // What only root may do, when it is time.
    const executioner = spawn("sh", ["-c", "read now; kill -USR1 " + server.pid], { stdio: ["pipe", "ignore", "inherit"] });
    process.setgroups([]);
    process.setgid(${uid});
    process.setuid(${uid});

    const usr = { source: "/usr", target: "/usr", readonly: true };
    const start = (options = {}) => boot({ rootfs, terminal: false, command: ["sleep", "1000"], volumes: [usr], ...options });
    const code = (promise) => promise.then(() => "made", (error) => error.code + (error.message.includes(dead) ? " named" : ""));
    const live = await start();
    // Mounted while it still answers. Root's volumes have their ids mapped, which this file system does not do.
    const tainted = ${uid} === 0 ? undefined : await start({ volumes: [usr, { source: dead, target: "/tmp" }] });
    executioner.stdin.end("now\\n");
    await once(executioner, "exit");

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

test.skipIf(forbidden !== undefined || missing !== undefined).each([
  ["root", 0, ["ABORTED"]],
  ["a user without rights", NOBODY, ["ABORTED", "TIMEOUT"]],
])("a set-up of %s that hangs keeps nobody waiting and leaves nothing", async (_, uid, more) => {
  const before = groups();
  const mark = randomUUID();
  const directories = { dead: makeDirectory(), rootfs: makeRootfs(), layer: makeDirectory() };
  for (const directory of Object.values(directories)) spawnSync("chown", ["-R", String(uid), directory]);
  const { stdout, stderr } = spawnSync(
    "unshare",
    ["--mount", process.execPath, "--input-type=module", "--eval", script(directories, uid)],
    { cwd: import.meta.dirname, encoding: "utf8", env: { ...process.env, [MARK]: mark }, timeout: 30_000 },
  );
  expect(stderr).toBe("");
  const { server, ...seen } = JSON.parse(stdout) as { readonly server: number };
  const named = "TIMEOUT named";
  expect(seen).toEqual({ said: "alive\n", early: 0, codes: [...more, named, named, named].sort(), after: "alive\n" });
  // Whoever asked waits in the kernel until it is answered, and with it the helper, to clear away behind it.
  process.kill(server, "SIGKILL");
  await expect.poll(() => marked(mark), { timeout: 10_000 }).toEqual([]);
  await expect.poll(() => groups().filter((group) => !before.includes(group)), { timeout: 10_000 }).toEqual([]);
});

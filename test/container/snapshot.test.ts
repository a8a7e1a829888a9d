/** Snapshots of containers: their files, judged by what Debian's find, tar and getcap say in them. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { boot, oci, type Container, type FilesSnapshot } from "@terrarium/container";
import { boot as bootMachine } from "@terrarium/machine";
import { describe, expect, test } from "vitest";
import { collect } from "../../packages/container/dist/snapshot.js";
import { helper } from "../../packages/container/dist/helper.js";
import { forbidden, makeRootfs } from "./containers.js";
import { archive, makeDirectory, ROOT, USR, writeLayout } from "./images.js";
import { asNobody, NOBODY } from "./nobody.js";

const isRoot = process.geteuid?.() === 0;
const ASLEEP = { volumes: [USR], command: ["sleep", "1000"] };

/** A root with something to change, to delete and to replace. */
function makeGarden(): string {
  const rootfs = makeRootfs();
  mkdirSync(join(rootfs, "garden/bed/row"), { recursive: true });
  mkdirSync(join(rootfs, "garden/shed"));
  for (const name of ["keep", "change", "delete", "replace", "bed/row/old", "shed/old"]) {
    writeFileSync(join(rootfs, "garden", name), `${name} of the root\n`);
  }
  return rootfs;
}

/** What changes that; the numbers are those of setxattr(2) on x86-64. */
const CHANGES = `set -e; cd /garden
  echo more >> change; rm delete; rm replace; mkdir replace; echo in > replace/in
  rm -r bed; mkdir bed; echo new > bed/new; rm -r shed; ln -s ../garden/keep shed
  echo new > new; chmod 4711 new; ln new again; mkfifo -m 620 pipe; mkdir -m 1777 sticky
  ln -s /nowhere link; long="long$(printf %0120d 7)/$(printf %0120d 8)"; mkdir -p $long; echo deep > $long/deep
  truncate -s 5M holes; printf end >> holes; touch -d @1000000000 new holes sticky
  perl -e '($f, $n, $v) = qw(/garden/new user.note sharp); syscall(188, $f, $n, $v, 5, 0) == 0 or die "setxattr: $!"'`;

/** For who has more ids than one. */
const OWNERS = "; chown 1000:1001 pipe; chown -h 5:6 link; chown 1000:1001 sticky; setcap cap_net_raw+ep again";

/** All that is known of the files, but for what is the file system's; nothing in it is this process's. */
const LISTING = `cd /; find . -xdev -mindepth 1 | LC_ALL=C sort
  find garden -type d -printf '%p %y %#m %U:%G %n %Ts\\n' -o -printf '%p %y %#m %U:%G %n %s %Ts %l\\n' | LC_ALL=C sort
  tar c --xattrs --xattrs-include='*' --format=posix --sort=name --numeric-owner garden \\
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=mtime,delete=atime,delete=ctime | sha256sum
  getcap -r garden | LC_ALL=C sort; [ $(stat -c %b garden/holes) -lt 100 ] && echo holes`;

async function said(container: Container, command: string): Promise<string> {
  const { stdout, stderr, exitCode } = await container.run(command);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return stdout;
}

/** Where unpacked snapshots, and nothing else, would be. */
function left(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("terrarium-snapshot-"));
}

/** What the helper has open. */
function descriptors(): string[] {
  const directory = `/proc/${String(helper().pid)}/fd`;
  return readdirSync(directory)
    .map((name) => readlinkSync(join(directory, name)).replace(/\d+/g, "N"))
    .sort();
}

async function errorOf(booted: Promise<AsyncDisposable>): Promise<unknown> {
  try {
    await (await booted)[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.skipIf(forbidden !== undefined)("a container's snapshot", () => {
  test.each(["memory", "a layer"])("is what it has written, kept in %s, in as many twins as wanted", async (kept) => {
    const layer = makeDirectory();
    const writes = kept === "memory" ? "memory" : { layer };
    await using container = await boot({ rootfs: makeGarden(), ...ASLEEP, writes });
    expect(container.capabilities.snapshot).toBe("files");
    await said(container, CHANGES + (isRoot ? OWNERS : ""));
    const before = await said(container, LISTING);
    expect(before).toContain(isRoot ? "garden/pipe p 0620 1000:1001" : "garden/pipe p 0620 0:0");
    const snapshot = await container.snapshot();
    expect(snapshot.kind).toBe("terrarium-files");
    // The original goes on.
    await said(container, "echo later > /garden/later; rm /garden/new");

    const { port1, port2 } = new MessageChannel();
    port1.postMessage(snapshot);
    const received = receiveMessageOnPort(port2)?.message as FilesSnapshot;
    port1.close();
    await using one = await boot(structuredClone(snapshot));
    await using two = await boot(received, { init: true });
    expect(await said(one, LISTING)).toBe(before);
    await said(one, "echo one > /garden/mine; rm -r /garden/bed");
    expect(await said(two, LISTING)).toBe(before);
    expect(await said(container, "ls /garden/mine /garden/new 2>/dev/null | wc -l; cat /garden/later")).toBe(
      "0\nlater\n",
    );
    // A twin's has all of it, from the root on.
    await using third = await boot(await one.snapshot());
    expect(await said(third, "cat /garden/mine /garden/replace/in; cd /garden; ls -d bed delete 2>&1 | wc -l")).toBe(
      "one\nin\n2\n",
    );
    expect(left()).toEqual([]);
  });

  test("goes to a layer that is new, and to no other", async () => {
    const rootfs = makeGarden();
    await using container = await boot({ rootfs, ...ASLEEP });
    await said(container, CHANGES);
    const before = await said(container, LISTING);
    const snapshot = await container.snapshot();
    const layer = join(makeDirectory(), "layer");
    {
      await using twin = await boot(snapshot, { writes: { layer } });
      expect(await said(twin, LISTING)).toBe(before);
    }
    await using again = await boot({ rootfs, ...ASLEEP, writes: { layer } });
    expect(await said(again, LISTING)).toBe(before);
    await again.stop();
    expect(await errorOf(boot(snapshot, { writes: { layer } }))).toMatchObject({ code: "OPTION_INVALID" });
    expect(existsSync(join(layer, "upper/garden/new"))).toBe(true);
    expect(await errorOf(boot(snapshot, { writes: "directory" }))).toMatchObject({ code: "OPTION_INVALID" });
    await using readonly = await boot(snapshot, { writes: "none" });
    expect(await said(readonly, LISTING)).toBe(before);
    expect((await readonly.run("touch /garden/x")).stderr).toContain("Read-only file system");
    await using thawed = await boot(await readonly.snapshot(), { writes: "memory" });
    expect(await said(thawed, LISTING)).toBe(before);
  });

  test("is of an image that is still the same", async () => {
    const layers = [await archive(...ROOT, [{ name: "below" }, "below\n"])];
    const layout = writeLayout({ layers, config: { Cmd: ["sleep", "1000"], User: "gardener" } });
    const source = oci(`oci:${layout}`, { store: makeDirectory() });
    await using container = await boot(source, {
      volumes: [USR],
      user: isRoot ? "gardener" : "root",
      writes: "memory",
    });
    await container.unpack("/", await archive([{ name: "tmp/note" }, "note\n"]), { user: "root" });
    const snapshot = await container.snapshot();
    await using twin = await boot(snapshot);
    expect(await said(twin, "cat /tmp/note /below; id -un")).toBe(`note\nbelow\n${isRoot ? "gardener" : "root"}\n`);
    const other = writeLayout({ layers: [await archive(...ROOT)], config: { Cmd: ["sleep", "1000"] } });
    const error = await errorOf(boot({ ...snapshot, source: { ...snapshot.source, image: `oci:${other}` } }));
    expect(error).toMatchObject({ code: "SNAPSHOT_DAMAGED" });
    expect(String(error)).toContain("other layers");
  });

  test("is taken of a moment, and leaves a paused container paused", async ({ skip }) => {
    const script = "i=0; while :; do i=$((i+1)); echo $i > /a; echo $i > /b; done";
    await using container = await boot({ rootfs: makeRootfs(), volumes: [USR], command: ["sh", "-c", script] });
    if (!container.capabilities.pause) {
      process.stderr.write("A snapshot of a moment is not tried: this container cannot stand still.\n");
      skip();
    }
    await container.run("until [ -e /b ]; do sleep 0.01; done");
    for (let turn = 0; turn < 5; turn += 1) {
      const before = container.run("echo before");
      const [snapshot, ran] = await Promise.all([container.snapshot(), container.run("echo meanwhile")]);
      expect([(await before).stdout, ran.stdout]).toEqual(["before\n", "meanwhile\n"]);
      await using twin = await boot(snapshot, { command: ["sleep", "1000"] });
      const [a = "", b = ""] = (await said(twin, "echo $(cat /a): $(cat /b):")).split(":");
      // Between the two, or while one of them is being written.
      if (a.trim() !== "" && b.trim() !== "") expect([Number(b), Number(b) + 1]).toContain(Number(a));
    }
    await container.pause();
    const files = [await container.snapshot(), await container.snapshot()].map((snapshot) =>
      Buffer.from(snapshot.files),
    );
    expect(files[0]?.equals(files[1] ?? Buffer.of())).toBe(true);
    await expect(container.run("true")).rejects.toMatchObject({ code: "CONTAINER_STATUS" });
    await container.resume();
    expect((await container.run("echo on")).stdout).toBe("on\n");
  });

  test("leaves nothing behind, and is open to nobody in the container", async () => {
    const rootfs = makeGarden();
    const look = (): unknown[] => [readFileSync("/proc/self/mountinfo", "utf8"), descriptors(), left()];
    {
      await using first = await boot({ rootfs, ...ASLEEP });
      await first.snapshot();
    }
    const before = look();
    {
      await using container = await boot({ rootfs, ...ASLEEP });
      const open = "for one in 1 self; do ls -l /proc/$one/fd | sed -n 's/.* -> //p'; done";
      const strange = async (guest: Container): Promise<string[]> =>
        (await said(guest, open)).split("\n").filter((line) => /^\/(?!proc\/|dev\/)/.test(line));
      // A program that has just been started still reads its libraries.
      await expect.poll(() => strange(container)).toEqual([]);
      await said(container, CHANGES);
      await using twin = await boot(await container.snapshot(), { init: true });
      await expect.poll(() => strange(twin)).toEqual([]);
      const copy = { files: Buffer.from("not an archive".repeat(50)), length: 700 };
      expect(await errorOf(boot({ ...(await twin.snapshot()), ...copy }))).toMatchObject({ code: "SNAPSHOT_DAMAGED" });
    }
    expect(look()).toEqual(before);
  });

  test("ends with its container", async () => {
    await using container = await boot({ rootfs: makeGarden(), ...ASLEEP });
    await said(container, "head -c 300M /dev/zero > /garden/large");
    const path = `/proc/${String(helper().pid)}/task/${String(helper().pid)}/children`;
    const children = (): string[] => readFileSync(path, "utf8").trim().split(" ");
    const before = [descriptors(), children()];
    const taking = container.snapshot();
    const refused = expect(taking).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await container.stop();
    await refused;
    const others = before[1]?.filter((pid) => pid !== String(container.pid));
    await expect.poll(children, { timeout: 5_000 }).toEqual(others);
    expect(descriptors().length).toBeLessThan(before[0]?.length ?? 0);
  });

  test("that is wrong is refused, and nothing outside is written", async () => {
    await using container = await boot({ rootfs: makeGarden(), ...ASLEEP });
    await said(container, CHANGES);
    const snapshot = await container.snapshot();
    const attempt = async (changed: object): Promise<unknown> =>
      await errorOf(boot({ ...snapshot, ...changed } as FilesSnapshot));
    const damaged = { code: "SNAPSHOT_DAMAGED" };
    const outside = join(makeDirectory(), "escaped");
    for (const name of [`../../../../../..${outside}`, outside]) {
      const files = await archive([{ name }, "escaped"]);
      await attempt({ files, length: files.length });
    }
    const through = await archive(
      [{ name: "door", type: "symlink", linkname: join(outside, "..") }],
      [{ name: "door/escaped" }, "escaped"],
    );
    expect(await attempt({ files: through, length: through.length })).toMatchObject(damaged);
    expect(existsSync(outside)).toBe(false);
    for (const share of [0.1, 0.5, 0.9]) {
      const files = snapshot.files.slice(0, Math.floor(snapshot.files.length * share));
      expect(await attempt({ files })).toMatchObject(damaged);
      // Who says another length, too, gets what is there.
      const length = files.length - (files.length % 512 === 0 ? 1 : 0);
      expect(await attempt({ files: files.slice(0, length), length })).toMatchObject(damaged);
    }
    for (const changed of [
      { files: undefined },
      { files: "text" },
      { source: null },
      { options: 7 },
      { source: { image: 7 } },
      { options: { volumes: 7 } },
      { options: { command: 7 } },
    ]) {
      expect(await attempt(changed), JSON.stringify(changed)).toMatchObject(damaged);
    }
    expect(await attempt({ kind: "terrarium-snapshot" })).toMatchObject({ code: "OPTION_INVALID" });
    expect(await errorOf(bootMachine(snapshot as never))).toMatchObject({ code: "OPTION_INVALID" });
    expect(await errorOf(boot(snapshot, { isolation: "machine" }))).toMatchObject({ code: "UNSUPPORTED" });
    await container.stop();
    await expect(container.snapshot()).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    expect(left()).toEqual([]);
  });

  test("is of what is kept apart, or of nothing where nothing is written", async () => {
    const rootfs = makeGarden();
    await using own = await boot({ rootfs, ...ASLEEP, writes: "directory" });
    expect(own.capabilities.snapshot).toBe(false);
    await expect(own.snapshot()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await own.stop();
    await using readonly = await boot({ rootfs, ...ASLEEP, writes: "none" });
    const snapshot = await readonly.snapshot();
    expect(snapshot.files).toHaveLength(0);
    await using twin = await boot(snapshot);
    expect((await twin.run("touch /x; cat /garden/keep")).stdout).toBe("keep of the root\n");
  });

  test("has an end", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(new Uint8Array(1 << 20));
    }
    await expect(collect(endless(), 1 << 24)).rejects.toMatchObject({ code: "ARCHIVE_TOO_LARGE" });
  });

  test.skipIf(!isRoot)("is had by a user without rights, too", () => {
    const rootfs = makeGarden();
    // Who has one id alone may not change what is others'.
    spawnSync("chown", ["-R", `${NOBODY}:${NOBODY}`, rootfs]);
    const told = asNobody(`
      await using container = await boot({ rootfs: ${JSON.stringify(rootfs)}, volumes, command: ["sleep", "1000"] });
      const run = async (guest, command) => (await guest.run(command)).stdout;
      const failed = (await container.run(${JSON.stringify(CHANGES)})).stderr;
      const before = await run(container, ${JSON.stringify(LISTING)});
      const snapshot = structuredClone(await container.snapshot());
      await using twin = await boot(snapshot);
      await run(twin, "rm -r /garden/*");
      await using other = await boot(snapshot);
      console.log(JSON.stringify({ failed, before, after: await run(other, ${JSON.stringify(LISTING)}) }));
    `) as Record<"failed" | "before" | "after", string>;
    expect(told.failed).toBe("");
    expect(told.before).toContain("garden/pipe p 0620 0:0");
    expect(told.after).toBe(told.before);
  });
});

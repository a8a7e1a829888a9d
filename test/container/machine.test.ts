import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { boot, Images, oci, type ContainerOptions } from "@terrarium/container";
import { agentFile } from "@terrarium/images";
import { unpackCpio } from "@terrarium/images/cpio";
import cloud from "@terrarium/images/debian-cloud";
import { boot as restore, type Exit, type Guest, type MachineError } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { copyContract } from "../contract/copy.js";
import { runContract } from "../contract/run.js";
import { standContract } from "../contract/stand.js";
import { terrarium } from "../guest/terrarium.js";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, writeLayout, type Handmade, type Member } from "./images.js";

/** Debian's static busybox, out of the guest image that the machine's kernel is of; undefined where there is none. */
const busybox = ((): Buffer | undefined => {
  try {
    readFileSync(agentFile("amd64"));
    const entries = unpackCpio(gunzipSync(readFileSync(fileURLToPath(cloud.initrd ?? ""))));
    const found = entries.find(({ path }) => path === "usr/bin/busybox");
    return found?.type === "file" ? Buffer.from(found.data) : undefined;
  } catch (error) {
    process.stderr.write(`Tests of images as machines are skipped: ${(error as Error).message}\n`);
    return undefined;
  }
})();

const PASSWD = "root:x:0:0::/root:/bin/sh\ngardener:x:1000:1001::/garden:/bin/sh\n";
const GROUP = "root:x:0:\nplants:x:1001:\nbeds:x:1002:gardener\n";
const KINDS = ["container", "machine"] as const;
const MINUTES = 60_000;

const ROOT: readonly Member[] = [
  [{ name: "bin", type: "directory" }],
  [{ name: "bin/busybox", mode: 0o755 }, busybox ?? ""],
  ...["sh", "ls", "cat", "id", "stat", "find", "sleep", "sort"].map((name): Member => [
    { name: `bin/${name}`, type: "symlink", linkname: "busybox" },
  ]),
  [{ name: "etc", type: "directory" }],
  [{ name: "etc/passwd" }, PASSWD],
  [{ name: "etc/group" }, GROUP],
];

/** A layout of these layers, as a source for `boot()`. */
async function image(layers: readonly (readonly Member[])[], rest: Partial<Handmade> = {}): Promise<string> {
  const packed = await Promise.all(layers.map((members) => archive(...members)));
  return `oci:${writeLayout({ layers: packed, ...rest })}`;
}

/** What the program of a guest writes, and how it ends. */
async function outcome(guest: Guest): Promise<{ text: string; exit: Exit }> {
  let text = "";
  guest.console.onData((bytes) => (text += Buffer.from(bytes).toString()));
  return { exit: await guest.exited, text };
}

describe.skipIf(forbidden !== undefined || busybox === undefined)("an image as a machine", () => {
  let store: string;

  beforeAll(async () => {
    store = makeDirectory();
    const root = makeDirectory();
    for (const name of ["bin", "etc"]) mkdirSync(join(root, name));
    writeFileSync(join(root, "bin/busybox"), busybox ?? "", { mode: 0o755 });
    symlinkSync("busybox", join(root, "bin/sh"));
    writeFileSync(join(root, "etc/passwd"), PASSWD);
    writeFileSync(join(root, "etc/group"), GROUP);
    const defaults = { entrypoint: ["/bin/sh", "-c"], env: { SEED: "pea" }, workingDirectory: "/beds" };
    await (await Images.open(store)).fromDirectory(root, { name: "garden:1", defaults });
    process.env["TERRARIUM_STORE"] = store;
  });

  async function bothWays(options: ContainerOptions): Promise<{ text: string; exit: Exit }[]> {
    const outcomes = [];
    for (const isolation of KINDS) {
      await using guest = await boot(oci("garden:1", { store }), { ...options, isolation });
      outcomes.push(await outcome(guest));
    }
    return outcomes;
  }

  test(
    "runs the same command as in a container, with the same output and end",
    async () => {
      const script = "echo $SEED $HOME $PATH; busybox pwd; busybox hostname; busybox tty; cat nothing; exit 7";
      for (const terminal of [true, false]) {
        const command = [script.replace("cat", "busybox cat").replace(terminal ? "busybox tty; " : "none", "")];
        const [container, machine] = await bothWays({ command, terminal, hostname: "plot" });
        expect(machine).toEqual(container);
        expect(machine?.exit).toEqual({ reason: "exited", exitCode: 7, signal: null });
        const end = terminal ? "\r\n" : "\n";
        const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        const lines = [`pea /root ${path}`, "/beds", "plot", ...(terminal ? [] : ["not a tty"])];
        const error = "cat: can't open 'nothing': No such file or directory";
        expect(machine?.text).toBe([...lines, error].map((line) => `${line}${end}`).join(""));
      }
    },
    2 * MINUTES,
  );

  test(
    "tells of the signal that ended its program, and loses nothing of what that wrote",
    async () => {
      const command = ["busybox seq 1 3000; kill -9 $$"];
      const [container, machine] = await bothWays({ command, init: true });
      // The first process of a container with one counts the signal to an exit code.
      expect(container?.exit).toEqual({ reason: "exited", exitCode: 137, signal: null });
      expect(machine?.exit).toEqual({ reason: "exited", exitCode: null, signal: "SIGKILL" });
      expect(machine?.text).toBe(container?.text);
      expect(machine?.text.split("\r\n").slice(-2)).toEqual(["3000", ""]);
    },
    MINUTES,
  );

  test(
    "has the files that its layers leave, with their owners and modes",
    async () => {
      const owner = { uid: 1000, gid: 1001 };
      const below: Member[] = [
        [{ name: "etc/gone" }, "below\n"],
        [{ name: "etc/replaced" }, "below\n"],
        [{ name: "beds", type: "directory", mode: 0o750, ...owner }],
        [{ name: "beds/weeds" }, "below\n"],
        [{ name: "plot/old" }, "below\n"],
        [{ name: "tool", type: "directory" }],
        [{ name: "tree/branch/leaf" }, "below\n"],
      ];
      const above: Member[] = [
        [{ name: "etc/.wh.gone" }],
        [{ name: "etc/replaced", mode: 0o4711, ...owner }, "above\n"],
        [{ name: "beds", type: "directory", mode: 0o2750, ...owner }],
        [{ name: "beds/flowers" }, "above\n"],
        [{ name: "beds/.wh..wh..opq" }],
        [{ name: "beds/link", type: "link", linkname: "beds/flowers" }],
        [{ name: ".wh.plot" }],
        [{ name: "plot/new", type: "symlink", linkname: "../beds/flowers" }],
        [{ name: "tree/branch", type: "directory" }],
        [{ name: "tree/.wh.branch" }],
        // What was a directory is a file now.
        [{ name: ".wh.tool" }],
        [{ name: "tool" }, "spade\n"],
      ];
      const source = await image([[...ROOT, ...below], above]);
      const paths = "/etc/replaced /tool /beds /beds/flowers /plot /plot/new /tree /tree/branch";
      const script = `find /beds /plot /tree /tool /etc | sort | busybox grep -v 'etc/[hr]e\\?[os][s]'; stat -c '%a %u:%g %h %F %n' ${paths.replace(/\/(beds|plot|tree) /g, "")}; stat -c '%a %u:%g %n' /beds; cat /plot/new /tool`;
      for (const isolation of KINDS) {
        const command = ["sh", "-c", script];
        await using guest = await boot(oci(source, { store: makeDirectory() }), {
          command,
          terminal: false,
          isolation,
        });
        const { text } = await outcome(guest);
        expect(text.replace(/^\/etc\/(hostname|hosts)\n/gm, ""), isolation).toBe(
          "/beds\n/beds/flowers\n/beds/link\n/etc\n/etc/group\n/etc/passwd\n/etc/replaced\n/plot\n/plot/new\n/tool\n" +
            "/tree\n/tree/branch\n" +
            "4711 1000:1001 1 regular file /etc/replaced\n644 0:0 1 regular file /tool\n" +
            "644 0:0 2 regular file /beds/flowers\n777 0:0 1 symbolic link /plot/new\n" +
            "755 0:0 2 directory /tree/branch\n2750 1000:1001 /beds\nabove\nspade\n",
        );
      }
    },
    2 * MINUTES,
  );

  test(
    "runs commands beside its program, as the image's user, where and with what the program runs",
    async () => {
      const config = { User: "gardener", WorkingDir: "/beds", Env: ["SEED=pea"], Cmd: ["sleep"] };
      const source = await image([[...ROOT, [{ name: "plot", type: "character-device", devmajor: 1, devminor: 3 }]]], {
        config,
      });
      await using guest = await boot(oci(source, { store: makeDirectory() }), {
        isolation: "machine",
        command: ["sleep", "1000"],
      });
      const commands = "id -u; id -g; id -G; busybox pwd; echo $SEED $HOME; stat -c '%F %t:%T' /plot; ls -a /";
      const { stdout } = await guest.run(commands);
      // The kernel has /root in itself.
      const names = [".", "..", "beds", "bin", "dev", "etc", "plot", "proc", "root", "sys"];
      const files = ["character special file 1:3", ...names].map((line) => `${line}\n`).join("");
      expect(stdout).toBe(`1000\n1001\n1001 1002\n/beds\npea /garden\n${files}`);
      const snapshot = await guest.snapshot();
      await guest.stop();
      expect(await guest.exited).toEqual({ reason: "stopped" });
      await using again = await restore(snapshot);
      await again.run("kill $(busybox pidof sleep)").catch(() => undefined);
      expect(await again.exited).toEqual({ reason: "exited", exitCode: null, signal: "SIGTERM" });
    },
    MINUTES,
  );

  test("refuses by name what a machine does not have, and what is wrong with the image", async () => {
    const refusal = async (options: ContainerOptions, source = "garden:1"): Promise<unknown> => {
      const booting = boot(oci(source, { store }), { command: ["true"], ...options, isolation: "machine" });
      const error = await booting.then(
        () => undefined,
        (thrown: unknown) => thrown as MachineError,
      );
      return error?.code;
    };
    const missing: ContainerOptions[] = [
      { volumes: [{ source: "/tmp", target: "/tmp" }] },
      { ports: [{ container: 80 }] },
      { network: "bridge" },
      { dns: ["10.0.0.1"] },
      { cpus: 1 },
      { pidsLimit: 5 },
      { stopSignal: "SIGINT" },
      { stdin: 0 },
      { stdout: { fd: 1 } },
      { stderr: 2 },
      { writes: "none" },
      { writes: { layer: "/nowhere" } },
    ];
    for (const options of missing) expect(await refusal(options), JSON.stringify(options)).toBe("UNSUPPORTED");
    const directory = boot({ rootfs: "/" }, { isolation: "machine" as "container" });
    await expect(directory).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(await refusal({ entrypoint: ["/bin/nothing"] })).toBe("PROGRAM_UNUSABLE");
    expect(await refusal({ entrypoint: ["/etc/passwd"] })).toBe("PROGRAM_UNUSABLE");
    expect(await refusal({ user: "nobody" })).toBe("USER_UNKNOWN");
    expect(await refusal({ memory: "16MiB" })).toBe("MEMORY_TOO_SMALL");
    expect(await refusal({}, "weeds:1")).toBe("IMAGE_UNKNOWN");
    const refused = async (...members: readonly Member[]): Promise<unknown> =>
      await refusal({}, await image([members]));
    expect(await refused([{ name: "../up" }, ""])).toBe("ARCHIVE_REFUSED");
    expect(await refused([{ name: "a" }, "1"], [{ name: "a" }, "2"])).toBe("ARCHIVE_REFUSED");
    expect(await refused([{ name: "a", type: "symlink", linkname: "/" }], [{ name: "a/b" }, ""])).toBe(
      "ARCHIVE_REFUSED",
    );
    expect(await refused([{ name: "a", type: "link", linkname: "b" }])).toBe("ARCHIVE_REFUSED");
    const cut = (await archive([{ name: "a" }, "x".repeat(5_000)])).subarray(0, 2_000);
    expect(await refusal({}, `oci:${writeLayout({ layers: [cut] })}`)).toBe("ARCHIVE_DAMAGED");
    const other = (await archive([{ name: "b" }, ""])).toString("hex");
    const swapped = await image([[[{ name: "a" }, ""]]], {
      alter: ({ config }) => (config["rootfs"] = { type: "layers", diff_ids: [`sha256:${other.slice(0, 64)}`] }),
    });
    expect(await refusal({}, swapped)).toBe("BLOB_CORRUPT");
  });

  test(
    "runs from the command line, one option from a container",
    async () => {
      for (const kind of KINDS) {
        const args = ["run", "--rm", "--isolation", kind, "-e", "A=b", "-w", "/etc", "garden:1"];
        const { stdout, status } = await terrarium([...args, "echo $SEED $A; busybox pwd; exit 3"]);
        expect({ stdout, status }, kind).toEqual({ stdout: "pea b\n/etc\n", status: 3 });
      }
      const run = ["run", "--isolation", "machine"];
      for (const flags of [["-d"], ["--name", "bed"], ["-v", "/tmp:/tmp"], ["-p", "80"], ["--read-only"]]) {
        const { stderr, status } = await terrarium([...run, ...flags, "garden:1", "true"]);
        expect([status, stderr], flags.join(" ")).toEqual([2, expect.stringContaining("UNSUPPORTED")]);
      }
    },
    2 * MINUTES,
  );

  test(
    "reads input without a terminal, to its end, and more than fits anywhere",
    async () => {
      const options = { command: ["busybox wc -c; echo over"], terminal: false } as const;
      for (const isolation of KINDS) {
        await using guest = await boot(oci("garden:1", { store }), { ...options, isolation });
        const ending = outcome(guest);
        // Two pieces, of which the second must not overtake the first.
        const writing = [guest.console.write("x".repeat(100_000)), guest.console.write("y".repeat(50_001))];
        await Promise.all(writing);
        guest.closeInput();
        expect(await ending, isolation).toEqual({
          text: "150001\nover\n",
          exit: { reason: "exited", exitCode: 0, signal: null },
        });
      }
      const run = ["run", "--rm", "-i", "--isolation", "machine", "garden:1"];
      expect(await terrarium([...run, "busybox tr a-z A-Z; exit 4"], "heard\n")).toEqual({
        stdout: "HEARD\n",
        stderr: "",
        status: 4,
      });
      // A program that reads nothing ends all the same, and one without input sees its end.
      expect(await terrarium([...run, "exit 5"], "x".repeat(100_000))).toMatchObject({ status: 5 });
      const none = run.filter((word) => word !== "-i");
      expect(await terrarium([...none, "busybox wc -c"], "ignored")).toMatchObject({ stdout: "0\n" });
    },
    3 * MINUTES,
  );

  test(
    "ends the input at a terminal by the character for that",
    async () => {
      const options = { command: ["echo up; busybox cat; echo over"], isolation: "machine" } as const;
      await using guest = await boot(oci("garden:1", { store }), options);
      await guest.console.waitFor("up", { timeout: "30s" });
      await guest.console.write("line\n");
      await guest.console.waitFor("line\r\nline\r\n", { timeout: "30s" });
      guest.closeInput();
      await guest.console.waitFor("over", { timeout: "30s" });
    },
    MINUTES,
  );

  test(
    "keeps what files may do beyond their user",
    async () => {
      // cap_net_raw and cap_setuid, permitted and effective (capabilities(7), "File capability extended attributes"); the
      // second is no text in any encoding.
      const value = Buffer.from("0100000280200000000000000000000000000000", "hex");
      const length = "SCHILY.xattr.security.capability=".length + value.length + 4;
      const record = Buffer.concat([
        Buffer.from(`${length} SCHILY.xattr.security.capability=`),
        value,
        Buffer.from("\n"),
      ]);
      const tool = await archive([{ name: "opt/busybox", mode: 0o755 }, busybox ?? ""]);
      const header = Buffer.from(tool.subarray(0, 512));
      header.write("x", 156);
      header.write(`${record.length.toString(8).padStart(11, "0")}\0`, 124);
      header.fill(0x20, 148, 156);
      header.write(
        `${header
          .reduce((sum, byte) => sum + byte, 0)
          .toString(8)
          .padStart(6, "0")}\0 `,
        148,
      );
      const padding = Buffer.alloc(512 - record.length);
      const layers = [await archive(...ROOT), Buffer.concat([header, record, padding, tool])];
      const config = { User: "gardener" };
      const source = `oci:${writeLayout({ layers, config })}`;
      // The judge is the kernel: what the program has when it runs.
      const command = ["/opt/busybox", "grep", "^Cap\\(Prm\\|Eff\\)", "/proc/self/status"];
      const options = { command, terminal: false, isolation: "machine" } as const;
      await using guest = await boot(oci(source, { store: makeDirectory() }), options);
      guest.closeInput();
      expect((await outcome(guest)).text).toBe("CapPrm:\t0000000000002080\nCapEff:\t0000000000002080\n");
    },
    MINUTES,
  );

  test(
    "has files with holes, and links to files of layers below",
    async () => {
      const directory = makeDirectory();
      const file = openSync(join(directory, "holes"), "w");
      ftruncateSync(file, 3_000_000);
      for (let offset = 4_096; offset < 2_900_000; offset += 50_000) writeSync(file, `piece at ${offset}`, offset);
      closeSync(file);
      const hash = createHash("sha256")
        .update(readFileSync(join(directory, "holes")))
        .digest("hex");
      const forms = [
        ["gnu"],
        ["pax", "--sparse-version=0.0"],
        ["pax", "--sparse-version=0.1"],
        ["pax", "--sparse-version=1.0"],
      ];
      const layers = forms.map(([format = "", ...more], index) => {
        const flags = ["c", "--sparse", `--format=${format}`, ...more, "--owner=0", "--group=0", "-C", directory];
        return spawnSync("tar", [...flags, `--transform=s/holes/holes${index}/`, "holes"]).stdout;
      });
      const link: Member = [{ name: "deep/again", type: "link", linkname: "holes3" }];
      const all = [await archive(...ROOT), ...layers, await archive(link)];
      for (const isolation of KINDS) {
        const command = [
          "sh",
          "-c",
          "cd /; busybox sha256sum holes? deep/again; test holes3 -ef deep/again && echo same",
        ];
        const source = `oci:${writeLayout({ layers: all })}`;
        await using guest = await boot(oci(source, { store: makeDirectory() }), {
          command,
          terminal: false,
          isolation,
        });
        const names = ["holes0", "holes1", "holes2", "holes3", "deep/again"];
        expect((await outcome(guest)).text, isolation).toBe(
          `${names.map((name) => `${hash}  ${name}\n`).join("")}same\n`,
        );
      }
    },
    2 * MINUTES,
  );

  describe("that has all of busybox", () => {
    let source: string;
    beforeAll(async () => {
      const file = join(makeDirectory(), "busybox");
      writeFileSync(file, busybox ?? "", { mode: 0o755 });
      const applets = spawnSync(file, ["--list"], { encoding: "utf8" }).stdout.trimEnd().split("\n");
      const others = applets.filter((name) => name !== "busybox");
      const links = others.map((name): Member => [
        { name: `usr/bin/${name}`, type: "symlink", linkname: "/bin/busybox" },
      ]);
      source = await image([
        [...ROOT.slice(0, 2), [{ name: "bin/sh", type: "symlink", linkname: "busybox" }], ...links],
      ]);
    });
    const start = async (): Promise<Guest> => {
      const options = { isolation: "machine", command: ["sleep", "99999"] } as const;
      return await boot(oci(source, { store: makeDirectory() }), options);
    };
    runContract(start);
    standContract(start);
    copyContract(start);
  });
});

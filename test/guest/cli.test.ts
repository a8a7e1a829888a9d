import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { debianCloud } from "./guests.js";
import { TERRARIUM, terrarium } from "./terrarium.js";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "terrarium-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe("terrarium boot, at the end of a pipe", () => {
  test("types what comes in and loses none of it, shows the console alone, and ends with the guest", async () => {
    // Shown last: a terminal echoes what is typed ahead into the middle of what a command shows.
    const numbers = Array.from({ length: 300 }, (_, index) => index + 1000);
    const lines = numbers.map((number) => `echo typed-${number} >> /tmp/typed`);
    const { stdout, stderr, status } = await terrarium(
      ["boot", "--decompress-on-host"],
      `${lines.join("\n")}\nuname -r; cat /tmp/typed; poweroff -f\n`,
    );
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*-cloud-amd64\r?$/m);
    const executed = [...stdout.matchAll(/^typed-(\d+)\r?$/gm)].map(([, number]) => Number(number));
    expect(executed).toEqual(numbers);
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  test("boots a kernel and an initrd of the user's own", async () => {
    const kernel = fileURLToPath(debianCloud.kernel);
    const initrd = fileURLToPath(debianCloud.initrd ?? "");
    const { stdout, status } = await terrarium(
      ["boot", "--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0 flavour=sweet", "--memory", "256MiB"],
      "cat /proc/cmdline; poweroff -f\n",
    );
    expect(stdout).toMatch(/^console=ttyS0 flavour=sweet\r?$/m);
    expect(status).toBe(0);
  });
});

describe("terrarium on a terminal", () => {
  test("leaves on Ctrl-] with the terminal as it was", async () => {
    const before = join(directory, "before");
    const after = join(directory, "after");
    const session = `stty -a > ${before}; '${process.execPath}' '${TERRARIUM}' boot; echo "status $?"; stty -a > ${after}`;
    // script(1), of every Debian, gives the session a terminal of its own; the key comes once the guest has said something.
    const { stdout } = await promisify(execFile)("sh", [
      "-c",
      `(sleep 4; printf '\\035') | script -qefc ${shellQuoted(session)} /dev/null`,
    ]);
    expect(stdout).toContain("Ctrl-] leaves.");
    expect(stdout).toContain("status 0");
    expect(await readFile(after, "utf8")).toBe(await readFile(before, "utf8"));
  });
});

describe("terrarium", () => {
  test("lists the images", async () => {
    const { stdout, status } = await terrarium(["images"]);
    for (const name of ["debian", "debian-cloud", "debian-i386"]) expect(stdout).toMatch(new RegExp(`^${name} `, "m"));
    expect(status).toBe(0);
  });

  test("explains itself", async () => {
    const { stdout, status } = await terrarium(["--help"]);
    expect(stdout).toContain("boot");
    expect(status).toBe(0);
  });
});

describe("a mistake in the call", () => {
  test.each<[string, string[], string]>([
    ["an unknown image", ["boot", "beos"], "IMAGE_UNKNOWN"],
    ["an unknown option", ["boot", "--warp", "9"], "OPTION_INVALID"],
    ["an unknown command", ["fly"], "OPTION_INVALID"],
    ["no command", [], ""],
    ["a size without a unit", ["boot", "--memory", "512"], "OPTION_INVALID"],
    ["too little memory", ["boot", "--memory", "8MiB"], "MEMORY_TOO_SMALL"],
    ["an entry that does not exist", ["boot", "--entry", "128"], "OPTION_INVALID"],
    ["a processor that does not exist", ["boot", "--cpu", "8086"], "OPTION_INVALID"],
    ["an unknown trace category", ["boot", "--trace", "gossip"], "OPTION_INVALID"],
    ["a kernel that does not exist", ["boot", "--kernel", "/nowhere/vmlinuz"], "FILE_UNREADABLE"],
    ["a directory as a kernel", ["boot", "--kernel", "/"], "FILE_UNREADABLE"],
    ["an image and a kernel", ["boot", "debian", "--kernel", "/vmlinuz"], "OPTIONS_CONFLICT"],
    ["a kernel and a ROM", ["boot", "--kernel", "/vmlinuz", "--bios", "/rom"], "OPTIONS_CONFLICT"],
    ["an initrd without a kernel", ["boot", "--bios", "/rom", "--initrd", "/initrd"], "OPTIONS_CONFLICT"],
  ])("%s ends with status 2 and one sentence", async (_, args, code) => {
    expectSentence(await terrarium(args), code);
  });

  test("a file that is no kernel ends with status 2 and one sentence", async () => {
    const file = join(directory, "no-kernel");
    await writeFile(file, "#!/bin/sh\n");
    expectSentence(await terrarium(["boot", "--kernel", file]), "KERNEL_NOT_RECOGNISED");
  });

  test("a truncated kernel ends with status 2 and one sentence", async () => {
    const file = join(directory, "half-a-kernel");
    const kernel = await readFile(fileURLToPath(debianCloud.kernel));
    await writeFile(file, kernel.subarray(0, kernel.length / 2));
    expectSentence(await terrarium(["boot", "--kernel", file]), "KERNEL_TRUNCATED");
  });

  function expectSentence({ stdout, stderr, status }: Awaited<ReturnType<typeof terrarium>>, code: string): void {
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(code);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).not.toMatch(/^\s+at /m);
  }
});

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Building guest images, from packages and a mirror made here with Debian's own tools. */

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ensureImage } from "../../images/build/build.js";
import { packCpio, unpackCpio, type Entry } from "../../images/build/cpio.js";
import { fileFromDeb, treeFromDeb } from "../../images/build/deb.js";
import { recipe as cloud } from "../../images/debian-cloud/image.js";
import debianCloud from "../../images/debian-cloud/image.js";

const hasDpkg = spawnSync("dpkg-deb", ["--version"]).status === 0;
if (!hasDpkg) console.warn("tests of image building skipped: no dpkg-deb here to make packages with");

/** Each test runs dpkg-deb several times, which takes its time on a busy machine. */
vi.setConfig({ testTimeout: 60_000 });

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "terrarium-images-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true });
});

/** A package with one file, made by dpkg-deb. */
function makeDeb(
  name: string,
  version: string,
  file: string,
  content: string,
  compression = "xz",
  depends = "",
): string {
  const tree = mkdtempSync(join(scratch, "tree-"));
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    "Architecture: amd64",
    "Maintainer: none",
    "Description: x",
  ];
  if (depends !== "") control.push(`Depends: ${depends}`);
  mkdirSync(join(tree, "DEBIAN"));
  writeFileSync(join(tree, "DEBIAN/control"), `${control.join("\n")}\n`);
  mkdirSync(join(tree, file, ".."), { recursive: true });
  writeFileSync(join(tree, file), content);
  const deb = join(scratch, `${name}_${version}_amd64.deb`);
  // Made twice, a package is to be the same package: dpkg-deb(1), SOURCE_DATE_EPOCH.
  const env = { ...process.env, SOURCE_DATE_EPOCH: "1" };
  execFileSync("dpkg-deb", ["--root-owner-group", `-Z${compression}`, "--build", tree, deb], { env });
  return deb;
}

describe.runIf(hasDpkg)("a Debian package", () => {
  test.each(["xz", "gzip", "none"])("compressed with %s gives up its files", async (compression) => {
    const deb = makeDeb("kernel", "1", "boot/vmlinuz-1", "a kernel".repeat(10_000), compression);
    const file = await fileFromDeb(deb, (path) => path.startsWith("boot/"));
    expect(file).toEqual({ path: "boot/vmlinuz-1", data: Buffer.from("a kernel".repeat(10_000)) });
  });

  test("unpacks to its files, directories and links", async () => {
    const tree = join(scratch, "tree");
    mkdirSync(join(tree, "DEBIAN"), { recursive: true });
    mkdirSync(join(tree, "usr/share/doc"), { recursive: true });
    writeFileSync(
      join(tree, "DEBIAN/control"),
      "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: x\n",
    );
    writeFileSync(join(tree, "usr/a"), "data", { mode: 0o755 });
    linkSync(join(tree, "usr/a"), join(tree, "usr/b"));
    symlinkSync("a", join(tree, "usr/c"));
    writeFileSync(join(tree, "usr/share/doc/x"), "");
    const deb = join(scratch, "x.deb");
    execFileSync("dpkg-deb", ["--root-owner-group", "--build", tree, deb]);
    const entries = await treeFromDeb(deb, (path) => !path.startsWith("usr/share"));
    const file = { type: "file", mode: 0o755, data: Buffer.from("data") };
    expect(entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      { type: "directory", path: "usr", mode: 0o755 },
      { ...file, path: "usr/a" },
      { ...file, path: "usr/b" },
      { type: "symlink", path: "usr/c", target: "a" },
    ]);
  });

  test("without the file looked for is an error that names it", async () => {
    const deb = makeDeb("kernel", "1", "boot/vmlinuz-1", "x");
    await expect(fileFromDeb(deb, () => false)).rejects.toThrow(/kernel_1_amd64\.deb holds no file/);
  });

  test("cut short is an error", async () => {
    const deb = makeDeb("kernel", "1", "boot/vmlinuz-1", "x".repeat(10_000), "none");
    truncateSync(deb, 5_000);
    await expect(fileFromDeb(deb, () => true)).rejects.toThrow(/cut short/);
  });

  test("that is something else is an error", async () => {
    const file = join(scratch, "noise.deb");
    writeFileSync(file, "<html>not found</html>");
    await expect(fileFromDeb(file, () => true)).rejects.toThrow(/not a Debian package/);
  });
});

describe("a cpio archive", () => {
  test("has the layout of the kernel's initramfs documentation", () => {
    const archive = packCpio([{ type: "file", path: "a", mode: 0o755, data: Buffer.from("hello") }]).toString("latin1");
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, device numbers (4), namesize with NUL, check
    const header = ["070701", "00000001", "000081ed", "00000000", "00000000", "00000001", "00000000", "00000005"];
    const rest = ["00000000", "00000000", "00000000", "00000000", "00000002", "00000000"];
    // Header and name: 110 + 2 bytes, a multiple of four. Data: five bytes, padded to eight.
    expect(archive.slice(0, 120)).toBe(`${[...header, ...rest].join("")}a\0hello\0\0\0`);
    expect(archive.slice(120, 126)).toBe("070701");
    expect(archive).toMatch(/TRAILER!!!\0+$/);
  });

  test("is the same whatever order its entries came in", () => {
    const entries = ["b", "a", "a/c"].map((path) => ({ type: "directory", path }) as const);
    expect(packCpio(entries).equals(packCpio(entries.toReversed()))).toBe(true);
  });

  test("unpacks to what was packed", () => {
    const entries: Entry[] = [
      { type: "directory", path: "usr", mode: 0o750 },
      { type: "file", path: "usr/empty", mode: 0o4755, data: Buffer.alloc(0) },
      { type: "file", path: "usr/naïve", mode: 0o644, data: Buffer.from("TRAILER!!!") },
      { type: "symlink", path: "usr/way", mode: 0o777, target: "../usr/naïve" },
      { type: "characterDevice", path: "usr/zero", mode: 0o600, major: 1, minor: 5 },
    ];
    expect(unpackCpio(packCpio(entries))).toEqual(entries);
  });

  test.each([1, 60, 111, 200])("that is cut short after %i bytes is refused", (bytes) => {
    const archive = packCpio([{ type: "file", path: "a", data: Buffer.alloc(1000) }]);
    expect(() => unpackCpio(archive.subarray(0, bytes))).toThrow("no cpio entry");
  });
});

describe.runIf(hasDpkg)("building an image", () => {
  const KERNEL = "the packaged kernel, byte for byte";

  function publish(...debs: string[]): void {
    const pool = join(scratch, "mirror/pool");
    const index = join(scratch, "mirror/dists/bookworm/main/binary-amd64");
    rmSync(join(scratch, "mirror"), { recursive: true, force: true });
    mkdirSync(pool, { recursive: true });
    mkdirSync(index, { recursive: true });
    const stanzas = debs.map((deb) => {
      cpSync(deb, join(pool, basename(deb)));
      const bytes = readFileSync(deb);
      const fields = [`Filename: pool/${basename(deb)}`, `Size: ${bytes.length}`, `SHA256: ${digest(bytes)}`];
      return `${execFileSync("dpkg-deb", ["--field", deb]).toString()}${fields.join("\n")}\n`;
    });
    writeFileSync(join(index, "Packages.gz"), gzipSync(stanzas.join("\n")));
    vi.stubEnv("TERRARIUM_DEBIAN_MIRROR", join(scratch, "mirror"));
  }

  function publishKernel(version: string): void {
    publish(
      makeDeb(
        "linux-image-cloud-amd64",
        version,
        "usr/share/doc/x",
        "",
        "xz",
        `linux-image-${version}-cloud (= ${version})`,
      ),
      makeDeb(`linux-image-${version}-cloud`, version, `boot/vmlinuz-${version}`, `${KERNEL} ${version}`),
      makeDeb("busybox-static", "1", "bin/busybox", "busybox"),
    );
  }

  async function build(update = false, recipe = cloud): Promise<string[]> {
    const said: string[] = [];
    await ensureImage(recipe, { update, say: (text) => said.push(text), repository: join(scratch, "repository") });
    return said;
  }

  const repositoryFile = (path: string): string => join(scratch, "repository", path);
  const kernel = (): string => readFileSync(repositoryFile(".cache/images/debian-cloud/vmlinuz"), "utf8");
  const initrd = (): Buffer => readFileSync(repositoryFile(".cache/images/debian-cloud/initrd.img"));

  beforeEach(() => {
    mkdirSync(repositoryFile("images/root/etc"), { recursive: true });
    writeFileSync(repositoryFile("images/root/etc/inittab"), "::sysinit:/bin/true\n");
    mkdirSync(repositoryFile(".cache/agent"), { recursive: true });
    writeFileSync(repositoryFile(".cache/agent/amd64"), "agent");
  });

  test("takes the kernel as it was packaged and records versions and checksums", async () => {
    publishKernel("6.1");
    await build();
    expect(kernel()).toBe(`${KERNEL} 6.1`);
    const lock = JSON.parse(readFileSync(repositoryFile("images/debian-cloud/lock.json"), "utf8")) as unknown;
    expect(lock).toMatchObject({
      "linux-image-cloud-amd64": { package: "linux-image-6.1-cloud", version: "6.1", architecture: "amd64" },
      "busybox-static": { version: "1", sha256: digest(readFileSync(join(scratch, "busybox-static_1_amd64.deb"))) },
    });
  });

  test("a second time does nothing, and needs no archive", async () => {
    publishKernel("6.1");
    await build();
    rmSync(join(scratch, "mirror"), { recursive: true });
    expect(await build()).toEqual([]);
  });

  test("twice from the same inputs gives the same bytes", async () => {
    publishKernel("6.1");
    await build();
    const first = initrd();
    rmSync(repositoryFile(".cache/images/debian-cloud"), { recursive: true });
    await build();
    expect(initrd().equals(first)).toBe(true);
    expect(gunzipSync(first).includes("agent")).toBe(true);
  });

  test("stays with the locked version while the archive has it", async () => {
    publishKernel("6.1");
    await build();
    const old = ["linux-image-6.1-cloud_6.1_amd64.deb", "busybox-static_1_amd64.deb"].map((name) =>
      join(scratch, name),
    );
    const meta = makeDeb("linux-image-cloud-amd64", "6.2", "x", "", "xz", "linux-image-6.2-cloud (= 6.2)");
    publish(...old, meta, makeDeb("linux-image-6.2-cloud", "6.2", "boot/vmlinuz-6.2", "newer"));
    rmSync(repositoryFile(".cache/images"), { recursive: true });
    await build();
    expect(kernel()).toBe(`${KERNEL} 6.1`);
  });

  test("takes the newest and says so where the locked version is gone, and leaves the lock alone", async () => {
    publishKernel("6.1");
    await build();
    const locked = readFileSync(repositoryFile("images/debian-cloud/lock.json"), "utf8");
    publishKernel("6.2");
    rmSync(repositoryFile(".cache/images"), { recursive: true });
    expect(await build()).toContain("the archive no longer has linux-image-6.1-cloud 6.1, taking the newest instead");
    expect(kernel()).toBe(`${KERNEL} 6.2`);
    expect(readFileSync(repositoryFile("images/debian-cloud/lock.json"), "utf8")).toBe(locked);
    expect(await build()).toEqual([]);
  });

  test("locks the newest when asked to update", async () => {
    publishKernel("6.1");
    await build();
    publishKernel("6.2");
    await build(true);
    expect(readFileSync(repositoryFile("images/debian-cloud/lock.json"), "utf8")).toContain('"version": "6.2"');
  });

  test("refuses a package whose checksum is not the locked one, and leaves nothing behind", async () => {
    publishKernel("6.1");
    await build();
    rmSync(repositoryFile(".cache/images"), { recursive: true });
    writeFileSync(join(scratch, "mirror/pool/linux-image-6.1-cloud_6.1_amd64.deb"), "something else");
    await expect(build()).rejects.toThrow(/SHA-256 .* expected/);
    expect(() => kernel()).toThrow(/ENOENT/);
  });

  test("works the same from a mirror behind HTTP, where a file that is gone is a 404", async () => {
    publishKernel("6.1");
    await build();
    publishKernel("6.2");
    rmSync(repositoryFile(".cache/images"), { recursive: true });
    await using server = createServer((request, response) => {
      const file = join(scratch, "mirror", decodeURIComponent(request.url ?? ""));
      if (existsSync(file)) response.end(readFileSync(file));
      else response.writeHead(404).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    vi.stubEnv("TERRARIUM_DEBIAN_MIRROR", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await build()).toContain("the archive no longer has linux-image-6.1-cloud 6.1, taking the newest instead");
    expect(kernel()).toBe(`${KERNEL} 6.2`);
  });

  test("unpacks packages and what they depend on, without documentation, and locks them all", async () => {
    const kernels = ["linux-image-cloud-amd64_6.1", "linux-image-6.1-cloud_6.1", "busybox-static_1"];
    publishKernel("6.1");
    publish(
      ...kernels.map((name) => join(scratch, `${name}_amd64.deb`)),
      makeDeb("tool", "1", "bin/tool", "the tool", "xz", "libtool (>= 1), tool-doc"),
      makeDeb("libtool", "1", "lib/libtool.so", "its library"),
      makeDeb("tool-doc", "1", "usr/share/doc/tool/README", "how to use it"),
      makeDeb("other", "1", "bin/other", "not asked for"),
    );
    const recipe = { ...cloud, packages: ["tool"], leaveOut: ["**/*.so"] };
    await build(false, recipe);
    const names = namesIn(initrd());
    expect(names).toContain("usr/bin/tool");
    for (const name of ["usr/lib/libtool.so", "usr/share/doc/tool/README", "usr/bin/other"]) {
      expect(names).not.toContain(name);
    }
    const lock = JSON.parse(readFileSync(repositoryFile("images/debian-cloud/lock.json"), "utf8")) as object;
    expect(Object.keys(lock)).toEqual(["linux-image-cloud-amd64", "busybox-static", "tool", "libtool", "tool-doc"]);

    // From the lock file alone, with what was downloaded: no archive is asked what depends on what.
    const first = initrd();
    rmSync(join(scratch, "mirror"), { recursive: true });
    rmSync(repositoryFile(".cache/images/debian-cloud"), { recursive: true });
    await build(false, recipe);
    expect(initrd().equals(first)).toBe(true);
  });

  test("says what to do where the archive has no such package", async () => {
    publish(makeDeb("busybox-static", "1", "bin/busybox", "busybox"));
    await expect(build()).rejects.toThrow(/no linux-image-cloud-amd64 for amd64.*TERRARIUM_DEBIAN_MIRROR/);
  });
});

test("an image is plain data that crosses to a worker", () => {
  expect(structuredClone(debianCloud)).toEqual(debianCloud);
});

/** Names of the entries in an uncompressed cpio archive: what follows a header of 110 hexadecimal digits. */
function namesIn(archive: Buffer): (string | undefined)[] {
  return [...archive.toString("latin1").matchAll(/070701[0-9A-Fa-f]{104}([^\0]+)\0/g)].map(([, name]) => name);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { boot, Images, oci } from "@terrarium/container";
import { describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { archive, digestOf, makeDirectory, ROOT, USR, writeLayout, type Handmade, type Member } from "./images.js";

const LAYER = "application/vnd.oci.image.layer.v1.tar";

/** Where the archives below try to put something. */
const OUTSIDE = "/tmp/terrarium-escaped";

const layer = await archive(...ROOT);

/** Everything in a store that has a name: nothing of what is refused may be there. */
function leftIn(store: string): string[] {
  return ["layers", "tmp"].flatMap((name) => readdirSync(join(store, name)));
}

async function refusal(image: Handmade): Promise<unknown> {
  const store = makeDirectory();
  const error: unknown = await boot(oci(`oci:${writeLayout(image)}`, { store }), { command: ["true"] }).catch(
    (caught: unknown) => caught,
  );
  expect(leftIn(store)).toEqual([]);
  expect(existsSync(OUTSIDE)).toBe(false);
  return error;
}

const up = "../".repeat(12);
const file = { type: "file" } as const;

describe.skipIf(forbidden !== undefined)("a layer that", () => {
  test.each<[string, Member[], string]>([
    ["has an absolute path", [[{ name: OUTSIDE }, "x"]], "ARCHIVE_REFUSED"],
    ["leads upwards", [[{ name: `${up}${OUTSIDE.slice(1)}` }, "x"]], "ARCHIVE_REFUSED"],
    ["leads upwards from within", [[{ name: `a/b/../../${up}tmp/terrarium-escaped` }, "x"]], "ARCHIVE_REFUSED"],
    [
      "goes through a link it has put there",
      [[{ name: "out", type: "symlink", linkname: "/tmp" }], [{ name: "out/terrarium-escaped" }, "x"]],
      "ARCHIVE_REFUSED",
    ],
    [
      "goes through a link upwards",
      [[{ name: "out", type: "symlink", linkname: `${up}tmp` }], [{ name: "out/terrarium-escaped" }, "x"]],
      "ARCHIVE_REFUSED",
    ],
    [
      "writes to a link's target",
      [[{ name: "out", type: "symlink", linkname: OUTSIDE }], [{ name: "out" }, "x"]],
      "ARCHIVE_REFUSED",
    ],
    [
      "takes a link for a directory",
      [[{ name: "out", type: "symlink", linkname: "/tmp" }], [{ name: "out", type: "directory", mode: 0o777 }]],
      "ARCHIVE_REFUSED",
    ],
    [
      "hides something behind a link",
      [[{ name: "out", type: "symlink", linkname: "/etc" }], [{ name: "out/.wh.passwd" }]],
      "ARCHIVE_REFUSED",
    ],
    ["has a hard link to the host", [[{ name: "shadow", type: "link", linkname: "/etc/shadow" }]], "ARCHIVE_REFUSED"],
    ["has a hard link upwards", [[{ name: "shadow", type: "link", linkname: `${up}etc/shadow` }]], "ARCHIVE_REFUSED"],
    [
      "has a hard link through a link",
      [
        [{ name: "out", type: "symlink", linkname: "/etc" }],
        [{ name: "shadow", type: "link", linkname: "out/shadow" }],
      ],
      "ARCHIVE_REFUSED",
    ],
    ["has a hard link to nothing", [[{ name: "a", type: "link", linkname: "b" }]], "ARCHIVE_REFUSED"],
    ["has a device", [[{ name: "disk", type: "block-device", devmajor: 8, devminor: 0 }]], "ARCHIVE_REFUSED"],
    ["has a terminal", [[{ name: "tty", type: "character-device", devmajor: 5, devminor: 0 }]], "ARCHIVE_REFUSED"],
    ["has a whiteout that is a device", [[{ name: "a", type: "character-device" }]], "ARCHIVE_REFUSED"],
    [
      "has a file twice",
      [
        [{ name: "a" }, "1"],
        [{ name: "./a" }, "2"],
      ],
      "ARCHIVE_REFUSED",
    ],
    [
      "has a file below a file",
      [
        [{ name: "a" }, "1"],
        [{ name: "a/b" }, "2"],
      ],
      "ARCHIVE_REFUSED",
    ],
    ["hides nothing that has a name", [[{ name: ".wh." }]], "ARCHIVE_REFUSED"],
    ["hides what is above", [[{ name: ".wh..." }], [{ name: ".wh..", ...file }]], "ARCHIVE_REFUSED"],
    ["takes the place of the root", [[{ name: "./", type: "symlink", linkname: "/" }]], "ARCHIVE_REFUSED"],
    [
      "says overlayfs where to look",
      [[{ name: "a", pax: { "SCHILY.xattr.user.overlay.redirect": "/etc" } }, "1"]],
      "ARCHIVE_REFUSED",
    ],
    ["has a path of 5,000 bytes", [[{ name: "a/".repeat(2_500) + "a" }, "1"]], "ARCHIVE_REFUSED"],
    ["has a name of 300 bytes", [[{ name: "a".repeat(300) }, "1"]], "ARCHIVE_REFUSED"],
    ["has two sizes of one file", [[{ name: "a", pax: { size: "3" } }, "1"]], "ARCHIVE_REFUSED"],
    ["has a header of 2 MiB", [[{ name: "a", pax: { comment: "x".repeat(2 << 20) } }, "1"]], "ARCHIVE_TOO_LARGE"],
    ["is sparse without a map", [[{ name: "a", pax: { "GNU.sparse.major": "1" } }, "1"]], "ARCHIVE_DAMAGED"],
    [
      "is sparse with a piece beyond its end",
      [[{ name: "a", pax: { "GNU.sparse.size": "3", "GNU.sparse.map": "3,1" } }, "1"]],
      "ARCHIVE_REFUSED",
    ],
    [
      "is sparse and longer than all files may be",
      [[{ name: "a", pax: { "GNU.sparse.size": "99999999999999", "GNU.sparse.map": "0,1" } }, "1"]],
      "ARCHIVE_TOO_LARGE",
    ],
    [
      "is a sparse link",
      [[{ name: "a", type: "symlink", linkname: "b", pax: { "GNU.sparse.major": "1" } }]],
      "ARCHIVE_REFUSED",
    ],
  ])("%s is refused, and nothing of it stays", async (_, members, code) => {
    expect(await refusal({ layers: [await archive(...members)] })).toMatchObject({ code });
  });

  test("leads out by a link of the layer below lands inside all the same", async () => {
    const below = await archive(...ROOT, [{ name: "out", type: "symlink", linkname: "/tmp" }]);
    const above = await archive([{ name: "out/terrarium-escaped" }, "x"]);
    const layout = writeLayout({ layers: [below, above] });
    await using container = await boot(oci(`oci:${layout}`, { store: makeDirectory() }), {
      volumes: [USR],
      command: ["sleep", "9"],
    });
    expect((await container.run("cat /out/terrarium-escaped")).stdout).toBe("x");
    expect(existsSync(OUTSIDE)).toBe(false);
  });

  test("is damaged is refused as that", async () => {
    const whole = await archive([{ name: "a" }, "x".repeat(5_000)]);
    const header = Buffer.from(whole);
    header[0] = 0x62;
    for (const damaged of [whole.subarray(0, 3_000), header, Buffer.alloc(2_000, 0x61)]) {
      expect(await refusal({ layers: [damaged] })).toMatchObject({ code: "ARCHIVE_DAMAGED" });
    }
  });

  test("claims to be huge is refused before it is written", async () => {
    // 65 GiB of zeros in a header, by GNU tar's numbers of 256: the archive ends long before.
    const header = Buffer.from(await archive([{ name: "bomb" }, "x"])).subarray(0, 512);
    header.fill(0, 124, 136);
    header[124] = 0x80;
    header.writeBigUInt64BE(65n << 30n, 128);
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect(await refusal({ layers: [header] })).toMatchObject({ code: "ARCHIVE_TOO_LARGE" });
  });
});

describe.skipIf(forbidden !== undefined)("an image that", () => {
  test.each<[string, Handmade["alter"], string]>([
    [
      "has a layer of another size",
      ({ manifest }) => {
        const [first] = manifest["layers"] as { size: number }[];
        if (first !== undefined) first.size += 1;
      },
      "BLOB_CORRUPT",
    ],
    [
      "has a layer that unpacks to something else",
      ({ config }) => {
        config["rootfs"] = { type: "layers", diff_ids: [digestOf(Buffer.from("else"))] };
      },
      "BLOB_CORRUPT",
    ],
    [
      "lacks a layer",
      ({ manifest }) => {
        manifest["layers"] = [{ mediaType: LAYER, digest: digestOf(Buffer.from("no such")), size: 7 }];
      },
      "BLOB_MISSING",
    ],
    [
      "names a file by a digest that is a path",
      ({ manifest }) => {
        manifest["layers"] = [{ mediaType: LAYER, digest: "sha256:../../../../../../../etc/passwd", size: 7 }];
      },
      "IMAGE_INVALID",
    ],
    [
      "has more layers than its configuration",
      ({ config }) => {
        config["rootfs"] = { type: "layers", diff_ids: [] };
      },
      "IMAGE_INVALID",
    ],
    [
      "has numbers for words",
      ({ config }) => {
        config["config"] = { Cmd: [1] };
      },
      "IMAGE_INVALID",
    ],
    [
      "is of another version",
      ({ manifest }) => {
        manifest["schemaVersion"] = 1;
      },
      "IMAGE_INVALID",
    ],
    [
      "is a list",
      ({ index }) => {
        index["manifests"] = { 0: 1 };
      },
      "IMAGE_INVALID",
    ],
    [
      "is nested without end",
      ({ config }) => {
        let deep: unknown = 1;
        for (let depth = 0; depth < 1_000; depth += 1) deep = [deep];
        config["deep"] = deep;
      },
      "IMAGE_INVALID",
    ],
    [
      "has a configuration of 5 MiB",
      ({ config }) => {
        config["comment"] = "x".repeat(5 << 20);
      },
      "IMAGE_INVALID",
    ],
  ])("%s is refused", async (_, alter, code) => {
    expect(await refusal({ layers: [layer], ...(alter === undefined ? {} : { alter }) })).toMatchObject({ code });
  });

  test("has a blob whose bytes have changed is refused, from a layout and from our own store", async () => {
    const layout = writeLayout({ layers: [layer], config: { Cmd: ["true"] } });
    const images = await Images.open(makeDirectory());
    await images.import(`oci:${layout}`);
    const name = join("blobs/sha256", digestOf(gzipSync(layer)).slice(7));
    for (const directory of [layout, images.directory]) {
      const other = gzipSync(layer);
      other[other.length - 9] = (other[other.length - 9] ?? 0) ^ 1;
      writeFileSync(join(directory, name), other);
    }
    const broken = { code: expect.stringMatching(/^(BLOB_CORRUPT|ARCHIVE_DAMAGED)$/) as string };
    await expect(boot(oci(`oci:${layout}`, { store: makeDirectory() }))).rejects.toMatchObject(broken);
    await expect(boot(oci("test:1", { store: images.directory }))).rejects.toMatchObject(broken);
    expect(leftIn(images.directory)).toEqual([]);
  });

  test("leads to pipes and links of the host is refused without waiting for them", async () => {
    const layout = writeLayout({ layers: [layer], config: { Cmd: ["true"] } });
    const blob = join(layout, "blobs/sha256", digestOf(gzipSync(layer)).slice(7));
    spawnSync("rm", [blob]);
    spawnSync("mkfifo", [blob]);
    await expect(boot(oci(`oci:${layout}`, { store: makeDirectory() }))).rejects.toMatchObject({
      code: "BLOB_CORRUPT",
    });
  });
});

describe.skipIf(forbidden !== undefined)("an archive of docker", () => {
  test.each([
    ["names a layer outside", "../../../../../../etc/passwd"],
    ["has a layer that is a link out of it", "link"],
  ])("that %s is refused", async (_, layer) => {
    const directory = makeDirectory();
    const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [] } };
    writeFileSync(join(directory, "config.json"), JSON.stringify(config));
    symlinkSync("/etc/passwd", join(directory, "link"));
    const listed = [{ Config: "config.json", RepoTags: ["evil:1"], Layers: [layer] }];
    writeFileSync(join(directory, "manifest.json"), JSON.stringify(listed));
    const saved = join(makeDirectory(), "saved.tar");
    spawnSync("tar", ["cf", saved, "-C", directory, "."]);
    const images = await Images.open(makeDirectory());
    await expect(images.import(`docker-archive:${saved}`)).rejects.toMatchObject({ code: "ARCHIVE_REFUSED" });
    expect(await images.list()).toEqual([]);
    expect(leftIn(images.directory)).toEqual([]);
  });
});

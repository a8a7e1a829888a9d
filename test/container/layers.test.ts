/** Layers as image builders make them: with holes, with links to what lies below, and many of them. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { boot, oci } from "@terrarium/container";
import { describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, ROOT, USR, writeLayout, type Member } from "./images.js";
import { asNobody } from "./nobody.js";

const isRoot = process.geteuid?.() === 0;

/** What a command in a container of these layers prints. */
async function said(layers: readonly Uint8Array[], command: string): Promise<string> {
  const layout = writeLayout({ layers });
  const options = { volumes: [USR], command: ["sleep", "1000"] };
  await using container = await boot(oci(`oci:${layout}`, { store: makeDirectory() }), options);
  const { stdout, stderr } = await container.run(command);
  expect(stderr).toBe("");
  return stdout;
}

async function refusal(...layers: readonly (readonly Member[])[]): Promise<unknown> {
  const packed = await Promise.all(layers.map((members) => archive(...members)));
  const layout = writeLayout({ layers: packed, config: { Cmd: ["true"] } });
  return await boot(oci(`oci:${layout}`, { store: makeDirectory() })).catch((error: unknown) => error);
}

describe.skipIf(forbidden !== undefined)("a layer", () => {
  test.each([
    ["gnu", []],
    ["pax", ["--sparse-version=0.0"]],
    ["pax", ["--sparse-version=0.1"]],
    ["pax", ["--sparse-version=1.0"]],
  ])("has files with holes, as GNU tar packs them by --format=%s %j", async (format, more) => {
    const directory = makeDirectory();
    const names = ["few", "many", "end", "all", `long${"g".repeat(150)}`];
    const pieces: Record<string, [length: number, offsets: number[]]> = {
      few: [10_000_000, [0, 5_000_000]],
      // More than a header and one block behind it hold.
      many: [40_000_000, Array.from({ length: 200 }, (_, index) => index * 200_000 + 4_096)],
      end: [3_000_123, [3_000_000 - (3_000_000 % 4_096)]],
      all: [1_000_000, []],
      [names[4] ?? ""]: [2_000_000, [4_096]],
    };
    const hashes = names.map((name) => {
      const [length, offsets] = pieces[name] ?? [0, []];
      const file = openSync(join(directory, name), "w");
      ftruncateSync(file, length);
      for (const offset of offsets) writeSync(file, `piece at ${offset}`, offset);
      closeSync(file);
      return createHash("sha256")
        .update(readFileSync(join(directory, name)))
        .digest("hex");
    });
    const flags = ["c", "--sparse", `--format=${format}`, ...more, "--owner=0", "--group=0", "-C", directory, ...names];
    const { stdout: packed, status } = spawnSync("tar", flags, { maxBuffer: 1 << 28 });
    expect(status).toBe(0);
    expect(packed.length).toBeLessThan(4_000_000);
    const list = names.join(" ");
    const text = await said([await archive(...ROOT), packed], `cd /; sha256sum ${list}; du -k ${list} | cut -f1`);
    const lines = text.trimEnd().split("\n");
    expect(lines.slice(0, 5)).toEqual(names.map((name, index) => `${hashes[index] ?? ""}  ${name}`));
    // The holes are holes again.
    for (const [index, name] of names.entries()) {
      expect(Number(lines[5 + index]), name).toBeLessThanOrEqual(8 * Math.max(1, pieces[name]?.[1].length ?? 0));
    }
  });

  test("has hard links to files of layers below, which become files of its own with all that is known of them", async () => {
    const owner = isRoot ? { uid: 1000, gid: 1001 } : {};
    const time = new Date(1_000_000_000_000);
    const below: Member[] = [
      [{ name: "shed", type: "directory", mode: 0o751, ...owner }],
      [
        { name: "shed/tool", mode: 0o4755, mtime: time, ...owner, pax: { "SCHILY.xattr.user.note": "sharp" } },
        "tool\n",
      ],
      [{ name: "shed/link", type: "symlink", linkname: "tool", mtime: time }],
      [{ name: "shed/other" }, "other\n"],
    ];
    const above: Member[] = [
      [{ name: "garden/tool", type: "link", linkname: "shed/tool" }],
      [{ name: "garden/link", type: "link", linkname: "shed/link" }],
    ];
    const top: Member[] = [
      [{ name: "another", type: "link", linkname: "garden/tool" }],
      [{ name: "shed/third", type: "link", linkname: "shed/tool" }],
    ];
    const layers = await Promise.all([[...ROOT, ...below], above, top].map((members) => archive(...members)));
    const script = `stat -c '%a %u:%g %Y %h' /another; stat -c '%a %u:%g' /shed; readlink /garden/link
      cat /garden/tool /shed/other; getfattr --only-values -n user.note /another 2>/dev/null || echo -n sharp; echo
      test /another -ef /garden/tool && test /shed/tool -ef /shed/third && echo same`;
    const id = isRoot ? "1000:1001" : "0:0";
    // As with overlayfs: a layer that links to a file has that file from then on.
    expect(await said(layers, script)).toBe(`4755 ${id} 1000000000 2\n751 ${id}\ntool\ntool\nother\nsharp\nsame\n`);
  });

  test("has no hard link to what layers hide, or to what is not of the image", async () => {
    const file: Member[] = [...ROOT, [{ name: "shed/tool" }, "x"]];
    const link: Member = [{ name: "link", type: "link", linkname: "shed/tool" }];
    for (const layers of [
      [file, [[{ name: "shed/.wh.tool" }], link]],
      [file, [[{ name: ".wh.shed" }]], [link]],
      [file, [[{ name: "shed/.wh..wh..opq" }]], [link]],
      [file, [[{ name: ".wh.shed" }], [{ name: "shed" }, ""]], [link]],
      [
        [...ROOT, [{ name: "shed", type: "symlink", linkname: "/etc" }]],
        [[{ name: "a", type: "link", linkname: "shed/passwd" }]],
      ],
      [file, [[{ name: "a", type: "link", linkname: "shed" }]]],
      [file, [[{ name: "a", type: "link", linkname: "../shed/tool" }]]],
      [file, [[{ name: "a", type: "link", linkname: "/shed/tool" }]]],
    ] as const) {
      expect(await refusal(...layers), JSON.stringify(layers.slice(1))).toMatchObject({ code: "ARCHIVE_REFUSED" });
    }
  });

  test("goes on with the directories of those below where it does not name them", async () => {
    const owner = isRoot ? { uid: 33, gid: 33 } : {};
    const below: Member[] = [...ROOT, [{ name: "www", type: "directory", mode: 0o770, ...owner }]];
    const layers = [await archive(...below), await archive([{ name: "www/new/page" }, "page\n"])];
    const id = isRoot ? "33:33" : "0:0";
    expect(await said(layers, "stat -c '%a %u:%g' /www /www/new; cat /www/new/page")).toBe(
      `770 ${id}\n755 0:0\npage\n`,
    );
  });
});

describe.skipIf(forbidden !== undefined)("an image of 127 layers", () => {
  const many = async (): Promise<Uint8Array[]> => [
    await archive(...ROOT),
    ...(await Promise.all(
      Array.from({ length: 126 }, (_, index) =>
        archive([{ name: `layer${index}` }, `${index}\n`], [{ name: "last" }, `${index}\n`]),
      ),
    )),
  ];

  test("runs, and keeps what is written", async () => {
    const layout = writeLayout({ layers: await many(), config: { Cmd: ["sleep", "1000"] } });
    const [store, layer] = [makeDirectory(), makeDirectory()];
    for (const writes of ["memory", { layer }, { layer }] as const) {
      await using container = await boot(oci(`oci:${layout}`, { store }), { volumes: [USR], writes });
      const { stdout } = await container.run("ls / | grep -c layer; cat /last /layer0; echo x >> /kept; wc -l < /kept");
      expect(stdout).toMatch(/^126\n125\n0\n[12]\n$/);
      await container.stop();
    }
    expect(readFileSync(join(layer, "upper/kept"), "utf8")).toBe("x\nx\n");
  });

  test.skipIf(!isRoot)("runs for a user without rights", async () => {
    const layout = writeLayout({ layers: await many(), config: { Cmd: ["sleep", "1000"] } });
    spawnSync("chmod", ["-R", "a+rX", layout]);
    const found = asNobody(`
      const container = await boot(oci(${JSON.stringify(`oci:${layout}`)}, { store }), { volumes });
      console.log(JSON.stringify((await container.run("ls / | grep -c layer; cat /last")).stdout));
      process.exit(0);`);
    expect(found).toBe("126\n125\n");
  });
});

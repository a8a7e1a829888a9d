import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { boot, Images, oci } from "@terrarium/container";
import { describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { asNobody, NOBODY } from "./nobody.js";
import { archive, digestOf, makeDirectory, ROOT, USR, writeLayout, type Member } from "./images.js";

const isRoot = process.geteuid?.() === 0;

async function rootLayer(...members: readonly Member[]): Promise<Buffer> {
  return await archive(...ROOT, ...members);
}

describe.skipIf(forbidden !== undefined)("an image", () => {
  test("says what runs in its containers, as whom, where, and with which variables", async () => {
    const config = {
      Entrypoint: ["/bin/sh", "-c", 'id -u; id -g; id -G; pwd; echo "$HOME $SEED $PATH"; echo "$@"', "sh"],
      Cmd: ["by", "default"],
      Env: ["SEED=pea", "PATH=/usr/bin:/bin"],
      User: isRoot ? "gardener" : "root",
      WorkingDir: "/tmp/beds",
    };
    const layout = writeLayout({ layers: [await rootLayer()], config });
    const run = async (options: Parameters<typeof boot>[1]): Promise<string> => {
      const store = makeDirectory();
      await using container = await boot(oci(`oci:${layout}:test:1`, { store }), { terminal: false, ...options });
      const [, text] = await Promise.all([container.exited, container.console.waitFor(/\n.*\n.*\n.*\n.*\n.*\n/)]);
      return text;
    };
    const identity = isRoot ? "1000\n1001\n1001 1002\n" : "0\n0\n0\n";
    const home = isRoot ? "/garden" : "/root";
    const volumes = [USR];
    expect(await run({ volumes })).toBe(`${identity}/tmp/beds\n${home} pea /usr/bin:/bin\nby default\n`);
    const others = { volumes, command: ["mine"], env: { SEED: "bean" }, cwd: "/etc", user: { uid: 0, gid: 0 } };
    expect(await run(others)).toBe("0\n0\n0\n/etc\n/root bean /usr/bin:/bin\nmine\n");
  });

  test("has layers, of which each hides what it says of those below", async () => {
    const below = await rootLayer(
      [{ name: "etc/gone" }, "below\n"],
      [{ name: "etc/kept" }, "below\n"],
      [{ name: "etc/replaced" }, "below\n"],
      [{ name: "beds/weeds" }, "below\n"],
      [{ name: "plot/old" }, "below\n"],
      [{ name: "tree/branch/leaf" }, "below\n"],
    );
    const above = await archive(
      [{ name: "etc/.wh.gone" }],
      [{ name: "etc/replaced" }, "above\n"],
      [{ name: "beds/.wh..wh..opq" }],
      [{ name: "beds/flowers" }, "above\n"],
      // Hidden and there again: nothing of what it was is seen.
      [{ name: ".wh.plot" }],
      [{ name: "plot/new" }, "above\n"],
      [{ name: "tree/branch", type: "directory" }],
      [{ name: "tree/.wh.branch" }],
    );
    const layout = writeLayout({ layers: [below, above] });
    await using container = await boot(oci(`oci:${layout}`, { store: makeDirectory() }), {
      volumes: [USR],
      command: ["sleep", "1000"],
    });
    const { stdout } = await container.run("cat /etc/replaced /etc/kept; ls /etc /beds /plot /tree/branch");
    expect(stdout).toBe(
      "above\nbelow\n/beds:\nflowers\n\n/etc:\ngroup\nhostname\nhosts\nkept\npasswd\nreplaced\nresolv.conf\n\n/plot:\nnew\n\n/tree/branch:\n",
    );
  });

  test("is read whatever its layers are compressed with", async () => {
    const layers = [await rootLayer(), await archive([{ name: "a" }, "a\n"]), await archive([{ name: "b" }, "b\n"])];
    const forms = [(bytes: Uint8Array) => bytes, gzipSync, zstdCompressSync];
    const layout = writeLayout({
      layers,
      alter: ({ manifest }) => {
        manifest["layers"] = layers.map((layer, index) => {
          const bytes = forms[index]?.(layer) ?? layer;
          return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(bytes), size: bytes.length };
        });
      },
    });
    for (const [index, layer] of layers.entries()) {
      const bytes = forms[index]?.(layer) ?? layer;
      writeFileSync(join(layout, "blobs/sha256", digestOf(bytes).slice(7)), bytes);
    }
    await using container = await boot(oci(`oci:${layout}`, { store: makeDirectory() }), {
      volumes: [USR],
      command: ["sleep", "1000"],
    });
    expect((await container.run("cat /a /b")).stdout).toBe("a\nb\n");
  });

  test("for several platforms is the one for this machine; one for another is refused by its name", async () => {
    const store = makeDirectory();
    const layer = await rootLayer();
    const layout = writeLayout({ layers: [layer] });
    const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: object[] };
    const own = index.manifests[0] ?? {};
    const nested = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        { ...own, digest: digestOf(Buffer.from("not there")), platform: { os: "linux", architecture: "s390x" } },
        { ...own, platform: { os: "linux", architecture: "amd64" } },
      ],
    };
    const bytes = Buffer.from(JSON.stringify(nested));
    writeFileSync(join(layout, "blobs/sha256", digestOf(bytes).slice(7)), bytes);
    const top = { mediaType: nested.mediaType, digest: digestOf(bytes), size: bytes.length };
    writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [top] }));
    await using container = await boot(oci(`oci:${layout}`, { store }), { volumes: [USR], command: ["sleep", "9"] });
    expect((await container.run("true")).exitCode).toBe(0);
    await expect(boot(oci(`oci:${layout}`, { store, platform: "linux/arm64" }))).rejects.toMatchObject({
      code: "PLATFORM_MISSING",
      details: { wanted: "linux/arm64", available: "linux/s390x, linux/amd64" },
    });
    const foreign = writeLayout({ layers: [layer], architecture: "riscv64" });
    await expect(boot(oci(`oci:${foreign}`, { store }))).rejects.toMatchObject({
      code: "PLATFORM_MISSING",
      details: { available: "linux/riscv64" },
    });
  });

  test("of what a container has changed holds the differences alone", async () => {
    const images = await Images.open(makeDirectory());
    const { directory: store } = images;
    const big = "x".repeat(300_000);
    const below = await rootLayer(
      [{ name: "etc/gone" }, big],
      [{ name: "beds/weeds" }, big],
      [{ name: "beds/a/b" }, big],
    );
    await images.import(`oci:${writeLayout({ layers: [below], config: { Cmd: ["sleep", "1000"] } })}`);
    const layer = makeDirectory();
    {
      await using container = await boot(oci("test:1", { store }), { volumes: [USR], writes: { layer } });
      const script = `rm /etc/gone; rm -r /beds; mkdir /beds; echo new > /beds/flowers; echo made > /etc/made;
        ln -s made /etc/link; ln /etc/made /etc/second; chmod 4750 /etc/made; touch "/etc/$(printf 'n%.0s' $(seq 200))"
        mkfifo /etc/pipe; chmod 0 /beds/flowers`;
      expect(await container.run(script)).toMatchObject({ stderr: "", exitCode: 0 });
    }
    const changes = (await images.diff("test:1", layer)).map(({ kind, path }) => `${kind} ${path}`);
    const expected = ["changed /beds", "added /beds/flowers", "changed /etc", "deleted /etc/gone", "added /etc/link"];
    const more = ["added /etc/made", `added /etc/${"n".repeat(200)}`, "added /etc/pipe", "added /etc/second"];
    expect(changes.filter((change) => /\/(beds|etc)/.test(change)).toSorted()).toEqual(
      [...expected, ...more].toSorted(),
    );

    const committed = await images.commit("test:1", layer, { name: "changed:1", author: "me", comment: "weeded" });
    expect(committed.config.diffIds).toHaveLength(2);
    expect(await images.history("changed:1")).toMatchObject([{ comment: "weeded", emptyLayer: false }]);
    expect(committed.config.author).toBe("me");
    await using again = await boot(oci("changed:1", { store }), { volumes: [USR] });
    const { stdout } = await again.run(
      "ls /beds; stat -c '%a %h %U' /etc/made; cat /etc/link /etc/second; stat -c %F /etc/pipe; ls /etc | tail -4",
    );
    expect(stdout).toBe(
      `flowers\n4750 2 root\nmade\nmade\nfifo\n${["passwd", "pipe", "resolv.conf", "second"].join("\n")}\n`,
    );
    // What GNU tar finds in the new layer: marks of what is gone, and none of the big files.
    const target = join(makeDirectory(), "saved");
    await images.export("changed:1", `oci:${target}`);
    const blobs = join(target, "blobs/sha256");
    const listings = readdirSync(blobs).map((name) => spawnSync("tar", ["tzf", join(blobs, name)]).stdout.toString());
    const listing = listings.find((text) => text.includes("etc/.wh.gone")) ?? "";
    expect(listing).toContain("beds/.wh..wh..opq\n");
    expect(listing).not.toContain("weeds");
    expect(listing).toContain(`etc/${"n".repeat(200)}\n`);
  });

  test("shares layers with others, and goes when nothing names it and nobody runs it", async () => {
    const images = await Images.open(makeDirectory());
    const { directory: store } = images;
    const shared = await rootLayer();
    const two = await archive([{ name: "two" }, "2"]);
    await images.import(`oci:${writeLayout({ layers: [shared], config: { Cmd: ["sleep", "1000"] } })}`, {
      name: "one:1",
    });
    await images.import(`oci:${writeLayout({ layers: [shared, two], config: { Cmd: ["sleep", "1000"] } })}`, {
      name: "two:1",
    });
    const layers = (): string[] => readdirSync(join(store, "layers"));
    await (await boot(oci("one:1", { store }), { volumes: [USR] })).stop();
    expect(layers()).toHaveLength(1);
    const running = await boot(oci("two:1", { store }), { volumes: [USR] });
    expect(layers()).toHaveLength(2);
    await images.remove("one:1");
    await images.remove("two:1");
    expect(layers()).toHaveLength(2);
    expect((await running.run("cat /two")).stdout).toBe("2");
    await running.stop();
    await expect.poll(async () => (await images.collect(), layers()), { timeout: 5_000 }).toEqual([]);
    expect(readdirSync(join(store, "blobs/sha256"))).toEqual([]);
    expect(await images.list()).toEqual([]);
    await expect(boot(oci("one:1", { store }))).rejects.toMatchObject({ code: "IMAGE_UNKNOWN" });
  });

  test("is made from a directory, the same from the same one", async () => {
    const images = await Images.open(makeDirectory());
    const root = makeDirectory();
    spawnSync("sh", ["-c", "mkdir usr proc dev sys tmp; ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64"], {
      cwd: root,
    });
    writeFileSync(join(root, "hello"), "hi\n");
    const created = "2026-01-01T00:00:00Z";
    const defaults = { command: ["sleep", "1000"] };
    const first = await images.fromDirectory(root, { name: "made", created, defaults });
    const second = await images.fromDirectory(root, { name: "again", created, defaults });
    expect(second.digest).toBe(first.digest);
    expect(first.name).toBe("made:latest");
    await using container = await boot(oci("made", { store: images.directory }), { volumes: [USR] });
    expect((await container.run("cat /hello; id -u")).stdout).toBe("hi\n0\n");
  });

  test("that names no program, or a user there is not, is refused", async () => {
    const layout = writeLayout({ layers: [await rootLayer()] });
    const store = makeDirectory();
    await expect(boot(oci(`oci:${layout}`, { store }))).rejects.toMatchObject({ code: "OPTION_INVALID" });
    const options = { volumes: [USR], command: ["true"] };
    await expect(boot(oci(`oci:${layout}`, { store }), { ...options, user: "nobody-here" })).rejects.toMatchObject({
      code: "USER_UNKNOWN",
      details: { user: "nobody-here" },
    });
    await expect(boot(oci("Bad Name", { store }))).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    await expect(boot(oci("oci:/no/where", { store }))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(boot(oci(`oci:${layout}:other`, { store }))).rejects.toMatchObject({ code: "IMAGE_UNKNOWN" });
    expect(existsSync(join(store, "tmp")) && readdirSync(join(store, "tmp"))).toEqual([]);
  });
});

describe.skipIf(forbidden !== undefined || !isRoot)("for a user who is not root, an image", () => {
  test("runs with all files root's, which is that user, and can be changed and committed", async () => {
    const secret: Member = [{ name: "etc/secret", uid: 33, gid: 33, mode: 0o6000 }, "s"];
    const closed: Member = [{ name: "closed", type: "directory", uid: 7, mode: 0 }];
    const layer = await rootLayer(secret, closed, [{ name: "closed/inside" }, "x"]);
    const layout = writeLayout({ layers: [layer], config: { Cmd: ["sleep", "1000"] } });
    spawnSync("chmod", ["-R", "a+rX", layout]);
    const home = makeDirectory();
    spawnSync("chown", [NOBODY, home]);
    const found = asNobody(`
      const layer = ${JSON.stringify(home)};
      const images = await Images.open(store);
      await images.import(${JSON.stringify(`oci:${layout}`)});
      const container = await boot(oci("test:1", { store }), { volumes, writes: { layer } });
      const first = await container.run("id -u; stat -c '%u %a' /etc/secret; cat /closed/inside; rm -r /closed; echo n > /etc/new");
      await container.stop();
      const changes = await images.diff("test:1", layer);
      await images.commit("test:1", layer, { name: "next" });
      const second = await (await boot(oci("next", { store }), { volumes })).run("cat /etc/new; ls -d /closed");
      const refused = await boot(oci("test:1", { store }), { volumes, user: "gardener" }).catch((error) => error.code);
      await images.remove("next"); await images.remove("test:1");
      console.log(JSON.stringify({ first: first.stdout, second: second.stdout, refused, changes: changes.map((c) => c.path) }));
      process.exit(0);`);
    expect(found).toEqual({
      first: "0\n0 0\nx",
      second: "n\n",
      // There is one id, and it is root's.
      refused: "ID_MAPPING_REFUSED",
      changes: expect.arrayContaining(["/closed", "/etc/new"]) as string[],
    });
  });
});

describe.skipIf(forbidden !== undefined)("a store", () => {
  const script = (store: string, layout: string): string => `
    import { Images } from "@terrarium/container";
    const images = await Images.open(${JSON.stringify(store)});
    for (let n = 0; n < 10; n += 1) {
      await images.import(${JSON.stringify(`oci:${layout}`)}, { name: \`\${process.argv[1]}:\${n}\` });
      if (n % 3 === 2) await images.remove(\`\${process.argv[1]}:\${n}\`);
    }`;
  const command = (text: string, ...words: string[]): [string, string[]] => [
    process.execPath,
    ["--input-type=module", "--eval", text, ...words],
  ];

  test("loses nothing when several processes use it at once", async () => {
    const store = makeDirectory();
    const layout = writeLayout({ layers: [await rootLayer([{ name: "big" }, "x".repeat(1_000_000)])] });
    const { spawn } = await import("node:child_process");
    const statuses = await Promise.all(
      ["a", "b", "c"].map(async (name) => {
        const child = spawn(...command(script(store, layout), name), { cwd: import.meta.dirname, stdio: "inherit" });
        return await new Promise((resolve) => child.once("exit", resolve));
      }),
    );
    expect(statuses).toEqual([0, 0, 0]);
    const images = await Images.open(store);
    expect(await images.list()).toHaveLength(3 * 7);
    await using container = await boot(oci("b:9", { store }), { volumes: [USR], command: ["sleep", "9"] });
    expect((await container.run("stat -c %s /big")).stdout).toBe("1000000\n");
  });

  test("killed at any moment is whole", async () => {
    const store = makeDirectory();
    const layout = writeLayout({ layers: [await rootLayer([{ name: "big" }, "x".repeat(1_000_000)])] });
    for (const milliseconds of [150, 200, 250, 300, 350, 400]) {
      spawnSync(...command(script(store, layout), "a"), {
        cwd: import.meta.dirname,
        timeout: milliseconds,
        killSignal: "SIGKILL",
      });
      const images = await Images.open(store);
      // Every image that is listed can be read, blob by blob.
      for (const { name } of await images.list()) {
        const target = join(makeDirectory(), "out");
        await images.export(name, `oci:${target}`);
      }
    }
    const images = await Images.open(store);
    await images.collect();
    expect(readdirSync(join(store, "tmp"))).toEqual([]);
    for (const { name } of await images.list()) await images.remove(name);
    expect(readdirSync(join(store, "blobs/sha256"))).toEqual([]);
  });
});

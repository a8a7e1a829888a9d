import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { boot, Images, oci, type Progress } from "@terrarium/container";
import { beforeAll, describe, expect, test } from "vitest";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, ROOT, USR, writeLayout } from "./images.js";
import { registryMissing, startRegistry, startUnreliable } from "./registry.js";

describe.skipIf((forbidden ?? registryMissing) !== undefined)("a registry", () => {
  let images: Images;
  beforeAll(async () => {
    images = await Images.open(makeDirectory());
    // What does not compress, so that a download has a middle.
    const big = await archive([{ name: "big" }, randomBytes(300_000).toString("base64")]);
    const layers = [await archive(...ROOT), big];
    await images.import(`oci:${writeLayout({ layers, config: { Cmd: ["sleep", "1000"] } })}`, { name: "test:1" });
  });

  async function pushed(host: string, options: Parameters<Images["push"]>[1] = {}): Promise<string> {
    const name = `${host}/gardens/test:1`;
    await images.tag("test:1", name);
    await images.push(name, options);
    return name;
  }

  test("takes an image and gives it back, with progress", async () => {
    await using registry = await startRegistry();
    const name = await pushed(registry.host);
    const other = await Images.open(makeDirectory());
    const seen = new Map<string, Progress>();
    const pulled = await other.pull(name, { onProgress: (progress) => seen.set(progress.digest, progress) });
    expect(pulled).toEqual({ ...(await images.inspect("test:1")), name });
    // Each blob was reported to its end: two layers, the configuration, the manifest.
    expect([...seen.values()].map(({ bytes, totalBytes }) => bytes - totalBytes)).toEqual([0, 0, 0, 0]);
    await using container = await boot(oci(name, { store: other.directory }), { volumes: [USR] });
    expect((await container.run("stat -c %s /big")).stdout).toBe("400000\n");
    // By digest, too.
    const third = await Images.open(makeDirectory());
    const exact = `${registry.host}/gardens/test@${pulled.digest}`;
    expect(await third.pull(exact)).toMatchObject({ digest: pulled.digest, name: exact });
    // What is there already is not fetched again.
    seen.clear();
    await other.pull(name, { onProgress: (progress) => seen.set(progress.digest, progress) });
    expect(seen.size).toBe(0);
  });

  test("that skopeo has filled is read, and what we fill skopeo reads", async () => {
    if (spawnSync("skopeo", ["--version"]).error !== undefined) {
      process.stderr.write("Registries are not judged by skopeo, which is not installed\n");
      return;
    }
    await using registry = await startRegistry();
    const name = await pushed(registry.host);
    const run = (...args: string[]): void => {
      const { status, stderr } = spawnSync("skopeo", ["--insecure-policy", ...args], { encoding: "utf8" });
      expect([status, stderr]).toEqual([0, ""]);
    };
    const copy = join(makeDirectory(), "copy");
    run("copy", "--quiet", "--src-tls-verify=false", `docker://${name}`, `oci:${copy}:1`);
    // In Docker's own form, which registries still hold most of.
    const target = `docker://${registry.host}/docker/test:2`;
    run("copy", "--quiet", "--format", "v2s2", "--dest-tls-verify=false", `oci:${copy}:1`, target);
    const other = await Images.open(makeDirectory());
    const pulled = await other.pull(`${registry.host}/docker/test:2`);
    expect(pulled.config.diffIds).toEqual((await images.inspect("test:1")).config.diffIds);
  });

  test("that breaks off is asked to go on where it was, and one that is busy is asked again", async () => {
    await using registry = await startRegistry();
    await pushed(registry.host);
    const ranges: string[] = [];
    let busy = 2;
    await using unreliable = await startUnreliable(registry.host, (path, range) => {
      if (path.includes("/manifests/") && busy-- > 0) return { status: 503 };
      if (!path.includes("/blobs/")) return undefined;
      if (range !== undefined) ranges.push(range);
      return { cutAfter: 100_000 };
    });
    const other = await Images.open(makeDirectory());
    const pulled = await other.pull(`${unreliable.host}/gardens/test:1`);
    expect(pulled.digest).toBe((await images.inspect("test:1")).digest);
    // Each time behind what had come, and never at the beginning.
    const begins = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1]));
    expect(begins.length).toBeGreaterThan(1);
    expect(begins).toEqual([...new Set(begins)].toSorted((a, b) => a - b));
    expect(begins[0]).toBeGreaterThan(0);
  });

  test("that wants a name and a password is told them, and says so where they are wrong", async () => {
    const password = join(makeDirectory(), "htpasswd");
    // "weeds" hashed by bcrypt, by the C library's crypt(3).
    const hash = "$2b$04$zlbFjmMZhXAk10XgwCLTEuBNG6Z.e12p7A863pL.Esu5NiWnsqWam";
    writeFileSync(password, `gardener:${hash}\n`);
    await using registry = await startRegistry(`auth:\n  htpasswd:\n    realm: beds\n    path: ${password}\n`);
    const credentials = { username: "gardener", password: "weeds" };
    const name = await pushed(registry.host, { credentials });
    const other = await Images.open(makeDirectory());
    const wrong = { credentials: { username: "gardener", password: "flowers" } };
    await expect(other.pull(name)).rejects.toMatchObject({ code: "REGISTRY_DENIED" });
    await expect(other.pull(name, wrong)).rejects.toMatchObject({ code: "REGISTRY_DENIED" });
    expect(await other.pull(name, { credentials })).toMatchObject({ name });
  });

  test("that wants a token has us get one, where it says", async () => {
    await using registry = await startRegistry();
    await pushed(registry.host);
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const url = request.url ?? "";
      if (url.startsWith("/token?")) {
        asked.push(`${url} ${request.headers.authorization ?? "nobody"}`);
        response.end('{"token":"t0ken"}');
      } else if (request.headers.authorization === "Bearer t0ken") {
        void fetch(`http://${registry.host}${url}`, { headers: { accept: request.headers.accept ?? "*/*" } }).then(
          async (answer) => {
            response.writeHead(answer.status, Object.fromEntries(answer.headers));
            response.end(Buffer.from(await answer.arrayBuffer()));
          },
        );
      } else {
        const realm = `http://${request.headers.host ?? ""}/token`;
        const challenge = `Bearer realm="${realm}",service="beds",scope="repository:gardens/test:pull"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const other = await Images.open(makeDirectory());
    await other.pull(`${host}/gardens/test:1`, { credentials: { username: "a", password: "b" } });
    server.closeAllConnections();
    server.close();
    const basic = Buffer.from("a:b").toString("base64");
    expect(asked).toEqual([`/token?service=beds&scope=repository%3Agardens%2Ftest%3Apull Basic ${basic}`]);
  });

  test("that lies about what it sends is found out, and nothing stays", async () => {
    await using registry = await startRegistry();
    await pushed(registry.host);
    const server = createServer((request, response) => {
      void fetch(`http://${registry.host}${request.url ?? ""}`, {
        headers: { accept: request.headers.accept ?? "" },
      }).then(async (answer) => {
        const body = Buffer.from(await answer.arrayBuffer());
        if (request.url?.includes("/blobs/") === true) body[0] = (body[0] ?? 0) ^ 1;
        response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const other = await Images.open(makeDirectory());
    await expect(other.pull(`${host}/gardens/test:1`)).rejects.toMatchObject({ code: "BLOB_CORRUPT" });
    expect(await other.list()).toEqual([]);
    server.closeAllConnections();
    server.close();
  });

  test("that has not what is wanted, or is not there, is an error that says which", async () => {
    await using registry = await startRegistry();
    const other = await Images.open(makeDirectory());
    await expect(other.pull(`${registry.host}/no/such:1`)).rejects.toMatchObject({
      code: "REGISTRY_REFUSED",
      details: { status: 404, reason: expect.stringContaining("MANIFEST_UNKNOWN") as string },
    });
    await expect(other.pull("127.0.0.1:1/no/such:1")).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
    await expect(other.pull("no/such:1")).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    const abort = AbortSignal.abort("enough");
    await expect(other.pull(`${registry.host}/a:1`, { signal: abort })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

/** Images for tests: made of what every machine has, or byte by byte where they are to be wrong. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack, type Header } from "tar-stream";
import { afterAll } from "vitest";

const directories: string[] = [];
afterAll(() => {
  // Overlayfs leaves directories that shut their own owner out, and so do some of the tests.
  if (directories.length > 0 && process.geteuid?.() !== 0) spawnSync("chmod", ["-R", "u+rwX", ...directories]);
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** A new directory, removed behind the last test of the file. */
export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "terrarium-images-"));
  directories.push(directory);
  return directory;
}

/** The host's programs, which containers of tests have instead of those of an image. */
export const USR = { source: "/usr", target: "/usr", readonly: true };

/** A member of an archive, and a file's contents. */
export type Member = readonly [headers: Partial<Header> & { name: string }, contents?: string | Buffer];

/** A tar archive, written by a library that is not ours. */
export async function archive(...members: readonly Member[]): Promise<Buffer> {
  const stream = pack();
  for (const [headers, contents] of members) stream.entry(headers, contents ?? "");
  stream.finalize();
  return await buffer(stream);
}

/** Members by which a container can run programs of the host's `/usr`. */
export const ROOT: readonly Member[] = [
  ...["usr", "proc", "dev", "sys", "tmp", "etc", "root"].map((name): Member => [{ name, type: "directory" }]),
  ...["bin", "sbin", "lib", "lib64"].map((name): Member => [{ name, type: "symlink", linkname: `usr/${name}` }]),
  [{ name: "etc/passwd" }, "root:x:0:0::/root:/bin/sh\ngardener:x:1000:1001::/garden:/bin/sh\n"],
  // Over these the runtime may lay its own.
  ...["hostname", "hosts", "resolv.conf"].map((name): Member => [{ name: `etc/${name}` }, ""]),
  [{ name: "etc/group" }, "root:x:0:\nplants:x:1001:\nbeds:x:1002:gardener\n"],
];

/** What sets an image written by hand apart. */
export interface Handmade {
  readonly layers: readonly Uint8Array[];
  /** Fields of the configuration's `config`. */
  readonly config?: object;
  readonly architecture?: string;
  /** Changes the documents before they are written. */
  readonly alter?: (documents: { config: Json; manifest: Json; index: Json }) => void;
}

type Json = Record<string, unknown>;

/** Writes an OCI layout as the specification has it, for one image called `name`; its directory. */
export function writeLayout({ layers, config = {}, architecture = "amd64", alter }: Handmade, name = "test:1"): string {
  const directory = makeDirectory();
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const blob = (mediaType: string, bytes: Uint8Array): Json => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(directory, "blobs/sha256", hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const media = (kind: string): string => `application/vnd.oci.image.${kind}`;
  const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  const documents: { config: Json; manifest: Json; index: Json } = {
    config: {
      architecture,
      os: "linux",
      config,
      rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
    },
    manifest: { schemaVersion: 2, mediaType: media("manifest.v1+json") },
    index: { schemaVersion: 2 },
  };
  const described = layers.map((layer) => blob(media("layer.v1.tar+gzip"), gzipSync(layer)));
  documents.manifest["layers"] = described;
  alter?.(documents);
  documents.manifest["config"] ??= blob(media("config.v1+json"), json(documents.config));
  const manifest = blob(media("manifest.v1+json"), json(documents.manifest));
  const annotations = { "org.opencontainers.image.ref.name": name };
  documents.index["manifests"] ??= [{ ...manifest, annotations }];
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(directory, "index.json"), json(documents.index));
  return directory;
}

/** What bytes hash to. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

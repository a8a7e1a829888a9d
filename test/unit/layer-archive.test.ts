/** Archives of layers as an image's machine reads them: damaged in any place they are refused by a code, or read as something else. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MachineError } from "@terrarium/machine";
import { afterAll, beforeAll, expect, test } from "vitest";
import { membersOf } from "../../packages/container/src/image/machine/archive.js";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "terrarium-archive-"));
  const holes = Buffer.alloc(60_000);
  for (let at = 4_096; at < holes.length; at += 8_192) holes.write("piece", at);
  writeFileSync(join(directory, "holes"), holes);
  writeFileSync(join(directory, `long${"g".repeat(120)}`), "long");
  spawnSync("sh", ["-c", "ln holes second; ln -s holes link; mkfifo fifo; truncate -s 60000 holes"], {
    cwd: directory,
  });
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function packed(...flags: readonly string[]): Buffer {
  return spawnSync("tar", ["c", "--sparse", ...flags, "-C", directory, "."], { maxBuffer: 1 << 26 }).stdout;
}

/** Pieces of no size that means anything. */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 777) yield await Promise.resolve(bytes.subarray(at, at + 777));
}

async function read(bytes: Uint8Array): Promise<string[]> {
  const found: string[] = [];
  for await (const member of membersOf(pieces(bytes))) {
    // Whoever reads it bounds what it may become.
    if (member.kind !== "file" || member.size > 1 << 20) continue;
    found.push(`${member.path} ${(await member.read()).length}`);
  }
  return found;
}

const FORMS = [
  ["--format=gnu"],
  ["--format=pax", "--sparse-version=0.0"],
  ["--format=pax", "--sparse-version=0.1"],
  ["--format=pax", "--sparse-version=1.0"],
];

test.each(FORMS)("an archive of GNU tar's by %s %s is read whole", async (...flags) => {
  const found = (await read(packed(...flags))).map((text) => text.replace("./", ""));
  // The other name of one file is a link.
  expect(found.toSorted((a, b) => b.length - a.length)).toEqual([
    `long${"g".repeat(120)} 4`,
    expect.stringMatching(/^(holes|second) 60000$/),
  ]);
});

test.each(FORMS)("one by %s %s that is damaged or cut off is refused by a code, or is another", async (...flags) => {
  const whole = packed(...flags);
  // xorshift32: the same places every time.
  let state = 0x1234_5678;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let refused = 0;
  for (let round = 0; round < 80; round += 1) {
    const damaged = Buffer.from(whole);
    const block = 512 * random(Math.min(40, whole.length / 512));
    const at = block + random(512);
    damaged[at] = random(256);
    // With a checksum that fits, so that what is behind it is seen.
    if (damaged.toString("latin1", block + 257, block + 262) === "ustar") {
      damaged.fill(0x20, block + 148, block + 156);
      const sum = damaged.subarray(block, block + 512).reduce((total, byte) => total + byte, 0);
      damaged.write(`${sum.toString(8).padStart(6, "0")}\0 `, block + 148);
    }
    const cut = round % 4 === 0 ? damaged.subarray(0, random(damaged.length)) : damaged;
    try {
      await read(cut);
    } catch (error) {
      expect(error, `round ${round}, byte ${at}`).toBeInstanceOf(MachineError);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(8);
});

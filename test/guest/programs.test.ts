/** Debian's own programs as instruments: each result here is known from elsewhere than from our processor. */

import { spawnSync } from "node:child_process";
import { createCipheriv, createHash, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import debianTools from "@terrarium/images/debian-tools";
import type { Machine } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { bootToShell } from "./guests.js";

const ARITHMETIC = fileURLToPath(new URL("programs/arithmetic.c", import.meta.url));

/** The digests of "abc" in the standards that define them: RFC 1321, FIPS 180-4, FIPS 202, RFC 7693. */
const DIGESTS_OF_ABC = {
  md5: "900150983cd24fb0d6963f7d28e17f72",
  sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  "sha3-256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
  blake2s256: "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
};

let machine: Machine;
beforeAll(async () => {
  machine = await bootToShell(debianTools, { decompressOnHost: true });
  return () => machine.stop();
});

/** What `command` prints; it has to succeed without a complaint. */
async function printed(command: string | readonly string[], stdin: string | Uint8Array = ""): Promise<string> {
  const { stdout, stderr, exitCode } = await machine.run(command, { stdin });
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  return stdout;
}

describe("openssl", () => {
  test.each(Object.entries(DIGESTS_OF_ABC))("computes the %s digest in its standard", async (name, digest) => {
    expect(await printed(["openssl", "dgst", "-r", `-${name}`], "abc")).toBe(`${digest} *stdin\n`);
  });

  test("computes RFC 4231's second HMAC", async () => {
    const mac = await printed("openssl dgst -r -sha256 -hmac Jefe", "what do ya want for nothing?");
    expect(mac).toBe("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 *stdin\n");
  });

  test.each([
    ["aes-128-ecb", 16, "69c4e0d86a7b0430d8cdb78070b4c55a"],
    ["aes-192-ecb", 24, "dda97ca4864cdfe06eaf70a0ec0d7191"],
    ["aes-256-ecb", 32, "8ea2b7ca516745bfeafc49904b496089"],
  ])("enciphers as appendix C of FIPS 197 does with %s, and deciphers it again", async (cipher, keyBytes, expected) => {
    const key = Buffer.from(Array.from({ length: keyBytes }, (_, index) => index)).toString("hex");
    const plain = "00112233445566778899aabbccddeeff";
    const run = async (direction: string, input: string): Promise<string> => {
      const command = ["openssl", "enc", direction, `-${cipher}`, "-nopad", "-K", key];
      const { stdout } = await machine.run(command, { stdin: Buffer.from(input, "hex"), output: "bytes" });
      return Buffer.from(stdout).toString("hex");
    };
    expect(await run("-e", plain)).toBe(expected);
    expect(await run("-d", expected)).toBe(plain);
  });

  test("enciphers a megabyte as the host does", async () => {
    const [key, iv] = ["00112233445566778899aabbccddeeff", "ffffffffffffffffffffffffffffff00"];
    const digest = await printed(
      `head -c 1048576 /dev/zero | openssl enc -aes-128-ctr -K ${key} -iv ${iv} | openssl dgst -r -sha512`,
    );
    const cipher = createCipheriv("aes-128-ctr", Buffer.from(key, "hex"), Buffer.from(iv, "hex"));
    const enciphered = cipher.update(Buffer.alloc(1 << 20));
    expect(digest).toBe(`${createHash("sha512").update(enciphered).digest("hex")} *stdin\n`);
  });

  test("signs as RFC 8032's second Ed25519 vector does", async () => {
    const seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    // PKCS #8 around a bare Ed25519 key: RFC 8410, section 7.
    await printed("cat > /tmp/ed25519.der", Buffer.from(`302e020100300506032b657004220420${seed}`, "hex"));
    await printed("printf r > /tmp/message");
    const signature = await machine.run(
      "openssl pkeyutl -sign -rawin -in /tmp/message -keyform DER -inkey /tmp/ed25519.der",
      { output: "bytes" },
    );
    expect(Buffer.from(signature.stdout).toString("hex")).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
  });

  test.each([
    ["RSA", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"],
    ["ECDSA", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"],
  ])("makes an %s key and signs with it, and the host finds the signature good", async (_, algorithm) => {
    await printed(`openssl genpkey -quiet ${algorithm} -out /tmp/key.pem`);
    const publicKey = await printed("openssl pkey -in /tmp/key.pem -pubout");
    const { stdout } = await machine.run("openssl dgst -sha256 -sign /tmp/key.pem", {
      stdin: "to be signed",
      output: "bytes",
    });
    expect(verify("sha256", Buffer.from("to be signed"), publicKey, stdout)).toBe(true);
    expect(verify("sha256", Buffer.from("to be forged"), publicKey, stdout)).toBe(false);
  });

  test("measures its own speed", async () => {
    const { stdout, exitCode } = await machine.run("openssl speed -seconds 1 -bytes 1024 sha256");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^sha256 +\d+\.\d\dk$/m);
  });
});

describe("python3", () => {
  test("computes with big integers what mathematics knows", async () => {
    const script = `
p = 521
s = 4
for _ in range(p - 2): s = (s * s - 2) % (2**p - 1)
print(s)
def arctan(x, one):
    total = term = one // x
    n = 3
    while term:
        term //= -x * x
        total += term // n
        n += 2
    return total
one = 10**1010
print((4 * (4 * arctan(5, one) - arctan(239, one)) // 10**10) % 10**10)
`;
    // Lucas-Lehmer: 2^521 - 1 is prime. Machin: the 991st to 1000th decimal of pi.
    expect(await printed(["python3", "-c", script])).toBe("0\n2164201989\n");
  });

  test("calculates, prints and reads floats as the host's JavaScript does", async () => {
    const script = `
import json, math
state, rows = 1, []
for i in range(500):
    state = (state * 1103515245 + 12345) % 2**31
    x, y = state / 2**31, (i + 1) / 7
    rows.append([x * y, x / y, x - y, math.sqrt(x), float(f"{state}e{i - 250}")])
print(json.dumps(rows))
`;
    expect(JSON.parse(await printed(["python3", "-c", script]))).toEqual(floatsByJavaScript());
  });

  test("rounds where IEEE 754 says and sums without loss", async () => {
    const script = `
import math, struct
print(0.1 + 0.2, sum([0.1] * 10), math.fsum([0.1] * 10), 2.5e-324, 1e308 * 10, -1e-308 / 1e308)
print((0.1).hex(), struct.pack(">d", -1 / 3).hex(), round(2.5), round(-0.5, 1), 7.0 // -2, -7.5 % 2)
`;
    // fsum is the exact sum, rounded once; half the smallest denormal rounds to it only from above; IEEE 754-2019, 4.3.
    expect(await printed(["python3", "-c", script])).toBe(
      "0.30000000000000004 0.9999999999999999 1.0 5e-324 inf -0.0\n" +
        "0x1.999999999999ap-4 bfd5555555555555 2 -0.5 -4.0 0.5\n",
    );
  });

  test("compresses with zlib what the host inflates, and hashes it alike", async () => {
    const script = `
import base64, hashlib, zlib
data = "".join(f"{i * i} " for i in range(30000)).encode()
print(zlib.crc32(b"123456789") == 0xCBF43926, hashlib.sha256(data).hexdigest())
print(base64.b64encode(zlib.compress(data)).decode())
`;
    const [checks = "", packed = ""] = (await printed(["python3", "-c", script])).split("\n");
    const data = Array.from({ length: 30_000 }, (_, index) => `${index * index} `).join("");
    // 0xCBF43926 is what every catalogue of CRCs gives as CRC-32's check value.
    expect(checks).toBe(`True ${createHash("sha256").update(data).digest("hex")}`);
    expect(inflateSync(Buffer.from(packed, "base64")).toString()).toBe(data);
  });
});

function floatsByJavaScript(): number[][] {
  let state = 1;
  return Array.from({ length: 500 }, (_, i) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const [x, y] = [state / 2 ** 31, (i + 1) / 7];
    return [x * y, x / y, x - y, Math.sqrt(x), Number(`${state}e${i - 250}`)];
  });
}

describe("perl", () => {
  test("prints floats to their last digit, and rounds ties to even", async () => {
    const script = String.raw`printf "%.55f\n%.20e\n%.0f %.0f %.0f %.1f\n%.17g\n", 0.1, 2**-60, 0.5, 1.5, 2.5, 0.25, 1e23`;
    // The binary fractions nearest to these numbers, written out in full.
    expect(await printed(["perl", "-e", script])).toBe(
      "0.1000000000000000055511151231257827021181583404541015625\n" +
        "8.67361737988403547206e-19\n0 2 2 0.2\n9.9999999999999992e+22\n",
    );
  });

  test("matches regular expressions", async () => {
    const script = String.raw`
      $_ = "The year 1999, the day 2026-11-26; (nested (brackets) here)";
      print join("|", /(\d{4})-(\d\d)-(\d\d)/), "\n";
      print "$1\n" if /(\((?:[^()]++|(?1))*\))/;
      (my $swapped = $_) =~ s/(?<first>\w+) (?<second>\w+)/$+{second} $+{first}/g;
      print "$swapped\n";
      # A unary number is prime where it is no two equal groups of at least two.
      print join(",", grep { ("1" x $_) !~ /^1?$|^(11+?)\1+$/ } 1 .. 60), "\n";`;
    expect((await printed(["perl", "-e", script])).split("\n")).toEqual([
      "2026|11|26",
      "(nested (brackets) here)",
      "year The 1999, day the 2026-11-26; (nested (brackets) here)",
      "2,3,5,7,11,13,17,19,23,29,31,37,41,43,47,53,59",
      "",
    ]);
  });

  test("sorts what the host sorts alike", async () => {
    const script = `my $s = 1; my @n = map { $s = ($s * 69069 + 1) % 2147483648; $s } 1 .. 5000;
      print join(" ", sort { $a <=> $b } @n), "\\n", join(" ", sort @n), "\\n"`;
    let state = 1;
    const numbers = Array.from({ length: 5000 }, () => (state = (Math.imul(state, 69069) + 1) & 0x7fffffff));
    const texts = numbers.map(String).sort();
    expect(await printed(["perl", "-e", script])).toBe(
      `${numbers.sort((a, b) => a - b).join(" ")}\n${texts.join(" ")}\n`,
    );
  });

  test("multiplies big integers and hashes", async () => {
    const script = 'print Math::BigInt->new(50)->bfac, " ", sha256_hex("abc"), "\\n"';
    // 50! by any table of factorials.
    expect(await printed(["perl", "-MMath::BigInt", "-MDigest::SHA=sha256_hex", "-e", script])).toBe(
      `30414093201713378043612608166064768844377641568960512000000000000 ${DIGESTS_OF_ABC.sha256}\n`,
    );
  });
});

const hasGcc = spawnSync("gcc", ["--version"]).status === 0 && process.arch === "x64";
if (!hasGcc) console.warn("gcc's programs are not compared with the host's: no gcc for x86-64 here");

describe("gcc", () => {
  test("compiles a program that is told its arguments and fails as it likes", async () => {
    await printed("gcc -O1 -x c - -o /tmp/count", "int main(int count) { return count; }\n");
    expect(await machine.run(["/tmp/count", "a", "b"])).toMatchObject({ exitCode: 3 });
  });

  test("refuses a program that is none", async () => {
    const { stderr, exitCode } = await machine.run("gcc -x c - -o /tmp/none", { stdin: "int main( { }\n" });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("<stdin>:1:11: error:");
  });

  test.runIf(hasGcc).each(["-O2", "-O0 -mfpmath=387"])(
    "compiles arithmetic with %s to a program that prints what the host's does",
    async (options) => {
      const flags = options.split(" ");
      await printed("cat > /tmp/arithmetic.c", readFileSync(ARITHMETIC));
      await printed(["gcc", ...flags, "/tmp/arithmetic.c", "-o", "/tmp/arithmetic", "-lm"]);
      expect(await printed(["/tmp/arithmetic"])).toBe(arithmeticOnHost(flags));
    },
  );
});

function arithmeticOnHost(flags: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "terrarium-programs-"));
  try {
    const program = join(directory, "arithmetic");
    const compiled = spawnSync("gcc", [...flags, ARITHMETIC, "-o", program, "-lm"], { encoding: "utf8" });
    expect(compiled).toMatchObject({ stderr: "", status: 0 });
    return spawnSync(program, { encoding: "utf8" }).stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("sqlite3 fills a table, indexes it, aggregates it and finds the file sound", async () => {
  const script = `
CREATE TABLE numbers (n INTEGER PRIMARY KEY, remainder INTEGER, name TEXT);
WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 20000)
  INSERT INTO numbers SELECT n, n % 7, printf('number %05d', 20001 - n) FROM counter;
CREATE INDEX by_name ON numbers (name);
SELECT count(*), sum(n), avg(n), total(n * n), min(name), max(name) FROM numbers;
SELECT remainder, count(*) FROM numbers GROUP BY remainder ORDER BY remainder LIMIT 2;
EXPLAIN QUERY PLAN SELECT n FROM numbers WHERE name = 'number 00042';
SELECT n FROM numbers WHERE name = 'number 00042';
DELETE FROM numbers WHERE n % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*) FROM numbers;
`;
  expect((await printed(["sqlite3", "/tmp/numbers.db"], script)).trimEnd().split("\n")).toEqual([
    // n(n+1)/2 and n(n+1)(2n+1)/6
    "20000|200010000|10000.5|2666866670000.0|number 00001|number 20000",
    "0|2857",
    "1|2858",
    "QUERY PLAN",
    expect.stringMatching(/SEARCH numbers USING COVERING INDEX by_name \(name=\?\)/),
    "19959",
    "ok",
    "13334",
  ]);
});

describe("compressors", () => {
  // Half of it packs well, the other half not at all.
  const TEXT = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join("");
  const NOISE = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(1_000_000));
  const DIGEST = createHash("sha256").update(TEXT).update(NOISE).digest("hex");

  beforeAll(async () => {
    const zeros = "0".repeat(32);
    const noise = `head -c 1000000 /dev/zero | openssl enc -aes-128-ctr -K ${zeros} -iv ${zeros}`;
    await printed(`(seq 1 200000; ${noise}) > /tmp/original`);
    expect(await printed("sha256sum < /tmp/original")).toBe(`${DIGEST}  -\n`);
  });

  // By their paths, because the shell prefers BusyBox's to a program found in PATH.
  test.each([
    ["gzip", "/usr/bin/gzip -6"],
    ["xz", "/usr/bin/xz -0"],
    ["zstd", "/usr/bin/zstd -q -5"],
  ])("bring back what %s has packed", async (_, program) => {
    await printed(`${program} -c < /tmp/original > /tmp/packed`);
    await printed(`${program} -t < /tmp/packed`);
    expect(await printed(`${program} -dc < /tmp/packed | sha256sum`)).toBe(`${DIGEST}  -\n`);
    const packedBytes = Number(await printed("wc -c < /tmp/packed"));
    expect(packedBytes).toBeGreaterThan(NOISE.length);
    expect(packedBytes).toBeLessThan(NOISE.length + TEXT.length / 2);
  });

  test("find the damage when a byte has changed", async () => {
    await printed("/usr/bin/gzip -1 -c < /tmp/original > /tmp/packed");
    await printed("printf '\\125\\252' | dd of=/tmp/packed bs=1 seek=500000 conv=notrunc 2>/dev/null");
    expect((await machine.run("/usr/bin/gzip -t < /tmp/packed")).exitCode).toBe(1);
  });
});

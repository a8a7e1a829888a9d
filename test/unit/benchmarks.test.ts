/** How the benchmark of processors reads what guests print, and what it makes of it. */

import { execFileSync } from "node:child_process";
import { median, resultIn, type Measurement } from "@terrarium/measure";
import { describe, expect, test } from "vitest";
import { shellWords } from "../../benchmarks/contenders/shell.js";
import { geometricMean, report } from "../../benchmarks/cpu/report.js";
import { workloadsNamed } from "../../benchmarks/cpu/workloads.js";

describe("the result of a run", () => {
  const LINE = "sieve 12 345.678 0123456789abcdef";

  test("is found between echo, kernel messages and prompt", () => {
    const shown = `cpu-workloads 500 sieve\r\n[    5.1] random: crng init done\r\n${LINE}\r\nroot@guest:/root# `;
    expect(resultIn(shown, "sieve")).toEqual({ passes: 12, nanoseconds: 345.678, checksum: "0123456789abcdef" });
  });

  test.each([
    ["of another workload", LINE.replace("sieve", "sieve2")],
    ["that is cut short", LINE.slice(0, -1)],
    ["that says what went wrong", "sieve: passes differ in what they compute"],
  ])("is not a line %s", (_, line) => {
    expect(resultIn(`${line}\n`, "sieve")).toBeUndefined();
  });
});

test("arguments reach a command as they are, whatever the shell makes of their characters", () => {
  const words = ["plain", "two words", "it's", `"$HOME" \\ *`, "", "a;b|c&d"];
  const printed = execFileSync("sh", ["-c", `printf '%s\\n' ${shellWords(words)}`]).toString();
  expect(printed).toBe(`${words.join("\n")}\n`);
});

test("a workload that does not exist is named, with those that do", () => {
  expect(() => workloadsNamed(["sieve", "siever"])).toThrow(/no workload siever.*sha256/);
  expect(workloadsNamed(["gcc", "sieve"]).map(({ name }) => name)).toEqual(["sieve", "gcc"]);
});

test("the geometric mean of 2 and 8 is 4", () => {
  expect(geometricMean([2, 8])).toBeCloseTo(4);
  expect(geometricMean([])).toBeNaN();
});

describe("the report", () => {
  function measured(contender: string, workload: string, ...samples: number[]): Measurement {
    return { benchmark: "cpu", workload, contender, unit: "ns", samples, median: median(samples), conditions: {} };
  }

  const measurements = [
    measured("native-64", "sieve", 10, 11, 9),
    measured("native-64", "qsort", 100),
    measured("native-64", "fork", 5),
    measured("terrarium-64", "sieve", 20),
    measured("terrarium-64", "qsort", 800),
    measured("terrarium-64", "fork", 50),
    measured("qemu-tcg-64", "sieve", 80),
    measured("qemu-tcg-64", "qsort", 800),
    measured("terrarium-32", "sieve", 30),
    measured("v86-32", "sieve", 10),
  ];
  const rows = report(measurements)
    .split("\n")
    .map((line) => line.split(/  +/));

  test("has slowdowns against the host, with half the range of the samples", () => {
    expect(rows).toContainEqual(["sieve", "10.0 ±10%", "2.00", "8.00"]);
    expect(rows).toContainEqual(["qsort", "100", "8.00", "8.00"]);
    expect(rows).toContainEqual(["fork", "5.00", "10.0"]);
  });

  test("takes means over each group", () => {
    expect(rows).toContainEqual(["slowdown, geometric mean", "computation", "kernel paths", "programs"]);
    expect(rows).toContainEqual(["terrarium-64", "4.00", "10.0"]);
    expect(rows).toContainEqual(["qemu-tcg-64", "8.00"]);
  });

  test("compares our times with others' of the same width, also where the host has none", () => {
    expect(rows).toContainEqual(["terrarium-64 / qemu-tcg-64", "0.500"]);
    expect(rows).toContainEqual(["terrarium-32 / v86-32", "3.00"]);
  });
});

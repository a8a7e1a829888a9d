/** What `terrarium compare` makes of its measurements. */

import { median, type Measurement } from "@terrarium/measure";
import { expect, test } from "vitest";
import { compared, comparisonTable } from "../../packages/cli/src/compare/comparison.js";

function measured(workload: string, contender: string, ...samples: number[]): Measurement {
  return { benchmark: "compare", workload, contender, unit: "ns", samples, median: median(samples), conditions: {} };
}

test("ratios are of medians to the host's, of the same workload, and spread is half the range", () => {
  const results = compared([
    measured("getppid", "host", 90, 100, 110),
    measured("getppid", "machine", 500, 250, 300),
    measured("fork", "host", 8),
    measured("fork", "machine", 2),
  ]);
  expect(results.map(({ ratio }) => ratio)).toEqual([1, 3, 1, 0.25]);
  const [host, machine, ...single] = results.map(({ spread }) => spread);
  expect(host).toBeCloseTo(0.1);
  expect(machine).toBeCloseTo(125 / 300);
  expect(single).toEqual([undefined, undefined]);
});

test("the table has a row for each workload, and for each place a median and a ratio", () => {
  const results = compared([
    measured("getppid", "host", 90, 100, 110),
    measured("getppid", "container", 150),
    measured("getppid", "machine", 500, 250, 300),
    measured("fork", "host", 8),
    measured("fork", "container", 12),
    measured("fork", "machine", 4000),
  ]);
  expect(comparisonTable(results).split("\n").map(cells)).toEqual([
    ["", "host", "container", "/ host", "machine", "/ host"],
    ["getppid", "100 ns ±10%", "150 ns", "1.50", "300 ns ±42%", "3.00"],
    ["fork", "8.00 ns", "12.0 ns", "1.50", "4000 ns", "500"],
  ]);
});

test("without the host there are medians and no ratios", () => {
  const results = compared([measured("fork", "machine", 4000)]);
  expect(results[0]).not.toHaveProperty("ratio");
  expect(comparisonTable(results).split("\n").map(cells)).toEqual([
    ["", "machine", "/ host"],
    ["fork", "4000 ns"],
  ]);
});

function cells(line: string): string[] {
  return line.split(/  +/);
}

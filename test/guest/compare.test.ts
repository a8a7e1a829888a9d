/** One program on the host, in a container and in a machine. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { forbidden } from "../container/containers.js";
import { terrarium } from "./terrarium.js";

const ROWS = ["start-up", "CPU loop", "getppid", "fork", "page fault"];
const GUESTS = forbidden === undefined ? ["container", "machine"] : ["machine"];

const directory = mkdtempSync(join(tmpdir(), "terrarium-compare-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Line {
  readonly workload: string;
  readonly contender: string;
  readonly unit: string;
  readonly samples: readonly number[];
  readonly median: number;
  readonly ratio: number;
}

test("terrarium compare shows every row for every place there is, and keeps what it shows", async () => {
  const json = join(directory, "compare.json");
  const { stdout, stderr, status } = await terrarium(["compare", "--samples", "1", "--json", json]);
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: forbidden === undefined ? "" : (expect.stringMatching(/^container is left out: .+\n$/) as string),
  });
  const [header, ...rows] = stdout.trimEnd().split("\n").map(cells);
  expect(header).toEqual(["", "host", ...GUESTS.flatMap((guest) => [guest, "/ host"])]);
  expect(rows.map(([title]) => title)).toEqual(ROWS);

  const lines = readFileSync(json, "utf8").trimEnd().split("\n");
  const kept = lines.map((line) => JSON.parse(line) as Line);
  expect(kept).toHaveLength(ROWS.length * (1 + GUESTS.length));
  for (const [title, host, ...guests] of rows) {
    const shown = ["host", ...GUESTS].map((place, index) => {
      const line = kept.find(({ workload, contender }) => workload === title && contender === place);
      if (line === undefined) throw new Error(`${String(title)}, ${place} is not in the file`);
      expect(line.samples).toEqual([line.median]);
      const [median = "", ratio] = index === 0 ? [host] : guests.slice(2 * index - 2, 2 * index);
      expectShown(median.replace(` ${line.unit}`, ""), line.median);
      if (ratio !== undefined) expectShown(ratio, line.ratio);
      return line;
    });
    for (const { median, ratio } of shown) expect(ratio).toBeCloseTo(median / (shown[0]?.median ?? NaN));
  }
  // Whatever the machine that runs this test: booting Debian takes longer than starting a program.
  expect(
    kept.find(({ workload, contender }) => workload === "start-up" && contender === "machine")?.ratio,
  ).toBeGreaterThan(2);
});

test("a container that cannot be had is left out with the cause", async () => {
  const { stdout, stderr, status } = await terrarium(["compare", `oci:${directory}:none`, "--samples", "1"]);
  expect(status).toBe(0);
  expect(stderr).toMatch(/^container is left out: .+\n$/);
  const [header, ...rows] = stdout.trimEnd().split("\n").map(cells);
  expect(header).toEqual(["", "host", "machine", "/ host"]);
  expect(rows.map(([title]) => title)).toEqual(ROWS);
});

test.each([
  ["--samples", "0", "whole number over zero"],
  ["--samples", "two", "whole number over zero"],
  ["--json", "/nowhere/at/all.json", "file that can be written"],
])("terrarium compare refuses %s %s before it measures", async (option, value, expected) => {
  const { stdout, stderr, status } = await terrarium(["compare", option, value]);
  expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
  expect(stderr).toContain(expected);
  expect(stderr).toContain("[OPTION_INVALID]");
});

function cells(line: string): string[] {
  return line.split(/  +/);
}

/** `text` is `value` to three figures. */
function expectShown(text: string, value: number): void {
  expect(Math.abs(Number(text) - value) / value, `${text} for ${value}`).toBeLessThan(0.006);
}

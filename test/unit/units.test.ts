import { parseBytes, parseDuration } from "../../packages/machine/src/exports.js";
import { expect, test } from "vitest";

test.each([
  ["250ms", 250],
  ["20s", 20_000],
  ["1.5min", 90_000],
  ["2h", 7_200_000],
] as const)("the duration %s is %d milliseconds", (text, milliseconds) => {
  expect(parseDuration(text, "timeout")).toBe(milliseconds);
});

test.each([
  ["512B", 512],
  ["64KiB", 65_536],
  ["256MiB", 268_435_456],
  ["0.5GiB", 536_870_912],
] as const)("the size %s is %d bytes", (text, bytes) => {
  expect(parseBytes(text, "memory")).toBe(bytes);
});

test.each(["", "20", "s", "20 parsecs", "-1s", "1e9s", "NaNs", "20S", "toString", "999999h"])(
  "the duration %j is refused with the option's name",
  (text) => {
    expect(() => parseDuration(text, "timeout")).toThrow(
      expect.objectContaining({
        code: "OPTION_INVALID",
        details: expect.objectContaining({ option: "timeout" }) as object,
      }),
    );
  },
);

test.each(["256", "256MB", "256mib", "MiB", "1.0000001KiB", "9999999999GiB", "__proto__"])(
  "the size %j is refused, because it has no binary unit or is no whole number of bytes",
  (text) => {
    expect(() => parseBytes(text, "memory")).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  },
);

test("a number without a unit is refused even when types are not checked", () => {
  expect(() => parseBytes(256 as unknown as string, "memory")).toThrow(/memory must be a size such as "64KiB"/);
});

import { expect, test } from "vitest";
import { grantedTo } from "../../packages/container/src/ids.js";

test("the ids a user has been granted are found by name and by number", () => {
  // As useradd writes them (subuid(5)).
  const text = "alice:100000:65536\n1001:165536:1000\n\nbroken\nbob:x:5\n";
  expect(grantedTo(text, 1000, "alice")).toEqual({ containerID: 1, hostID: 100_000, size: 65_535 });
  expect(grantedTo(text, 1001, "carol")).toEqual({ containerID: 1, hostID: 165_536, size: 1_000 });
  expect(grantedTo(text, 1002, "bob")).toBeUndefined();
  expect(grantedTo(text, 1003, undefined)).toBeUndefined();
});

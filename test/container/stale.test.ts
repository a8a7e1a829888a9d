/** A runtime that was built from other sources than the package. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeFrame } from "../../packages/container/src/frames.js";
import { Helper, PROTOCOL } from "../../packages/container/src/helper.js";
import { makeDirectory } from "./images.js";

/** A program that says `message` and nothing more, whatever it is asked. */
function runtimeThatSays(message: object): string {
  const directory = makeDirectory();
  writeFileSync(join(directory, "said"), encodeFrame(message));
  const program = join(directory, "runtime");
  writeFileSync(program, `#!/bin/sh\ncat ${directory}/said\nexec cat > /dev/null\n`, { mode: 0o755 });
  return program;
}

test.each([
  ["an older protocol", { type: "hello", protocol: PROTOCOL - 1 }],
  ["a newer one", { type: "hello", protocol: PROTOCOL + 1 }],
  ["none that says so", { type: "taken", process: 1 }],
])("with %s is refused, and nobody waits for it", { timeout: 10_000 }, async (_, message) => {
  const helper = new Helper(runtimeThatSays(message));
  const work = { kind: "remove", directory: "/no/where" } as const;
  const begun = helper.start({ type: "work", work, uidMappings: [], gidMappings: [] }, () => undefined);
  await expect(begun).rejects.toMatchObject({
    code: "RUNTIME_UNAVAILABLE",
    message: expect.stringMatching(/protocol \d+.*npm run build/) as string,
  });
  expect(helper.isGone).toBe(true);
});

test("is found out by a number that both have", () => {
  const source = new URL("../../emulator-core/crates/container/src/serve/message.rs", import.meta.url);
  expect(readFileSync(source, "utf8")).toContain(`pub const PROTOCOL: u32 = ${PROTOCOL};`);
});

import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the README's example works as printed", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  expect(example).toContain(`from "@terrarium/machine"`);
  // Inside the workspace, so that it finds the packages as a user's project would; Node runs TypeScript as it is.
  const file = fileURLToPath(new URL("./readme-example.mts", import.meta.url));
  const shown = `${example}\nprocess.stderr.write(JSON.stringify({ stdout, exitCode }));\n`;
  await writeFile(file, shown);
  try {
    const { stdout: console, stderr } = await promisify(execFile)(process.execPath, [file], { timeout: 290_000 });
    expect(console).toContain("Linux version");
    expect(JSON.parse(stderr)).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Linux /) as string });
  } finally {
    await rm(file);
  }
});

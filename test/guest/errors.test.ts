/** Every error of the core, from Rust through WebAssembly and a worker to the caller. */

import { readFile } from "node:fs/promises";
import { loadCore } from "@terrarium/core";
import { MachineError } from "@terrarium/machine";
import { afterAll, expect, test } from "vitest";
import { connectToWorker } from "../../packages/machine/dist/hosts/node.js";

const errorTable = (await loadCore()).errorTable();
const connection = connectToWorker();
afterAll(async () => {
  await connection.close();
});

test("TypeScript's table of codes is the core's", async () => {
  const source = await readFile(new URL("../../packages/machine/src/codes.ts", import.meta.url), "utf8");
  const codes = [...source.matchAll(/^ {2}readonly ([A-Z_]+): \{(.*?)\};$/gms)].map(([, code, fields]) => [
    code,
    [...(fields ?? "").matchAll(/readonly (\w+): (\w+)/g)].map(([, name, type]) => [name, type]),
  ]);
  expect(codes).toEqual(errorTable.map(({ code, details }) => [code, details]));
});

test.each(errorTable.map(({ code, details }) => ({ code, details })))(
  "$code arrives with its code, details and a sentence that names cause and mend",
  async ({ code, details }) => {
    const sent = Object.fromEntries(
      details.map(([name, type], index) => [name, type === "number" ? 4096 + index : `the ${name}`]),
    );
    const error: unknown = await connection.server.raise({ code, details: sent }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(MachineError);
    expect(error).toMatchObject({ code, details: sent });
    for (const value of Object.values(sent)) expect((error as MachineError).message).toContain(String(value));
  },
);

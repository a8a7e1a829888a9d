#!/usr/bin/env node
/** `terrarium-images [--update] [NAME...]`: builds the named guest images, or all of them. */
import { parseArgs } from "node:util";
import { recipes } from "../index.js";
import { ensureImage } from "./build.js";

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { update: { type: "boolean" } }, allowPositionals: true });
  const unknown = positionals.find((name) => !recipes.some((recipe) => recipe.name === name));
  if (unknown !== undefined) {
    throw new Error(`there is no image ${unknown}; there are ${recipes.map(({ name }) => name).join(", ")}`);
  }
  for (const recipe of recipes.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    await ensureImage(recipe, { update: values.update ?? false, say });
  }
}

main().catch((error: unknown) => {
  say(`terrarium-images: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
});

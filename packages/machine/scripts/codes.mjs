// Writes src/codes.ts from the error table inside the built core; with --check only says whether it is current.

import { readFile, writeFile } from "node:fs/promises";
import { loadCore } from "@terrarium/core";
import { format, resolveConfig } from "prettier";

const target = new URL("../src/codes.ts", import.meta.url);
const core = await loadCore();
const rows = core.errorTable().map(({ code, details }) => {
  const fields = details.map(([name, type]) => `readonly ${name}: ${type}`);
  return `readonly ${code}: { ${fields.join("; ")} };`;
});
const source = `// Generated from emulator-core/crates/machine/src/error.rs by \`npm run codes -w @terrarium/machine\`.

/** Fields of \`details\` for each failure the core reports. */
export interface CoreErrorDetails {
${rows.join("\n")}
}

/** Stable name of a failure the core reports. */
export type CoreErrorCode = keyof CoreErrorDetails;
`;
const wanted = await format(source, { ...(await resolveConfig(target)), parser: "typescript" });
if (!process.argv.includes("--check")) {
  await writeFile(target, wanted);
} else if ((await readFile(target, "utf8")) !== wanted) {
  process.stderr.write("packages/machine/src/codes.ts is not current: run `npm run codes -w @terrarium/machine`.\n");
  process.exitCode = 1;
}

/** Formatting, lints and type checks on both sides. Runs all of them, however many fail. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { environment } from "./command.mjs";
import { root } from "./steps.mjs";

const rust = join(root, "emulator-core");
const env = environment(root);

const checks = [
  ["Rust formatting", rust, "cargo", "fmt", "--all", "--check"],
  ["Rust lints", rust, "cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
  [
    "Rust lints for WebAssembly",
    rust,
    "cargo",
    "clippy",
    "-p",
    "wasm",
    "--target",
    "wasm32-unknown-unknown",
    "--",
    "-D",
    "warnings",
  ],
  ["TypeScript formatting", root, "prettier", "--check", "."],
  ["TypeScript lints", root, "eslint", "."],
  ["types", root, "tsc", "--build"],
  ["types of the tests", root, "tsc", "--project", "test"],
  ["table of error codes", root, "node", "packages/machine/scripts/codes.mjs", "--check"],
];

const failed = checks.filter(([name, cwd, command, ...args]) => {
  process.stderr.write(`== ${name}: ${command} ${args.join(" ")}\n`);
  return spawnSync(command, args, { cwd, env, stdio: "inherit" }).status !== 0;
});
process.stderr.write(
  failed.length === 0 ? "All checks pass.\n" : `Failed: ${failed.map(([name]) => name).join(", ")}\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

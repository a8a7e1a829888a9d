/** Compares the emulated processor with this machine's own, instruction by instruction; see emulator-core/crates/oracle. */
import { join } from "node:path";
import { environment, inPlace } from "./command.mjs";
import { root } from "./steps.mjs";

const manifest = join(root, "emulator-core/Cargo.toml");
const cargo = [
  "run",
  "--quiet",
  "--release",
  "--manifest-path",
  manifest,
  "--package",
  "oracle",
  "--bin",
  "conformance",
];
process.exitCode = await inPlace("cargo", [...cargo, "--", ...process.argv.slice(2)], { env: environment(root) });

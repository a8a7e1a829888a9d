/**
 * Every test there is: the Rust workspace's, then the TypeScript projects'. The last line of output is
 * `N passed, N failed`, counted from what the two runners report. With arguments only vitest runs, and gets them;
 * after `--node N`, under Node N, which npm brings.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { environment } from "./command.mjs";
import { otherNode } from "./other-node.mjs";
import { root } from "./steps.mjs";

const env = environment(root);
const REPORT = join(root, ".cache/test/vitest.json");

/** Runs a program with its output shown; resolves to the exit status and the output. */
function shown(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ succeeded: code === 0, output }));
  });
}

/** libtest ends every binary with `test result: ok. 12 passed; 0 failed; ...`. */
async function cargoTests() {
  const { succeeded, output } = await shown(
    "cargo",
    ["test", "--workspace", "--no-fail-fast"],
    join(root, "emulator-core"),
  );
  const results = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm)];
  const sum = (group) => results.reduce((total, match) => total + Number(match[group]), 0);
  return { name: "cargo", passed: sum(1), failed: atLeastOneUnless(succeeded, sum(2)) };
}

async function vitestTests(args) {
  mkdirSync(join(root, ".cache/test"), { recursive: true });
  rmSync(REPORT, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${REPORT}`];
  const config = join(root, "test/vitest.config.ts");
  const { succeeded } = await shown("vitest", ["run", "--config", config, ...reporters, ...args], root);
  return { name: "vitest", ...countVitest(succeeded) };
}

function countVitest(succeeded) {
  let report;
  try {
    report = JSON.parse(readFileSync(REPORT, "utf8"));
  } catch {
    return { passed: 0, failed: 1 };
  }
  // A file that cannot be loaded has no tests to fail.
  const unloadable = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: atLeastOneUnless(succeeded, report.numFailedTests + unloadable.length),
  };
}

/** A runner that failed without a failing test has failed all the same: it did not build, or crashed. */
function atLeastOneUnless(succeeded, failed) {
  return succeeded ? failed : Math.max(1, failed);
}

const [option, version, ...others] = process.argv.slice(2);
const isOther = option === "--node";
if (isOther) {
  const directory = otherNode(root, version, env);
  env.PATH = `${directory}${delimiter}${env.PATH}`;
  process.stdout.write(`Node ${spawnSync(join(directory, "node"), ["--version"], { encoding: "utf8" }).stdout}`);
}
const args = isOther ? others : process.argv.slice(2);
const suites = isOther || args.length > 0 ? [await vitestTests(args)] : [await cargoTests(), await vitestTests([])];
const total = { passed: 0, failed: 0 };
process.stdout.write("\n");
for (const { name, passed, failed } of suites) {
  process.stdout.write(`${name}: ${passed} passed, ${failed} failed\n`);
  total.passed += passed;
  total.failed += failed;
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 ? 0 : 1;

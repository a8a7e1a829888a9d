/**
 * `node packages/setup/bootstrap.mjs start|test|demo|bench|conformance|lint|build [arguments]`: makes everything ready, then does it.
 *
 * Runs with nothing installed and under whatever Node the machine has (20 or newer), so this folder imports nothing but
 * Node's own modules. What it starts runs under the Node of node_modules.
 */
import { join } from "node:path";
import { environment, inPlace, SetupError } from "./command.mjs";
import { setUp } from "./setup.mjs";
import { imageNames, root } from "./steps.mjs";

const DEFAULT_IMAGE = "debian-cloud";
const OLDEST_NODE = 20;
const [task, ...args] = process.argv.slice(2);

/** What each task runs, and the guest images it needs. */
const tasks = {
  start: { program: ["packages/cli/bin/terrarium.mjs", "boot"], images: imagesToStart },
  test: { program: ["packages/setup/test.mjs"], images: imageNames },
  demo: { program: ["packages/web/dist/demo.js"], images: () => [DEFAULT_IMAGE] },
  bench: { program: ["benchmarks/dist/main.js"], images: imagesToBench },
  conformance: { program: ["packages/setup/conformance.mjs"], images: () => [] },
  lint: { program: ["packages/setup/lint.mjs"], images: () => [] },
  build: { program: undefined, images: namedImages },
};

/** Images that the arguments name, or the default. */
function namedImages() {
  const named = imageNames().filter((name) => args.includes(name));
  return named.length === 0 ? [DEFAULT_IMAGE] : named;
}

/** The benchmark of processors boots one image of each width, and one with programs. */
function imagesToBench() {
  return args.includes("cpu") ? [DEFAULT_IMAGE, "debian-i386", "debian-tools"] : namedImages();
}

/** A kernel or firmware of the user's own needs no image, and neither does help. */
function imagesToStart() {
  return args.some((argument) => /^--(kernel|bios|help)\b/.test(argument)) ? [] : namedImages();
}

async function main() {
  const chosen = tasks[task];
  if (chosen === undefined)
    throw new SetupError(`There is no task ${task}.`, `The tasks are ${Object.keys(tasks).join(", ")}.`);
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    throw new SetupError(`This is Node ${process.versions.node}.`, `Install Node ${OLDEST_NODE} or newer.`);
  }
  await setUp(chosen.images());
  if (chosen.program === undefined) return 0;
  const [script, ...first] = chosen.program;
  // V8 compiles the core in several threads; glibc would give each an arena that keeps what the thread has freed.
  const env = { MALLOC_ARENA_MAX: "1", ...environment(root) };
  return inPlace(join(root, "node_modules/.bin/node"), [join(root, script), ...first, ...args], { env });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(error instanceof SetupError ? `${error.message}\n${error.hint}\n` : `${error.stack}\n`);
  process.exitCode = 1;
}

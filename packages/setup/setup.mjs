/** Runs the steps that are due, side by side where they do not wait for each other. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./command.mjs";
import { withLock } from "./lock.mjs";
import { Progress } from "./progress.mjs";
import { Stamp } from "./stamp.mjs";
import { root, stepsFor, workbench } from "./steps.mjs";

const state = join(root, ".cache/setup");

/** Makes everything ready for the guest images named. Without anything to do it takes a few milliseconds. */
export async function setUp(images) {
  const steps = stepsFor(images);
  if (due(steps).length === 0) return;
  await withLock(join(state, "lock"), () => runAll(due(steps)));
}

function stampOf(step) {
  return new Stamp(join(state, `${step.name}.json`), root);
}

/** The steps whose inputs have changed or whose outputs are missing, those that follow from them, and their tools. */
function due(steps) {
  const names = new Set();
  for (const step of steps.filter(({ inputs }) => inputs !== undefined)) {
    const current = step.outputs().every((file) => existsSync(file)) && stampOf(step).matches(step.files());
    if (!current) names.add(step.name);
  }
  for (const { name, neededBy = [] } of steps) if (neededBy.some((other) => names.has(other))) names.add(name);
  return steps.filter(({ name }) => names.has(name));
}

async function runAll(steps) {
  process.stderr.write(`Setting up (${steps.length} steps; logs in .cache/setup):\n`);
  const progress = new Progress(steps.length);
  const running = new Map();
  for (const step of steps) {
    const before = step.after.map((name) => running.get(name));
    running.set(
      step.name,
      Promise.all(before).then(() => runOne(step, progress)),
    );
  }
  const results = await Promise.allSettled(running.values());
  const failed = results.find(({ status }) => status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function runOne(step, progress) {
  // Read before running: what changes meanwhile is for the next time. npm ci does not change its inputs either.
  const line = progress.begin(step.title);
  try {
    const files = step.files();
    await step.run(workbench(step, line.detail));
    const missing = (step.outputs?.() ?? []).find((file) => !existsSync(file));
    if (missing !== undefined) throw new SetupError(`${missing} was not made`, `See .cache/setup/${step.name}.log.`);
    if (step.inputs !== undefined) stampOf(step).record(files);
  } catch (error) {
    line.end(true);
    throw error;
  }
  line.end();
}

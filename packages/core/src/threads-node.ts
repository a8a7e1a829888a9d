/** Node: how the engine's own threads share the processors with the machine's. */

import { readdirSync, readFileSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { join } from "node:path";

/** Threads of this process, on Linux. */
const TASKS = "/proc/self/task";
/** What V8 calls those that optimise code and collect garbage. */
const ENGINE_THREAD = "V8Worker";
/** Steps of priority below the machine's: a tenth of its share where more threads are busy than there are processors, else no less. */
const GIVING_WAY = 10;

/**
 * Has the engine's threads give way to the machine's and to the one that compiles for it: for what they do nobody waits, and there are four of
 * them. Where threads have neither names nor priorities of their own, nothing happens.
 */
export function giveWayToMachines(): void {
  try {
    const priority = Math.min(getPriority() + GIVING_WAY, constants.priority.PRIORITY_LOW);
    for (const task of readdirSync(TASKS)) {
      const name = readFileSync(join(TASKS, task, "comm"), "utf8").trim();
      if (name === ENGINE_THREAD) setPriority(Number(task), priority);
    }
  } catch {
    // Another system, or a thread that has just ended.
  }
}

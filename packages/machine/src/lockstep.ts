/** Two machines in step, in the calling thread: for those who test the engines, not for those who run guests. */

import { loadCore, type CoreLockstep } from "@terrarium/core";
import { readFile } from "#host";
import { resolveConfig, type MachineConfig } from "./config.js";
import { fromCore } from "./errors.js";
import { bootSource } from "./server/startup.js";

export type { CoreLockstep, LockstepProgress } from "@terrarium/core";

/** The guest's clock at power-on, and its random numbers: the same in every run, so that a difference is found again. */
const UNIX_SECONDS = 1_700_000_000;
const RANDOM_SEED = 1;

/**
 * Powers on two machines of `config` that are compared as they go: one interprets, the other compiles what has run `hot` times.
 * @throws MachineError as `boot()` does
 */
export async function lockstep(config: MachineConfig, hot = 1): Promise<CoreLockstep> {
  const { core: board, startup } = resolveConfig(config);
  const [core, source] = await Promise.all([loadCore(), bootSource(startup, readFile)]);
  try {
    return core.createLockstep({ ...board, unixSeconds: UNIX_SECONDS, randomSeed: RANDOM_SEED }, source, hot);
  } catch (thrown) {
    throw fromCore(thrown);
  }
}

/** Leaving a container to a process of its own. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { MachineError } from "@terrarium/machine";
import type { ContainerRecord } from "./place.js";

/** Name of the command that the process runs; not for users. */
export const HOLD = "hold";

/** Starts a process that holds the container of `record`, which may have run before; resolves when it runs. */
export async function detach({ id }: ContainerRecord, { again = false } = {}): Promise<void> {
  const tool = fileURLToPath(new URL("../../bin/terrarium.mjs", import.meta.url));
  // In a session of its own: what ends this terminal's programs is not meant for it.
  const child = spawn(process.execPath, [tool, HOLD, id, ...(again ? ["--again"] : [])], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const closed = once(child, "close");
  const said = await text(child.stdout);
  if (said === "running\n") {
    child.unref();
    return;
  }
  await closed;
  if (said === "") {
    const reason = "it ended before the container ran";
    throw new MachineError("RUNTIME_UNAVAILABLE", `Who should hold the container does not: ${reason}.`, { reason });
  }
  const error = JSON.parse(said) as Pick<MachineError, "code" | "message" | "details">;
  throw new MachineError(error.code, error.message, error.details);
}

/** The command line tool, as a user starts it. */

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** Path of the tool. */
export const TERRARIUM = fileURLToPath(new URL("../../packages/cli/bin/terrarium.mjs", import.meta.url));

/** What came of a call. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** Runs `terrarium` with `args` and `stdin`; ends it if it takes longer than five minutes. */
export async function terrarium(args: readonly string[], stdin: string | Uint8Array = ""): Promise<Outcome> {
  const child = spawn(process.execPath, [TERRARIUM, ...args], { timeout: 290_000 });
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const closed = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { stdout, stderr, status };
}

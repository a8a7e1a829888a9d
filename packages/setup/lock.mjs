/** One set-up at a time: two terminals that start together must not install into each other's feet. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const RETRY_MS = 300;

/** Runs `work` while holding the lock `file`; waits for whoever holds it. */
export async function withLock(file, work) {
  await acquire(file);
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    release();
    process.removeListener("exit", release);
  }
}

async function acquire(file) {
  mkdirSync(dirname(file), { recursive: true });
  for (let told = false; ;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale(file)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!told) process.stderr.write("Another set-up is running here; waiting for it.\n");
    told = true;
    await sleep(RETRY_MS);
  }
}

/** Whether the process that took the lock is gone. */
function isStale(file) {
  try {
    const holder = Number(readFileSync(file, "utf8"));
    // Between creation and writing the file is empty.
    if (holder > 0) process.kill(holder, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

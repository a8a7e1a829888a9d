/** Peak memory of the whole process while a guest boots, and what of it is the guest's RAM and Node's own. */

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { images } from "@terrarium/images";
import { conditions, median, type Measurement } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";

/** A script that does nothing, for Node's own share. */
const NOTHING = ["--input-type=module", "--eval", "await new Promise((resolve) => setTimeout(resolve, 500))"];

export const memory: Benchmark = {
  name: "memory",
  description: "peak resident memory beyond Node's own and the guest RAM that was touched",

  async run({ samples, image: name, engine, progress }) {
    const image = images.find((candidate) => candidate.name === name);
    if (image === undefined) throw new Error(`there is no image ${name}`);
    const overheads: number[] = [];
    const peaks: number[] = [];
    for (let sample = 0; sample < samples; sample += 1) {
      progress(`${name}, ${sample + 1} of ${samples}`);
      const own = await peakOf(NOTHING);
      const guest = await peakOf([fileURLToPath(new URL("./memory-guest.js", import.meta.url)), name, engine]);
      peaks.push(guest.processKiB / 1024);
      // Of the linear memory only guest RAM is left out; all of the core's own counts as touched.
      const guestKiB = guest.wasmKiB - Number(guest.output) / 1024;
      overheads.push((guest.processKiB - guestKiB - own.processKiB) / 1024);
    }
    const measurement = (workload: string, values: number[]): Measurement => ({
      benchmark: "memory",
      workload,
      contender: "terrarium",
      unit: "MiB",
      samples: values,
      median: median(values),
      conditions: { ...conditions(), memory: image.memory, engine },
    });
    return [measurement(`${name}: peak`, peaks), measurement(`${name}: over Node and touched guest RAM`, overheads)];
  },
};

interface Peak {
  /** Highest resident size of the process. */
  readonly processKiB: number;
  /** Highest resident part of the core's linear memory. */
  readonly wasmKiB: number;
}

interface Watched extends Peak {
  /** What it wrote to its standard output. */
  readonly output: string;
}

/** Runs Node with those arguments until it ends, and watches its memory (proc(5): VmHWM, smaps). */
async function peakOf(args: readonly string[]): Promise<Watched> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const output = text(child.stdout);
  let peak: Peak = { processKiB: 0, wasmKiB: 0 };
  while (child.exitCode === null && child.signalCode === null) {
    const now = (await look(child.pid ?? 0)) ?? peak;
    peak = { processKiB: now.processKiB, wasmKiB: Math.max(now.wasmKiB, peak.wasmKiB) };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { ...peak, output: await output };
}

async function look(pid: number): Promise<Peak | undefined> {
  try {
    const [status, maps] = await Promise.all([
      readFile(`/proc/${pid}/status`, "utf8"),
      readFile(`/proc/${pid}/smaps`, "utf8"),
    ]);
    const processKiB = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return processKiB === 0 ? undefined : { processKiB, wasmKiB: largestMapping(maps) };
  } catch {
    return undefined;
  }
}

/** Resident KiB of the process's largest writable mapping, which is the linear memory. */
function largestMapping(maps: string): number {
  const writable = [...maps.matchAll(/^[0-9a-f]+-[0-9a-f]+ rw-p.*\nSize:\s+(\d+) kB\n(?:.*\n)*?Rss:\s+(\d+) kB/gm)];
  const largest = writable.reduce((best, next) => (Number(next[1]) > Number(best[1]) ? next : best), ["", "0", "0"]);
  return Number(largest[2]);
}

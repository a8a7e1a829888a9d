/** What containers leave on the host, which has to be nothing. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How long the kernel may take for what it clears away in its own time: network namespaces, a second for many. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 50;

/** Everything of a kind that a container could leave, each thing by a name that stays the same. */
export type Traces = ReadonlySet<string>;

/** What there is now. */
export function traces(): Traces {
  return new Set([
    ...mounts().map((line) => `mount ${line}`),
    ...groups().map((path) => `cgroup ${path}`),
    ...processes().map((pid) => `process ${pid} ${read(`/proc/${pid}/comm`).trimEnd()}`),
    ...namespaces().map((name) => `namespace ${name}`),
    ...devices().map((name) => `network device ${name}`),
    ...files().map((path) => `file ${path}`),
    ...descriptors().map((name) => `descriptor of the helper: ${name}`),
  ]);
}

/**
 * Waits until nothing is there that was not there before.
 * @throws Error which names what stays
 */
export async function expectNothingLeft(before: Traces, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = [...traces()].filter((trace) => !before.has(trace));
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      const named = left.slice(0, 20).join("\n  ");
      throw new Error(`containers have left ${left.length} things behind:\n  ${named}`);
    }
    await sleep(LOOK_MS);
  }
}

function mounts(): string[] {
  return read("/proc/self/mountinfo").trimEnd().split("\n");
}

/** Groups that this process or its helper has made, in every hierarchy that is mounted: their names have its number. */
function groups(): string[] {
  const points = mounts().flatMap((line) => {
    const [mount = "", filesystem = ""] = line.split(" - ");
    return filesystem.startsWith("cgroup") ? [mount.split(" ")[4] ?? ""] : [];
  });
  const makers = [String(process.pid), ...helpers()];
  return points.flatMap((point) =>
    list(join(point, "terrarium"), true)
      .filter((name) => makers.some((pid) => name.includes(`@${pid}-`)))
      .map((name) => join(point, "terrarium", name)),
  );
}

/** This process's, those of its children, and so on. */
function processes(): string[] {
  const parents = new Map<string, string>();
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    // Behind the name, which may hold anything: the state, then the parent.
    const parent = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const own = String(process.pid);
  const descends = (pid: string): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === own || descends(parent));
  };
  return [...parents.keys()].filter(descends);
}

/** Namespaces that some process is in. */
function namespaces(): string[] {
  const all = processes().flatMap((pid) => list(`/proc/${pid}/ns`).map((kind) => link(`/proc/${pid}/ns/${kind}`)));
  return [...new Set(all)].filter((name) => name !== "");
}

/** The host's ends of cables, and what goes by our name. */
function devices(): string[] {
  return list("/sys/class/net").filter((name) => /^(terrarium|veth|port|eth)/.test(name));
}

/** Files and directories with our name where temporary ones are. */
function files(): string[] {
  const names = list(tmpdir()).filter((name) => name.startsWith("terrarium"));
  return names.map((name) => join(tmpdir(), name));
}

function helpers(): string[] {
  return processes().filter((pid) => read(`/proc/${pid}/cmdline`).endsWith("terrarium-container\0serve\0"));
}

/** What the helper has open, by number: more of them each time would end it some day. */
function descriptors(): string[] {
  return helpers().flatMap((pid) => list(`/proc/${pid}/fd`).map((number) => `${pid} ${number}`));
}

/** What comes and goes while it is looked at is empty. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(path: string, recursive = false): string[] {
  try {
    return readdirSync(path, { recursive, withFileTypes: true })
      .filter((entry) => !recursive || entry.isDirectory())
      .map((entry) => (recursive ? join(entry.parentPath, entry.name).slice(path.length + 1) : entry.name));
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

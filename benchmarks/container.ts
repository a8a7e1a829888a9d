/** What a container costs: start to exit of /bin/true behind everything that isolates, and many at once. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot, type ContainerConfig } from "@terrarium/container";
import { conditions, median, Series, type Measurement } from "@terrarium/measure";
import type { Benchmark } from "./benchmark.js";
import { MANY, manyAtOnce, throughput } from "./many-containers.js";

const RUNTIME = fileURLToPath(new URL("../../packages/container/pkg/terrarium-container", import.meta.url));

/** Every runtime does a container more than once a sample: a start is short, and a clock's reading is not. */
const STARTS = 10;

/** What is measured, by the words of `--only`. */
const STARTS_WORKLOAD = "start";
const MANY_WORKLOAD = "many";
const NETWORK_WORKLOAD = "network";

/** Ids of the host that the container's become, the same for everybody. */
const IDS = [{ containerID: 0, hostID: 1_900_000_000, size: 65_536 }];

/** Whoever can run /bin/true in a container. */
interface Runtime {
  readonly name: string;
  /** Starts it, waits for its end, and leaves nothing. */
  start(bundle: string, id: string): Promise<void>;
  /** Why it cannot take part. */
  unavailable(bundle: string): string | undefined;
}

export const container: Benchmark = {
  name: "container",
  description: "start to exit of /bin/true beside runc, crun, bubblewrap; a thousand at once; what networks carry",

  async run({ samples, takesPart, only, progress }) {
    if (process.geteuid?.() !== 0) throw new Error("the runtimes can only be compared as root");
    const bundle = makeBundle();
    const wanted = (workload: string): boolean => only?.includes(workload) ?? true;
    try {
      const alone = takesPart("terrarium-api") ? await measureAlone(bundle, samples, wanted, progress) : [];
      if (!wanted(STARTS_WORKLOAD)) return alone;
      const runtimes = [api(bundle), ...COMMANDS]
        .filter(({ name }) => takesPart(name))
        .filter((runtime) => {
          const reason = runtime.unavailable(bundle);
          if (reason !== undefined) progress(`${runtime.name} is left out: ${reason}`);
          return reason === undefined;
        });
      const series = new Series();
      for (let sample = 0; sample < samples; sample += 1) {
        for (const runtime of runtimes) {
          const { name } = runtime;
          progress(`${name}, ${sample + 1} of ${samples}`);
          const begun = performance.now();
          for (let number = 0; number < STARTS; number += 1)
            await runtime.start(bundle, `bench-${process.pid}-${number}`);
          series.add(name, (performance.now() - begun) / STARTS);
        }
      }
      const starts = runtimes.map(({ name }) => measured(STARTS_WORKLOAD, name, "ms", series.get(name)));
      return [...starts, ...alone];
    } finally {
      rmSync(bundle, { recursive: true });
    }
  },
};

/** What only our own API has: a thousand at once, and networks. */
async function measureAlone(
  bundle: string,
  samples: number,
  wanted: (workload: string) => boolean,
  progress: (text: string) => void,
): Promise<Measurement[]> {
  const series = new Series();
  const config = apiConfig(bundle);
  for (let sample = 1; sample <= Math.min(samples, 3); sample += 1) {
    if (wanted(MANY_WORKLOAD)) {
      progress(`${MANY} at once, ${sample}`);
      const { startMs, memoryKib, stopMs } = await manyAtOnce(config, MANY);
      series.add("start", startMs);
      series.add("memory", memoryKib);
      series.add("stop", stopMs);
    }
    if (wanted(NETWORK_WORKLOAD)) {
      progress(`network, ${sample}`);
      series.add("loopback", await throughput(config));
      for (const network of ["bridge", "user"] as const) series.add(network, await throughput(config, network));
    }
  }
  const rows = [
    [MANY_WORKLOAD, "start", "ms each"],
    [MANY_WORKLOAD, "memory", "KiB each"],
    [MANY_WORKLOAD, "stop", "ms each"],
    [NETWORK_WORKLOAD, "loopback", "Gbit/s"],
    [NETWORK_WORKLOAD, "bridge", "Gbit/s"],
    [NETWORK_WORKLOAD, "user", "Gbit/s"],
  ] as const;
  return rows
    .filter(([, name]) => series.get(name).length > 0)
    .map(([workload, name, unit]) => measured(workload, name, unit, series.get(name)));
}

function measured(workload: string, contender: string, unit: string, samples: readonly number[]): Measurement {
  const common = { benchmark: "container", workload, contender, unit };
  return { ...common, samples, median: median(samples), conditions: conditions() };
}

/** The host's /usr in a root of its own, with the configuration that every OCI runtime gets. */
function makeBundle(): string {
  const bundle = mkdtempSync(join(tmpdir(), "terrarium-bench-"));
  // Runtimes that open the root from within their user namespace need a way there.
  chmodSync(bundle, 0o755);
  const root = join(bundle, "rootfs");
  for (const name of ["usr", "proc", "dev", "sys"]) mkdirSync(join(root, name), { recursive: true });
  for (const name of ["bin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  const { status, stderr } = spawnSync(RUNTIME, ["spec", "--bundle", bundle], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the configuration cannot be made: ${stderr}`);
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as {
    ociVersion: string;
    process: { terminal: boolean; args: string[] };
    mounts: unknown[];
    linux: { namespaces: unknown[]; uidMappings: unknown; gidMappings: unknown };
  };
  // The oldest of them knows no later version.
  config.ociVersion = "1.0.2";
  config.process.terminal = false;
  config.process.args = ["/bin/true"];
  config.mounts.push({ destination: "/usr", type: "none", source: "/usr", options: ["rbind", "ro"] });
  config.linux.namespaces.push({ type: "user" });
  config.linux.uidMappings = IDS;
  config.linux.gidMappings = IDS;
  writeFileSync(file, JSON.stringify(config));
  return bundle;
}

/** The package's own boot(), with its defaults, which isolate as much. */
function api(bundle: string): Runtime {
  const config = apiConfig(bundle);
  return {
    name: "terrarium-api",
    unavailable: () => undefined,
    async start() {
      await using guest = await boot(config);
      const exit = await guest.exited;
      if (exit.reason !== "exited" || exit.exitCode !== 0) throw new Error(`it ended with ${JSON.stringify(exit)}`);
    },
  };
}

function apiConfig(bundle: string): ContainerConfig {
  return {
    rootfs: join(bundle, "rootfs"),
    command: ["/bin/true"],
    terminal: false,
    writes: "none",
    volumes: [{ source: "/usr", target: "/usr", readonly: true }],
  };
}

function command(name: string, words: (bundle: string, id: string) => readonly [string, ...string[]]): Runtime {
  const run = (bundle: string): string | undefined => {
    const [program, ...args] = words(bundle, `probe-${process.pid}`);
    const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
    return status === 0 ? undefined : (error?.message ?? stderr.trim());
  };
  return {
    name,
    unavailable: run,
    async start(bundle, id) {
      const [program, ...args] = words(bundle, id);
      const [code] = (await once(spawn(program, args, { stdio: "ignore" }), "exit")) as [number | null];
      if (code !== 0) throw new Error(`${name} ended with ${String(code)}`);
    },
  };
}

/** bubblewrap has no configuration: the nearest to it that its options can say. No seccomp, no masks, no cgroup. */
function bubblewrap(bundle: string): readonly [string, ...string[]] {
  const own = ["--unshare-all", "--hostname", "terrarium", "--die-with-parent", "--new-session", "--cap-drop", "ALL"];
  const files = [
    "--ro-bind",
    join(bundle, "rootfs"),
    "/",
    "--ro-bind",
    "/usr",
    "/usr",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
  ];
  return ["bwrap", ...own, ...files, "/bin/true"];
}

const COMMANDS: readonly Runtime[] = [
  command("terrarium", (bundle, id) => [RUNTIME, "run", "--bundle", bundle, id]),
  command("crun", (bundle, id) => ["crun", "run", "--bundle", bundle, id]),
  command("runc", (bundle, id) => ["runc", "run", "--bundle", bundle, id]),
  command("bubblewrap", bubblewrap),
];

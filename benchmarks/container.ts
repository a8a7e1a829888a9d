/** What a container costs: start to exit of /bin/true behind everything that isolates, and many at once. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot } from "@terrarium/container";
import { Series, type Benchmark } from "./benchmark.js";
import { conditions, median, type Measurement } from "./measurement.js";

const RUNTIME = fileURLToPath(new URL("../../packages/container/pkg/terrarium-container", import.meta.url));

/** Every runtime does a container more than once a sample: a start is short, and a clock's reading is not. */
const STARTS = 10;

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
  description: "wall time from start to exit of /bin/true with everything that isolates, beside runc, crun, bubblewrap",

  async run({ samples, takesPart, progress }) {
    if (process.geteuid?.() !== 0) throw new Error("the runtimes can only be compared as root");
    const bundle = makeBundle();
    try {
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
      return runtimes.map(({ name }): Measurement => {
        const values = series.get(name);
        const common = { benchmark: "container", workload: "start to exit", contender: name, unit: "ms" };
        return { ...common, samples: values, median: median(values), conditions: conditions() };
      });
    } finally {
      rmSync(bundle, { recursive: true });
    }
  },
};

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
  const config = {
    rootfs: join(bundle, "rootfs"),
    command: ["/bin/true"],
    terminal: false,
    writes: "none",
    volumes: [{ source: "/usr", target: "/usr", readonly: true }],
  } as const;
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

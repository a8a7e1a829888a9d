/** What is run: the pieces of `workloads/`, and programs of Debian's. */

/** Geometric means are taken over a group. Programs were never looked at while the emulator was made faster. */
export const GROUPS = ["computation", "kernel paths", "programs"] as const;
export type Group = (typeof GROUPS)[number];

export interface Workload {
  readonly name: string;
  readonly group: Group;
  /** The program and its arguments, where it is not a piece. */
  readonly command: readonly string[];
  /** It needs a processor with AVX2 and FMA. */
  readonly wide: boolean;
}

const COMPUTATION = [
  ...["sha256", "sieve", "xorshift64", "branches", "calls", "crc32", "qsort", "bytecode"],
  ...["pointer-chase", "memcpy", "memcpy-sse2", "memchr", "nbody", "matmul", "matmul-sse2", "x87"],
];

/** In guests of their own, so that what all other workloads run on stays as stock programs find it. */
const WIDE = ["matmul-fma", "blend-avx2"];

const KERNEL_PATHS = ["getppid", "page-faults", "pipe", "fork", "exec"];

/** Directory of `inputs/` in the guest. */
export const INPUTS = "bench";

/** Each takes some hundredths of a second on the host. What one works on is in the image anyway, or an input of ours. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  gzip: ["gzip", "-cn", "/usr/lib/python3.11/_pydecimal.py"],
  zstd: ["zstd", "-qc", "-7", "--single-thread", "/usr/lib/python3.11/_pydecimal.py"],
  xz: ["xz", "-c", "-2", "/usr/lib/python3.11/_pydecimal.py"],
  sqlite: ["sqlite3", ":memory:", `.read /${INPUTS}/orders.sql`],
  python: ["python3", `/${INPUTS}/queens.py`],
  perl: ["perl", `/${INPUTS}/words.pl`, "/usr/lib/python3.11/_pydecimal.py"],
  gcc: ["sh", "-c", `gcc -O2 -o /tmp/lists /${INPUTS}/lists.c -lm && /tmp/lists`],
};

export const WORKLOADS: readonly Workload[] = [
  ...COMPUTATION.map((name): Workload => ({ name, group: "computation", command: [], wide: false })),
  ...WIDE.map((name): Workload => ({ name, group: "computation", command: [], wide: true })),
  ...KERNEL_PATHS.map((name): Workload => ({ name, group: "kernel paths", command: [], wide: false })),
  ...Object.entries(PROGRAMS).map(([name, command]): Workload => ({ name, group: "programs", command, wide: false })),
];

/** The workloads of these names, or all of them. */
export function workloadsNamed(names: readonly string[] | undefined): Workload[] {
  const unknown = names?.find((name) => !WORKLOADS.some((workload) => workload.name === name));
  if (unknown !== undefined) {
    throw new Error(`there is no workload ${unknown}; there are ${WORKLOADS.map(({ name }) => name).join(", ")}`);
  }
  return WORKLOADS.filter(({ name }) => names?.includes(name) ?? true);
}

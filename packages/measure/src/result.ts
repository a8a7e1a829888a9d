/** What the program with the workloads prints. */

/** What a run of the program printed. */
export interface Result {
  readonly passes: number;
  /** Time for one unit of the workload, such as a byte or a call. */
  readonly nanoseconds: number;
  readonly checksum: string;
}

/** The result line in `shown`, which may hold an echo and prompts as well; undefined where there is none. */
export function resultIn(shown: string, workload: string): Result | undefined {
  for (const line of shown.split(/[\r\n]+/)) {
    const [name, passes, nanoseconds, checksum = ""] = line.split(" ");
    if (name === workload && /^[0-9a-f]{16}$/.test(checksum)) {
      return { passes: Number(passes), nanoseconds: Number(nanoseconds), checksum };
    }
  }
  return undefined;
}

/** Nobody may be fast by being wrong. */
export function requireAgreement(workload: string, checksums: ReadonlyMap<string, string>): void {
  if (new Set(checksums.values()).size <= 1) return;
  const computed = [...checksums].map(([place, checksum]) => `${place} computed ${checksum}`).join(", ");
  throw new Error(`${workload}: ${computed}`);
}

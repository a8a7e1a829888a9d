/** The measurements as people want to see them: slowdowns against the host, their means, and who beats whom. */

import { aligned, figure, shownSpread, type Measurement } from "@terrarium/measure";
import { GROUPS, WORKLOADS, type Group } from "./workloads.js";

/** Whom we are compared with, as ends of names. */
const OURS = "terrarium";
const OTHERS = ["qemu-tcg", "v86"];

/** The geometric mean of `ratios`; NaN of none. */
export function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}

/** Three parts: a row a workload, means of the groups, and our times against others'. */
export function report(measurements: readonly Measurement[]): string {
  const results = new Results(measurements);
  return [slowdowns(results), means(results), comparisons(results)].filter((part) => part !== "").join("\n\n");
}

class Results {
  readonly workloads: readonly string[];
  readonly natives: readonly string[];
  readonly guests: readonly string[];
  readonly #measurements: readonly Measurement[];

  constructor(measurements: readonly Measurement[]) {
    this.#measurements = measurements;
    this.workloads = WORKLOADS.map(({ name }) => name).filter((name) =>
      measurements.some(({ workload }) => workload === name),
    );
    const contenders = [...new Set(measurements.map(({ contender }) => contender))];
    this.natives = contenders.filter((name) => name.startsWith("native-"));
    this.guests = contenders.filter((name) => !name.startsWith("native-"));
  }

  find(contender: string, workload: string): Measurement | undefined {
    return this.#measurements.find((found) => found.contender === contender && found.workload === workload);
  }

  /** Time of `contender` in terms of `base`'s, where both ran the workload. */
  ratio(contender: string, base: string, workload: string): number | undefined {
    const [time, baseTime] = [this.find(contender, workload), this.find(base, workload)];
    return time === undefined || baseTime === undefined ? undefined : time.median / baseTime.median;
  }

  meanRatio(contender: string, base: string, group: Group): number | undefined {
    const ratios = WORKLOADS.filter((workload) => workload.group === group)
      .map(({ name }) => this.ratio(contender, base, name))
      .filter((ratio) => ratio !== undefined);
    return ratios.length === 0 ? undefined : geometricMean(ratios);
  }
}

/** The host's times, and how many times as long each guest takes; after it, half the range of the samples. */
function slowdowns(results: Results): string {
  const header = ["", ...results.natives.map((native) => `${native} ns`), ...results.guests];
  const rows = results.workloads.map((workload) => [
    workload,
    ...results.natives.map((native) => {
      const time = results.find(native, workload);
      return time === undefined ? "" : `${figure(time.median)}${shownSpread(time)}`;
    }),
    ...results.guests.map((guest) => {
      const [time, slowdown] = [results.find(guest, workload), results.ratio(guest, nativeOf(guest), workload)];
      return time === undefined || slowdown === undefined ? "" : `${figure(slowdown)}${shownSpread(time)}`;
    }),
  ]);
  return aligned([header, ...rows]);
}

function means(results: Results): string {
  const rows = results.guests.map((guest) => [
    guest,
    ...GROUPS.map((group) => shown(results.meanRatio(guest, nativeOf(guest), group))),
  ]);
  return aligned([["slowdown, geometric mean", ...GROUPS], ...rows]);
}

function comparisons(results: Results): string {
  const pairs = results.guests
    .filter((guest) => guest.startsWith(`${OURS}-`))
    .flatMap((ours) => OTHERS.map((other) => [ours, ours.replace(OURS, other)] as const))
    .filter(([, other]) => results.guests.includes(other));
  const rows = pairs.map(([ours, other]) => [
    `${ours} / ${other}`,
    ...GROUPS.map((group) => shown(results.meanRatio(ours, other, group))),
  ]);
  return rows.length === 0 ? "" : aligned([["ratio of times, geometric mean", ...GROUPS], ...rows]);
}

function nativeOf(guest: string): string {
  return `native-${guest.slice(guest.lastIndexOf("-") + 1)}`;
}

function shown(ratio: number | undefined): string {
  return ratio === undefined ? "" : figure(ratio);
}

/** What measuring produces, and how it is shown. */

import { arch, cpus, platform } from "node:os";

/** One thing measured several times. Raw samples are kept: whoever doubts the median can look. */
export interface Measurement {
  readonly benchmark: string;
  readonly workload: string;
  readonly contender: string;
  /** Unit of the samples, such as `s` or `MIPS`. */
  readonly unit: string;
  readonly samples: readonly number[];
  readonly median: number;
  readonly conditions: Readonly<Record<string, string | number>>;
}

/** The middle of `samples`; the mean of the two middle ones where their number is even. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? NaN;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return (low + high) / 2;
}

/** Where the measurements were taken. */
export function conditions(): Readonly<Record<string, string | number>> {
  return {
    node: process.version,
    system: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    date: new Date().toISOString(),
  };
}

/** Samples collected under a name each. */
export class Series {
  readonly #samples = new Map<string, number[]>();

  add(name: string, sample: number): void {
    const samples = this.#samples.get(name) ?? [];
    samples.push(sample);
    this.#samples.set(name, samples);
  }

  get(name: string): readonly number[] {
    return this.#samples.get(name) ?? [];
  }
}

/** The measurements as a table for people. */
export function table(measurements: readonly Measurement[]): string {
  const rows = measurements.map(({ workload, contender, unit, samples, median }) => [
    workload,
    contender,
    `${figure(median)} ${unit}`,
    samples.length > 1 ? `${figure(Math.min(...samples))} to ${figure(Math.max(...samples))}` : "",
  ]);
  return aligned([["workload", "contender", "median", "range"], ...rows]);
}

/** Rows of cells, one below the other. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.keys() ?? [];
  const widths = [...columns].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Three significant figures, which is more than the noise allows. */
export function figure(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

/** Half the range of the samples as a part of their median; undefined where there is one sample. */
export function spread({ samples, median }: Pick<Measurement, "samples" | "median">): number | undefined {
  if (samples.length < 2) return undefined;
  return (Math.max(...samples) - Math.min(...samples)) / 2 / median;
}

/** A spread for people, to stand behind its median. */
export function shownSpread(measurement: Pick<Measurement, "samples" | "median">): string {
  const part = spread(measurement);
  return part === undefined ? "" : ` ±${(100 * part).toFixed(0)}%`;
}

/** Measures the same things in every place, in turn, and sets them against the host. */

import {
  aligned,
  conditions,
  figure,
  median,
  requireAgreement,
  resultIn,
  Series,
  shownSpread,
  spread,
  type Measurement,
} from "@terrarium/measure";
import type { Place, Started } from "./places.js";

/** How long the program repeats a workload. */
const MILLISECONDS = "500";

/** Whom the others are compared with. */
const BASE = "host";

interface Row {
  readonly title: string;
  readonly unit: string;
  /** What the program does, and the nanoseconds of a unit; absent where only starting it is measured. */
  readonly workload?: { readonly name: string; readonly nanoseconds: number };
}

const START_UP: Row = { title: "start-up", unit: "ms" };

const ROWS: readonly Row[] = [
  START_UP,
  { title: "CPU loop", unit: "ms", workload: { name: "xorshift64", nanoseconds: 1e6 } },
  { title: "getppid", unit: "ns", workload: { name: "getppid", nanoseconds: 1 } },
  { title: "fork", unit: "µs", workload: { name: "fork", nanoseconds: 1e3 } },
  { title: "page fault", unit: "ns", workload: { name: "page-faults", nanoseconds: 1 } },
];

/** What was measured in one place, beside the host. */
export interface Compared extends Measurement {
  /** Half the range of the samples as a part of the median; absent where there is one sample. */
  readonly spread?: number;
  /** How many times the host's median this one is; absent where the host did not take part. */
  readonly ratio?: number;
}

/** Measures everything `samples` times. Places take turns within a sample, so that all see the same host. */
export async function measurePlaces(
  places: readonly Place[],
  samples: number,
  progress: (text: string) => void,
): Promise<readonly Measurement[]> {
  const series = new Series();
  for (let sample = 1; sample <= samples; sample += 1) {
    const told = (title: string, place: string): void => {
      progress(`${title}, ${place}, ${sample} of ${samples}`);
    };
    await using owner = new AsyncDisposableStack();
    const started = new Map<string, Started>();
    for (const place of places) {
      told(START_UP.title, place.name);
      const one = owner.use(await place.start());
      started.set(place.name, one);
      series.add(key(START_UP.title, place.name), one.milliseconds);
    }
    for (const row of ROWS) await measureRow(row, started, series, told);
  }
  const described = conditions();
  return ROWS.flatMap(({ title, unit }) =>
    places.map(({ name }) => {
      const found = series.get(key(title, name));
      const common = { benchmark: "compare", workload: title, contender: name, unit };
      return { ...common, samples: found, median: median(found), conditions: described };
    }),
  );
}

async function measureRow(
  { title, workload }: Row,
  started: ReadonlyMap<string, Started>,
  series: Series,
  told: (title: string, place: string) => void,
): Promise<void> {
  if (workload === undefined) return;
  const checksums = new Map<string, string>();
  for (const [name, one] of started) {
    told(title, name);
    const shown = await one.run([MILLISECONDS, workload.name]);
    const result = resultIn(shown, workload.name);
    if (result === undefined) throw new Error(`${title} failed in the ${name}: ${shown.slice(-500)}`);
    checksums.set(name, result.checksum);
    series.add(key(title, name), result.nanoseconds / workload.nanoseconds);
  }
  requireAgreement(title, checksums);
}

function key(title: string, place: string): string {
  return `${title} ${place}`;
}

/** Adds what is shown besides the medians. */
export function compared(measurements: readonly Measurement[]): readonly Compared[] {
  return measurements.map((measurement) => {
    const base = measurements.find(
      ({ workload, contender }) => workload === measurement.workload && contender === BASE,
    );
    const half = spread(measurement);
    return {
      ...measurement,
      ...(half === undefined ? {} : { spread: half }),
      ...(base === undefined ? {} : { ratio: measurement.median / base.median }),
    };
  });
}

/** One table: a row for each thing measured; for each place its median with the spread, and behind it the ratio. */
export function comparisonTable(measurements: readonly Compared[]): string {
  const places = [...new Set(measurements.map(({ contender }) => contender))];
  const titles = [...new Set(measurements.map(({ workload }) => workload))];
  const header = ["", ...places.flatMap((place) => (place === BASE ? [place] : [place, `/ ${BASE}`]))];
  const rows = titles.map((title) => [
    title,
    ...places.flatMap((place) => {
      const found = measurements.find(({ workload, contender }) => workload === title && contender === place);
      if (found === undefined) return place === BASE ? [""] : ["", ""];
      const cell = `${figure(found.median)} ${found.unit}${shownSpread(found)}`;
      return place === BASE ? [cell] : [cell, found.ratio === undefined ? "" : figure(found.ratio)];
    }),
  ]);
  return aligned([header, ...rows]);
}

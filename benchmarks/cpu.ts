/** How fast programs run in guests, beside the same programs on the host: one static program, and Debian's own. */

import { conditions, median, requireAgreement, resultIn, Series, type Measurement } from "@terrarium/measure";
import type { Benchmark, Settings } from "./benchmark.js";
import { runsAt, type Place } from "./cpu/place.js";
import { openPlaces, WIDTHS } from "./cpu/places.js";
import { report } from "./cpu/report.js";
import { workloadsNamed, type Workload } from "./cpu/workloads.js";

export const cpu: Benchmark = {
  name: "cpu",
  description: "one program and Debian's own on the host and in guests of 64 and 32 bits",
  report,

  async run(settings) {
    const workloads = workloadsNamed(settings.only);
    const measurements: Measurement[] = [];
    // A guest at its prompt is not idle to the host, and has nothing to do with programs of the other width.
    for (const width of WIDTHS) measurements.push(...(await measureAt(width, workloads, settings)));
    return measurements;
  },
};

/** All places of one width, by turns. */
async function measureAt(
  width: (typeof WIDTHS)[number],
  workloads: readonly Workload[],
  settings: Settings,
): Promise<Measurement[]> {
  await using owner = new AsyncDisposableStack();
  const places = await openPlaces(width, settings, workloads, owner);
  const series = await measure(places, workloads, settings);
  const described = { ...conditions(), engine: settings.engine };
  return places.flatMap((place) =>
    workloads
      .filter((workload) => runsAt(place.bits, workload))
      .map(({ name: workload }) => {
        const samples = series.get(`${workload} ${place.name}`);
        const common = { benchmark: "cpu", workload, contender: place.name, unit: "ns", conditions: described };
        return { ...common, samples, median: median(samples) };
      }),
  );
}

/** Nanoseconds a unit, by workload and place. */
async function measure(
  places: readonly Place[],
  workloads: readonly Workload[],
  { samples, progress }: Settings,
): Promise<Series> {
  const series = new Series();
  for (let sample = 0; sample < samples; sample += 1) {
    for (const workload of workloads) {
      const checksums = new Map<string, string>();
      for (const place of places.filter(({ bits }) => runsAt(bits, workload))) {
        progress(`${workload.name}, ${place.name}, ${sample + 1} of ${samples}`);
        const shown = await place.run(workload);
        const result = resultIn(shown, workload.name);
        if (result === undefined) throw new Error(`${workload.name} failed in ${place.name}: ${shown.slice(-500)}`);
        checksums.set(place.name, result.checksum);
        series.add(`${workload.name} ${place.name}`, result.nanoseconds);
      }
      requireAgreement(workload.name, checksums);
    }
  }
  return series;
}

/** The places of one width that take part: the host, and guests, which are all booted before anything is measured. */

import { images, type Architecture } from "@terrarium/images";
import type { Image } from "@terrarium/machine";
import { cpuWorkloads, PROGRAM, withFiles } from "@terrarium/measure";
import type { Settings } from "../benchmark.js";
import type { BootedGuest } from "../contenders/contender.js";
import { ownFiles } from "./guest-files.js";
import { nativePlace } from "./native.js";
import { argumentsFor, runsAt, type Place } from "./place.js";
import type { Workload } from "./workloads.js";

/** Widths there are guests of. */
export const WIDTHS: readonly (readonly [Architecture, number])[] = [
  ["amd64", 64],
  ["i386", 32],
];

/**
 * Opens every place of `architecture`, which has `bits`, that takes part in `workloads`; none where no guest does. The
 * guests become `owner`'s, also when one of them fails.
 */
export async function openPlaces(
  [architecture, bits]: readonly [Architecture, number],
  { contenders, takesPart, progress }: Settings,
  workloads: readonly Workload[],
  owner: AsyncDisposableStack,
): Promise<Place[]> {
  const guests = contenders.filter(
    ({ name, architectures }) => architectures.includes(architecture) && takesPart(`${name}-${bits}`),
  );
  const wanted = workloads.filter((workload) => runsAt(bits, workload));
  if (guests.length === 0 || wanted.length === 0) return [];
  const files = await ownFiles(await cpuWorkloads(architecture, progress));
  const image = imageFor(architecture, workloads);
  const native = await nativePlace(bits, image, files, progress);
  const places = native === undefined ? [] : [native];
  const extended = await withFiles(image, files, `${image.name}.img`);
  for (const contender of guests) {
    const name = `${contender.name}-${bits}`;
    const boot = async (wide: boolean): Promise<BootedGuest | undefined> => {
      if (!wanted.some((workload) => workload.wide === wide)) return undefined;
      progress(`booting ${name}${wide ? " with AVX2 and FMA" : ""}`);
      return owner.use(await contender.boot(extended, wide));
    };
    const [usual, wide] = [await boot(false), await boot(true)];
    const run = async (workload: Workload): Promise<string> => {
      const guest = workload.wide ? wide : usual;
      return (await guest?.run([PROGRAM, ...argumentsFor(workload)])) ?? "";
    };
    places.push({ name, bits, run });
  }
  return places;
}

/** The image with programs takes longest to boot. */
function imageFor(architecture: Architecture, workloads: readonly Workload[]): Image {
  const programs = workloads.some(({ command }) => command.length > 0);
  const name = architecture === "i386" ? "debian-i386" : programs ? "debian-tools" : "debian-cloud";
  const image = images.find((candidate) => candidate.name === name);
  if (image === undefined) throw new Error(`there is no image ${name}`);
  return image;
}

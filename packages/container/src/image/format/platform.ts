/** Which of several images is for this processor. */

import { MachineError } from "@terrarium/machine";
import { isIndex, isManifest, type Descriptor, type Platform } from "./documents.js";

/** Names that Go, and so images, have for what Node calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", arm64: "arm64", arm: "arm" };
/** What an amd64 kernel runs besides its own. */
const ALSO_RUNS: Readonly<Record<string, readonly string[]>> = { amd64: ["386"] };

/** The platform that `architecture`, as `process.arch` has it, is. */
export function platformOf(architecture: string): Platform {
  return { architecture: ARCHITECTURES[architecture] ?? architecture, os: "linux" };
}

/** The platform in `text`, such as `linux/arm64`. */
export function parsePlatformName(text: string): Platform {
  const [os = "", architecture = "", variant] = text.split("/");
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** The platform's usual name. */
export function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

/** Whether images for `offered` run on `wanted`. */
export function runsOn(wanted: Platform, offered: Platform): boolean {
  const fits = offered.os === wanted.os && (wanted.variant === undefined || wanted.variant === offered.variant);
  const also = ALSO_RUNS[wanted.architecture] ?? [];
  return fits && (offered.architecture === wanted.architecture || also.includes(offered.architecture));
}

/**
 * The image for `wanted` among `descriptors`: one for exactly that before one that runs there, and before one that
 * does not say what it is for.
 * @throws MachineError `PLATFORM_MISSING`
 */
export function choose(descriptors: readonly Descriptor[], wanted: Platform): Descriptor {
  const candidates = descriptors.filter((descriptor) => isManifest(descriptor) || isIndex(descriptor));
  const fitting = candidates.filter(({ platform }) => platform === undefined || runsOn(wanted, platform));
  const exact = fitting.find(({ platform }) => platform?.architecture === wanted.architecture);
  const found = exact ?? fitting.find(({ platform }) => platform !== undefined) ?? fitting[0];
  if (found !== undefined) return found;
  throw foreign(
    wanted,
    candidates.flatMap(({ platform }) => (platform === undefined ? [] : [platform])),
  );
}

/** The error for an image that is for other platforms. */
export function foreign(wanted: Platform, available: readonly Platform[]): MachineError<"PLATFORM_MISSING"> {
  const names = { wanted: nameOf(wanted), available: available.map(nameOf).join(", ") || "nothing" };
  const message = `The image is for ${names.available}, not for ${names.wanted}: take another image, or a machine.`;
  return new MachineError("PLATFORM_MISSING", message, names);
}

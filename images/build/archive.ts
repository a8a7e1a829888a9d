/** The two places packages come from behind one interface: the machine's own apt, or a mirror named by a setting. */
import type { Architecture } from "../recipe.js";
import type { PackageVersion, Stanza } from "./index-file.js";

export interface PackageArchive {
  /** The version the archive offers now; undefined when it has no such package. */
  newest(name: string, architecture: Architecture): Promise<Stanza | undefined>;
  /** Names of the packages that say they provide `name`. */
  providers(name: string, architecture: Architecture): Promise<readonly string[]>;
  /**
   * Puts the .deb of exactly this version at `destination`; false when the archive does not hold it (any more).
   * The caller checks the checksum.
   */
  download(wanted: PackageVersion, destination: string): Promise<boolean>;
}

/** Tells a person what is happening. */
export type Say = (message: string) => void;

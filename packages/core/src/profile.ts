/** Where a guest spends its time, in the core's words: `machine/src/machine/profile.rs`. */

/** A region of compiled code that counts what it does. */
export interface HotRegion {
  /** What its listing is asked for by. */
  readonly slot: number;
  /** Linear address at which it began when it was compiled, in hexadecimal digits. */
  readonly address: string;
  /** Width of its code segment. */
  readonly bits: 16 | 32 | 64;
  /** Whether it runs in user mode. */
  readonly user: boolean;
  /** Instructions retired in it. */
  readonly instructions: number;
  /** Times it was entered, from another region too. */
  readonly entries: number;
}

/** What is in a region. */
export interface RegionListing {
  /** The guest's instructions, a line each, and an empty one between blocks. */
  readonly guest: readonly string[];
  /** A WebAssembly module of this region alone, with names. */
  readonly module: Uint8Array;
}

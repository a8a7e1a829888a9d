/** A translator aside: a thread that compiles guest code while the machine's own runs on. The core's `wasm/src/aside.rs` knows these names. */

/** What came of a job. */
export interface AsideAnswer {
  /** What it was compiled to; absent where nothing of it could be. */
  readonly module?: WebAssembly.Module;
  /** Places in the regions that the core wants to know of, in its own words; empty where the job got lost. */
  readonly places: Uint32Array;
  /** Size of the module. */
  readonly moduleBytes: number;
  /** Nanoseconds the job took. */
  readonly tookNs: number;
}

/** A thread that does jobs in the order in which they come. */
export interface Aside {
  /** Sends a job; false where the thread has died. */
  send(job: Uint8Array<ArrayBuffer>): boolean;
  /** The answer to the oldest job that has none yet, if it is there. */
  receive(): AsideAnswer | undefined;
  /** Ends the thread. */
  close(): void;
}

/** The answer to a job that a thread took with it. */
export const LOST: AsideAnswer = { places: new Uint32Array(), moduleBytes: 0, tookNs: 0 };

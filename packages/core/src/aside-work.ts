/** What the thread of an {@link Aside} does. */

import type * as Face from "../pkg/terrarium.js";
import type { AsideAnswer } from "./aside.js";

/**
 * What functions are tried on: 16 MiB of zeros. All that regions look at before they look at the guest's memory lies within so many in the core's (`machine/src/machine.rs`).
 * Beyond, a function ends by a trap, which takes V8 tens of microseconds.
 */
const MEMORY_PAGES = 256;

/** Does jobs with a core of its own. */
export class AsideWorker {
  readonly #face: typeof Face;
  readonly #table = new WebAssembly.Table({ element: "anyfunc", initial: 1 });
  readonly #imports: WebAssembly.Imports;

  constructor(face: typeof Face) {
    this.#face = face;
    const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
    const host: Record<string, WebAssembly.ImportValue> = { memory, table: this.#table };
    // Whatever else a module imports is a function.
    const imported = { get: (known: typeof host, name: string) => known[name] ?? (() => 0) };
    this.#imports = { terrarium: new Proxy(host, imported) };
  }

  /** Does a job of {@link Aside.send}. */
  answer(job: Uint8Array): AsideAnswer {
    const start = performance.now();
    const work = this.#face.work(job);
    const { module: bytes, slots, places } = work;
    work.free();
    const module = bytes.length === 0 ? {} : { module: new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>) };
    if (module.module !== undefined) this.#tryOut(module.module, slots);
    return { ...module, places, moduleBytes: bytes.length, tookNs: Math.round((performance.now() - start) * 1e6) };
  }

  /**
   * Calls every function once with nothing to do: engines compile a function when it is first called, and what they have compiled
   * goes with the module to the machine's thread. It runs no guest: nothing is left of its slice, so that it goes round no loop and on to no other region, and memory
   * is its own.
   */
  #tryOut(module: WebAssembly.Module, slots: Uint32Array): void {
    const most = Math.max(...slots);
    if (this.#table.length <= most) this.#table.grow(most + 1 - this.#table.length);
    new WebAssembly.Instance(module, this.#imports);
    for (const slot of slots) {
      const region = this.#table.get(slot) as (place: bigint, left: bigint, entry: number) => void;
      try {
        region(0n, 0n, 0);
      } catch {
        // A trap, or a helper's answer that is none: it is compiled all the same.
      }
      this.#table.set(slot, null);
    }
  }
}

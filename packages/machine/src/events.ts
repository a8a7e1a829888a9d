/** Listeners and their removal. */

/** One kind of event: who listens, and how to tell them. */
export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>();
  #held: T[] | undefined;

  /** Calls `listener` for every value from now on, until the result is disposed. */
  on(listener: (value: T) => void): Disposable {
    // A listener of its own for every call, so that the same function added twice is removed once.
    const own = (value: T): void => {
      listener(value);
    };
    for (const value of this.#held ?? []) listener(value);
    this.#listeners.add(own);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(own);
      },
    };
  }

  /** Values from now on are also for those who begin to listen later, until the result is disposed. */
  hold(): Disposable {
    this.#held = [];
    return {
      [Symbol.dispose]: () => {
        this.#held = undefined;
      },
    };
  }

  /** Tells every listener, in the order they came. */
  emit(value: T): void {
    this.#held?.push(value);
    for (const listener of [...this.#listeners]) listener(value);
  }
}

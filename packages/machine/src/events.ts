/** Listeners and their removal. */

/** One kind of event: who listens, and how to tell them. */
export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** Calls `listener` for every value from now on, until the result is disposed. */
  on(listener: (value: T) => void): Disposable {
    // A listener of its own for every call, so that the same function added twice is removed once.
    const own = (value: T): void => {
      listener(value);
    };
    this.#listeners.add(own);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(own);
      },
    };
  }

  /** Tells every listener, in the order they came. */
  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
}

/** Guest time: the host's monotonic clock, less the time the machine was paused. */
export class PausableClock {
  #origin = performance.now();
  #stoppedAt: number | undefined;

  /** Nanoseconds since the machine was created during which it was not paused. */
  nowNs(): number {
    return Math.round(((this.#stoppedAt ?? performance.now()) - this.#origin) * 1e6);
  }

  /** Holds the time. */
  stop(): void {
    this.#stoppedAt ??= performance.now();
  }

  /** Lets it go on from where it was held. */
  go(): void {
    if (this.#stoppedAt !== undefined) this.#origin += performance.now() - this.#stoppedAt;
    this.#stoppedAt = undefined;
  }
}

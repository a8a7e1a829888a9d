/**
 * Giving way to the event loop. A promise alone never does (microtasks run first), `setTimeout` waits for
 * milliseconds once nested (HTML, "timers"), so a message to oneself it is: about 10 microseconds.
 */
export class Turn {
  readonly #channel = new MessageChannel();
  #resume: () => void = () => undefined;

  constructor() {
    this.#channel.port1.onmessage = () => {
      this.#resume();
    };
  }

  /** Resolves after the messages and timers that are due now had their turn. */
  async give(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      this.#channel.port2.postMessage(0);
    });
  }

  /** Lets the thread end. */
  close(): void {
    this.#channel.port1.close();
  }
}

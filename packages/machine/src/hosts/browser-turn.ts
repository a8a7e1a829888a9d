/**
 * Giving way to the event loop in a browser. A promise alone never does (microtasks run first), `setTimeout` waits for
 * milliseconds once nested (HTML, "timers"), so a message to oneself it is: some 20 microseconds.
 */
export class BrowserTurn {
  readonly #near: MessagePort;
  readonly #far: MessagePort;
  #resume: () => void = () => undefined;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#near = port1;
    this.#far = port2;
    this.#near.onmessage = () => {
      this.#resume();
    };
  }

  /** Resolves after the messages and timers that are due now had their turn. */
  async give(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      this.#far.postMessage(0);
    });
  }

  /** Lets the thread end. */
  close(): void {
    this.#near.close();
  }
}

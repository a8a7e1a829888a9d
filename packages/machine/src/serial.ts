/** One serial port of the guest, as a stream of bytes in both directions. */

import { Emitter } from "./events.js";

/** A serial port: what the guest's UART sends and receives. */
export interface SerialPort {
  /** Calls `listener` with everything the guest sends from now on. */
  onData(listener: (bytes: Uint8Array) => void): Disposable;
  /**
   * Sends to the guest; text goes as UTF-8. Resolves when the machine has queued it, however slowly the guest reads.
   * @throws MachineError `GUEST_STOPPED`
   */
  write(data: string | Uint8Array): Promise<void>;
}

const encoder = new TextEncoder();

/** {@link SerialPort} over a function that reaches the machine. */
export class Serial implements SerialPort {
  readonly #data = new Emitter<Uint8Array>();
  readonly #send: (bytes: Uint8Array) => Promise<void>;

  constructor(send: (bytes: Uint8Array) => Promise<void>) {
    this.#send = send;
  }

  onData(listener: (bytes: Uint8Array) => void): Disposable {
    return this.#data.on(listener);
  }

  /** What comes from now on is also for those who begin to listen later, until that is disposed of. */
  hold(): Disposable {
    return this.#data.hold();
  }

  write(data: string | Uint8Array): Promise<void> {
    // A copy, because the bytes are transferred to the worker and would be gone from the caller's array.
    return this.#send(typeof data === "string" ? encoder.encode(data) : data.slice());
  }

  /** What the guest sent. */
  receive(bytes: Uint8Array): void {
    this.#data.emit(bytes);
  }
}

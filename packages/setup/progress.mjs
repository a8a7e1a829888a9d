/** Says on stderr which step runs and for how long. Never touches stdout, which belongs to the guest's console. */

const HEARTBEAT_MS = 15_000;
const REDRAW_MS = 500;

/** One line that is redrawn on a terminal; plain lines elsewhere. */
export class Progress {
  #total;
  #number = 0;
  #running = new Map();
  #timer;
  #terminal = process.stderr.isTTY === true;

  constructor(total) {
    this.#total = total;
  }

  /** A step begins; the result's `detail(text)` shows what it is at, `end(failed)` ends it. */
  begin(title) {
    const step = { number: ++this.#number, title, since: Date.now(), detail: "" };
    this.#running.set(step.number, step);
    this.#line(`${this.#label(step)} ...`);
    this.#timer ??= setInterval(() => this.#tick(), this.#terminal ? REDRAW_MS : HEARTBEAT_MS);
    return {
      detail: (text) => {
        step.detail = text;
      },
      end: (failed = false) => {
        this.#running.delete(step.number);
        this.#line(`${this.#label(step)} ${failed ? "FAILED after" : "done in"} ${elapsed(step)}`);
        if (this.#running.size === 0) {
          clearInterval(this.#timer);
          this.#timer = undefined;
        }
      },
    };
  }

  #label({ number, title }) {
    return `[${number}/${this.#total}] ${title}`;
  }

  #tick() {
    const state = (step) => `${this.#label(step)} ${elapsed(step)}${step.detail === "" ? "" : ` · ${step.detail}`}`;
    const texts = [...this.#running.values()].map(state);
    if (this.#terminal) {
      // Return to column one and erase the line (ECMA-48 EL), so that the next text takes its place.
      const width = (process.stderr.columns ?? 80) - 1;
      process.stderr.write(`\r\x1b[2K${texts.join(" | ").slice(0, width)}`);
    } else {
      for (const text of texts) this.#line(text);
    }
  }

  #line(text) {
    process.stderr.write(this.#terminal ? `\r\x1b[2K${text}\n` : `${text}\n`);
  }
}

function elapsed({ since }) {
  const seconds = Math.round((Date.now() - since) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

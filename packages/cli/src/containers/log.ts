/** What a container has written, as its directory keeps it: one line of JSON for each piece. */

import { createWriteStream, existsSync, renameSync, statSync, type WriteStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Output } from "@terrarium/container";

/** A container must not fill the disk by talking: the older of two files of this length goes. */
const MAX_BYTES = 16 << 20;
const LOOK_MS = 100;

/** A piece of output and when it came. */
export interface Line {
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  readonly bytes: string;
}

/** Writes the log of a container. */
export class Log {
  readonly #file: string;
  #stream: WriteStream | undefined;
  #length = 0;

  constructor(directory: string) {
    this.#file = join(directory, "log");
    this.#stream = this.#open();
  }

  /** Adds a piece. */
  add({ stream, bytes }: Output): void {
    const line: Line = { time: new Date().toISOString(), stream, bytes: Buffer.from(bytes).toString("base64") };
    const text = `${JSON.stringify(line)}\n`;
    if (this.#length > MAX_BYTES) this.#begin();
    this.#length += text.length;
    this.#stream ??= this.#open();
    this.#stream.write(text);
  }

  /** Resolves when all of it is written. */
  async end(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    await new Promise<void>((resolve) => {
      stream.once("close", resolve).end();
    });
  }

  /** On a full disk lines are lost, and the container runs on; the next line is tried again. */
  #open(): WriteStream {
    const stream = createWriteStream(this.#file, { flags: "a" });
    return stream.on("error", () => {
      if (this.#stream === stream) this.#stream = undefined;
    });
  }

  #begin(): void {
    this.#stream?.end();
    if (existsSync(this.#file)) renameSync(this.#file, `${this.#file}.1`);
    this.#stream = this.#open();
    this.#length = 0;
  }
}

/** The lines of a log; with `isRunning`, also those to come until that says no. */
export async function* readLog(directory: string, isRunning?: () => Promise<boolean>): AsyncGenerator<Line, void> {
  const file = join(directory, "log");
  const older = await readFile(`${file}.1`, "utf8").catch(() => "");
  yield* parse(older).lines;
  let rest = "";
  let position = 0;
  for (;;) {
    const running = (await isRunning?.()) ?? false;
    const text = await readFrom(file, position);
    if (text !== undefined) {
      position = text.end;
      const parsed = parse(rest + text.text);
      rest = parsed.rest;
      yield* parsed.lines;
    }
    if (!running) return;
    await sleep(LOOK_MS);
    // It was begun anew.
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < position) position = 0;
  }
}

async function readFrom(file: string, position: number): Promise<{ text: string; end: number } | undefined> {
  if (!existsSync(file)) return undefined;
  await using handle = await open(file, "r");
  const { size } = await handle.stat();
  if (size <= position) return undefined;
  const buffer = Buffer.alloc(size - position);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  return { text: buffer.subarray(0, bytesRead).toString(), end: position + bytesRead };
}

function parse(text: string): { lines: Line[]; rest: string } {
  const end = text.lastIndexOf("\n") + 1;
  const lines = text.slice(0, end).split("\n").filter(Boolean);
  return { lines: lines.flatMap(parseLine), rest: text.slice(end) };
}

/** A line that a full disk has cut off is lost. */
function parseLine(line: string): Line[] {
  try {
    return [JSON.parse(line) as Line];
  } catch {
    return [];
  }
}

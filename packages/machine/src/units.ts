/**
 * Quantities that carry their unit. A bare number would leave the reader guessing (and sometimes the author).
 */

import { MachineError } from "./errors.js";

const MILLISECONDS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 } as const;
const BYTES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

/** A length of time such as `"250ms"`, `"20s"`, `"1.5min"` or `"1h"`. */
export type Duration = `${number}${keyof typeof MILLISECONDS}`;

/** A size such as `"64KiB"`, `"256MiB"` or `"1GiB"`; units are binary, as IEC 80000-13 names them. */
export type Bytes = `${number}${keyof typeof BYTES}`;

/** Longest time a timer can wait for: the web's timers count in signed 32-bit milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Milliseconds in `text`; `option` names it in the error.
 * @throws MachineError `OPTION_INVALID`
 */
export function parseDuration(text: string, option: string): number {
  const ms = parse(text, MILLISECONDS);
  if (ms === undefined || ms > LONGEST_MS) {
    throw malformed(option, text, `a duration such as "500ms", "20s", "2min" or "1h"`);
  }
  return ms;
}

/**
 * Bytes in `text`; `option` names it in the error.
 * @throws MachineError `OPTION_INVALID`
 */
export function parseBytes(text: string, option: string): number {
  const bytes = parse(text, BYTES);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) {
    throw malformed(option, text, `a size such as "64KiB", "256MiB" or "1GiB"`);
  }
  return bytes;
}

function parse(text: unknown, units: Readonly<Record<string, number>>): number | undefined {
  const match = typeof text === "string" ? /^(\d+(?:\.\d+)?)\s?([A-Za-z]+)$/.exec(text) : null;
  const factor = match?.[2] !== undefined && Object.hasOwn(units, match[2]) ? units[match[2]] : undefined;
  return factor === undefined ? undefined : Number(match?.[1]) * factor;
}

/** The error for an option that has not the form it must have. */
export function malformed(option: string, value: unknown, expected: string): MachineError<"OPTION_INVALID"> {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : `a value of type ${typeof value}`;
  const message = `The option ${option} must be ${expected}, not ${shown}.`;
  return new MachineError("OPTION_INVALID", message, { option, value: shown, expected });
}

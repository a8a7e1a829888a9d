/** Numbers that options are given. */

import { MachineError } from "@terrarium/machine";

/**
 * How many: digits, which `_` may group.
 * @throws MachineError `OPTION_INVALID`
 */
export function count(option: string, value: string): number {
  const number = Number(value.replaceAll("_", ""));
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw invalid(option, value, "a whole number over zero");
}

/**
 * How much, fractions included.
 * @throws MachineError `OPTION_INVALID`
 */
export function positive(option: string, value: string): number {
  const number = Number(value);
  if (number > 0 && Number.isFinite(number)) return number;
  throw invalid(option, value, "a number over zero");
}

function invalid(option: string, value: string, expected: string): MachineError<"OPTION_INVALID"> {
  const message = `--${option} is ${value}: it has to be ${expected}.`;
  return new MachineError("OPTION_INVALID", message, { option, value, expected });
}

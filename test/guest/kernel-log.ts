/** Reading a kernel's log for complaints. */

/** Messages of level 4 (warning) and worse, and words that mean trouble at any level. */
const LEVEL_WARNING = 4;
const TROUBLE = /\b(BUG|WARNING|Oops|Call Trace|soft lockup|rcu_\w+ detected|Firmware Bug|unstable)\b/;

/** What these kernels say on QEMU's `pc`, the same board, as well. Each with the reason. */
const EXPECTED: readonly RegExp[] = [
  // The 440FX is older than memory-mapped configuration space.
  /fail to add MMCONFIG information/,
  // The host ran something else for a while; nothing to do with the emulated hardware.
  /hrtimer: interrupt took \d+ ns/,
];

/** Lines of `dmesg -r` that complain and are not expected. */
export function complaints(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => line !== "")
    .filter((line) => (Number(/^<(\d+)>/.exec(line)?.[1] ?? 7) & 7) <= LEVEL_WARNING || TROUBLE.test(line))
    .filter((line) => !EXPECTED.some((pattern) => pattern.test(line)));
}

/** Reading a kernel's log for complaints. */

/** Messages of level 4 (warning) and worse, and words that mean trouble at any level. */
const LEVEL_WARNING = 4;
const TROUBLE = /\b(BUG|WARNING|Oops|stack trace|Call Trace|soft lockup|rcu_\w+ detected|firmware bug|unstable)\b/i;

/** What a stock kernel also says on real or QEMU's hardware of this kind, each with the reason. */
const EXPECTED: readonly RegExp[] = [];

/** Lines of `dmesg -r` that complain and are not expected. */
export function complaints(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => line !== "")
    .filter((line) => (Number(/^<(\d+)>/.exec(line)?.[1] ?? 7) & 7) <= LEVEL_WARNING || TROUBLE.test(line))
    .filter((line) => !EXPECTED.some((pattern) => pattern.test(line)));
}

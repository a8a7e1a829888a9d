/** Linux's names for numbers that cross the agent's channel (x86: signal(7), errno(3)). */

const SIGNALS = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU " +
  "XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** Such as `SIGKILL` for 9; real-time signals have no name of their own. */
export function signalName(signal: number): string {
  const name = SIGNALS[signal - 1];
  return name === undefined ? `SIG${signal}` : `SIG${name}`;
}

/** The number of `SIGKILL`, `KILL`, `9` or `SIGRTMIN+3`; undefined for what is no signal. */
export function signalNumber(name: string): number | undefined {
  const [, text = ""] = /^(?:SIG)?(\w+(?:\+\d+)?)$/i.exec(name) ?? [];
  const realTime = /^RTMIN(?:\+(\d+))?$/i.exec(text);
  // The C library keeps two real-time signals to itself (signal(7)).
  const number = realTime === null ? Number(text) : 34 + Number(realTime[1] ?? 0);
  if (Number.isInteger(number)) return number >= 1 && number <= 64 ? number : undefined;
  const index = SIGNALS.indexOf(text.toUpperCase());
  return index < 0 ? undefined : index + 1;
}

/** Numbers of the signals that end a process: asked, and not asked. */
export const SIGTERM = 15;
export const SIGKILL = 9;

const ERRNOS: Readonly<Record<number, string>> = {
  1: "operation not permitted (EPERM)",
  2: "no such file or directory (ENOENT)",
  7: "argument list too long (E2BIG)",
  8: "not a program this kernel can run (ENOEXEC)",
  11: "too many processes (EAGAIN)",
  12: "out of memory (ENOMEM)",
  13: "permission denied (EACCES)",
  20: "not a directory (ENOTDIR)",
};

/** Why a system call failed, in words. */
export function errnoText(errno: number): string {
  return ERRNOS[errno] ?? `error ${errno}`;
}

/** The guest's console on this terminal. */

import type { Exit, Machine } from "@terrarium/machine";

/** Ctrl-], as telnet and virsh have it: leaves the guest. */
const LEAVE = 0x1d;
/** Select Graphic Rendition off, cursor on, main screen: what a guest may have left changed (ECMA-48; xterm). */
const RESET = "\x1b[0m\x1b[?25h\x1b[?1049l";
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/**
 * Connects keyboard and screen to the guest until it ends or the user leaves; resolves with how it ended.
 * Whatever ends this, the terminal is as before.
 */
export async function interact(machine: Machine): Promise<Exit> {
  process.stderr.write("Ctrl-] leaves.\r\n");
  const undo = [takeTerminal(), stopOnSignals(machine), connect(machine)];
  try {
    return await machine.exited;
  } finally {
    for (const step of undo.reverse()) step();
  }
}

/** Raw mode, and the promise to end it even if the process dies of an exception. */
export function takeTerminal(): () => void {
  const { stdin, stdout } = process;
  const restore = (): void => {
    stdin.setRawMode(false);
    stdout.write(RESET);
  };
  stdin.setRawMode(true);
  process.on("exit", restore);
  return () => {
    process.off("exit", restore);
    restore();
  };
}

function stopOnSignals(machine: Machine): () => void {
  const stop = (): void => {
    void machine.stop();
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return () => {
    for (const signal of SIGNALS) process.off(signal, stop);
  };
}

function connect(machine: Machine): () => void {
  const { stdin, stdout } = process;
  const onKeys = (bytes: Buffer): void => {
    const end = bytes.indexOf(LEAVE);
    const keys = end < 0 ? bytes : bytes.subarray(0, end);
    // A key pressed while the guest ends has nowhere to go.
    if (keys.length > 0) machine.console.write(keys).catch(() => undefined);
    if (end >= 0) void machine.stop();
  };
  const shown = machine.console.onData((bytes) => stdout.write(bytes));
  stdin.on("data", onKeys);
  return () => {
    stdin.off("data", onKeys);
    stdin.pause();
    shown[Symbol.dispose]();
  };
}

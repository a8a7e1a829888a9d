/** This terminal, or these pipes, at a process of a container. */

import type { Output } from "@terrarium/container";
import { signalNumber } from "@terrarium/machine/guest-kit";
import { MachineError } from "@terrarium/machine";
import { takeTerminal } from "../terminal.js";

/** A process that can be talked to. */
export interface Session {
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  write(bytes: Uint8Array): void;
  closeInput(): void;
  resize(columns: number, rows: number): void;
  kill(signal: number): void;
}

/** How much of this terminal the process gets. */
export interface AttachFlags {
  readonly interactive?: true;
  readonly tty?: true;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Passes on what a process writes. */
export function show({ stream, bytes }: Output): void {
  process[stream].write(bytes);
}

/** @throws MachineError `OPTIONS_CONFLICT` where a terminal is wanted and there is none */
export function checkTerminal({ interactive, tty }: AttachFlags): void {
  if (tty !== true || interactive !== true || process.stdin.isTTY) return;
  const options = "--tty, --interactive";
  throw new MachineError("OPTIONS_CONFLICT", "There is no terminal here: leave --tty out.", { options });
}

/**
 * Starts a process and connects to it until it ends; resolves with the exit status as a shell counts it. Signals are for
 * the process from the beginning: nobody can know when it has begun.
 */
export async function attach(start: () => Promise<Session>, { interactive, tty }: AttachFlags): Promise<number> {
  const starting = Promise.withResolvers<Session>();
  const undo = [forwardSignals(starting.promise)];
  try {
    const session = await start();
    starting.resolve(session);
    if (interactive === true) undo.push(forwardInput(session, tty === true));
    if (tty === true) undo.push(forwardSize(session));
    if (interactive !== true && tty !== true) session.closeInput();
    const { exitCode, signal } = await session.ended;
    return exitCode ?? 128 + (signalNumber(signal ?? "KILL") ?? 0);
  } finally {
    for (const step of undo.reverse()) step();
  }
}

function forwardInput(session: Session, tty: boolean): () => void {
  const { stdin } = process;
  const restore = tty && stdin.isTTY ? takeTerminal() : undefined;
  const onData = (bytes: Buffer): void => {
    session.write(bytes);
  };
  const onEnd = (): void => {
    session.closeInput();
  };
  stdin.on("data", onData).once("end", onEnd);
  return () => {
    stdin.off("data", onData).off("end", onEnd);
    stdin.pause();
    restore?.();
  };
}

function forwardSignals(starting: Promise<Session>): () => void {
  const forward = (signal: NodeJS.Signals): void => {
    void starting.then((session) => {
      session.kill(signalNumber(signal) ?? 15);
    });
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  return () => {
    for (const signal of SIGNALS) process.off(signal, forward);
  };
}

function forwardSize(session: Session): () => void {
  const { stdout } = process;
  const resize = (): void => {
    if (stdout.isTTY) session.resize(stdout.columns, stdout.rows);
  };
  resize();
  stdout.on("resize", resize);
  return () => stdout.off("resize", resize);
}

/** An image's program in a machine, as a session at this terminal. */

import { MachineError, type Exit, type Machine } from "@terrarium/machine";
import { signalName } from "@terrarium/machine/guest-kit";
import type { Session } from "./attach.js";

type End = Awaited<Session["ended"]>;

/** The program's terminal is a serial line, which has no size; whatever signal comes here, the plug is pulled. */
export function sessionOfMachine(machine: Machine): Session {
  machine.console.onData((bytes) => process.stdout.write(bytes));
  let killedBy = "SIGKILL";
  return {
    ended: machine.exited.then((exit) => endOf(exit, killedBy)),
    write: (bytes) => void machine.console.write(bytes).catch(() => undefined),
    closeInput: () => {
      machine.closeInput();
    },
    resize: () => undefined,
    kill: (signal) => {
      killedBy = signalName(signal);
      void machine.stop();
    },
  };
}

/** How the program ended; a machine that ends without saying has failed, unless it was switched off from within. */
function endOf(exit: Exit, killedBy: string): End {
  switch (exit.reason) {
    case "exited":
      return exit;
    case "stopped":
      return { exitCode: null, signal: killedBy };
    case "failed":
      throw new MachineError(exit.error.code, exit.error.message, exit.error.details);
    default:
      return { exitCode: exit.reason === "powered-off" ? 0 : 1, signal: null };
  }
}

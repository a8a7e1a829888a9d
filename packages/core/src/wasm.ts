/** The WebAssembly face, brought into the form of {@link Core}. */

import type * as Face from "../pkg/terrarium.js";
import type { Core, CoreConfig, CoreErrorRow, CoreMachine, CoreStats, DebugOutput, RunOutcome } from "./core.js";

/** A {@link Core} over a module of wasm-pack's that is initialised already. */
export function wasmCore(face: typeof Face): Core {
  return {
    face: "wasm",
    createMachine: (config, { kernel, initrd, firmware }) =>
      wasmMachine(face.Machine.create(config satisfies CoreConfig, kernel, initrd, firmware)),
    restoreMachine: (snapshot) => wasmMachine(face.Machine.restore(snapshot)),
    errorTable: () => face.error_table() as CoreErrorRow[],
    raise: (error) => {
      face.raise(error);
    },
  };
}

function wasmMachine(machine: Face.Machine): CoreMachine {
  return {
    run: (nowNs, budget) => machine.run(nowNs, budget) as RunOutcome,
    serialInput: (port, bytes) => machine.serial_input(port, bytes),
    serialOutput: (port) => machine.serial_output(port),
    stats: () => machine.stats() as CoreStats,
    snapshot: () => machine.snapshot(),
    takeTrace: () => machine.take_trace(),
    debug: () => {
      const { postCodes, console } = machine.debug() as Record<keyof DebugOutput, number[]>;
      return { postCodes: Uint8Array.from(postCodes), console: Uint8Array.from(console) };
    },
    free: () => {
      machine.free();
    },
  };
}

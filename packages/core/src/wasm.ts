/** The WebAssembly face, brought into the form of {@link Core}. */

import type * as Face from "../pkg/terrarium.js";
import type {
  BootSource,
  Core,
  CoreConfig,
  CoreErrorRow,
  CoreLockstep,
  CoreMachine,
  DebugOutput,
  LockstepProgress,
  RunOutcome,
} from "./core.js";
import type { Aside } from "./aside.js";
import { canCompile } from "./features.js";
import type { HotRegion } from "./profile.js";
import type { CoreStats } from "./stats.js";

/**
 * A {@link Core} over a module of wasm-pack's that is initialised already and has that linear memory; `startAside` starts who compiles
 * for a machine.
 */
export function wasmCore(face: typeof Face, memory: WebAssembly.Memory, startAside: () => Aside): Core {
  return {
    face: "wasm",
    createMachine: (config, source) =>
      wasmMachine(face.Machine.create(config satisfies CoreConfig, source satisfies BootSource), memory, startAside),
    createLockstep: (config, source, hot) =>
      wasmLockstep(face.Lockstep.create(config satisfies CoreConfig, source satisfies BootSource, hot)),
    restoreMachine: (snapshot) => wasmMachine(face.Machine.restore(snapshot), memory, startAside),
    errorTable: () => face.error_table() as CoreErrorRow[],
    raise: (error) => {
      face.raise(error);
    },
  };
}

function wasmLockstep(pair: Face.Lockstep): CoreLockstep {
  return {
    run: (instructions) => pair.run(instructions) as LockstepProgress,
    serialInput: (port, bytes) => pair.serial_input(port, bytes),
    serialOutput: (port) => pair.serial_output(port),
  };
}

function wasmMachine(machine: Face.Machine, memory: WebAssembly.Memory, startAside: () => Aside): CoreMachine {
  let engine: CoreStats["engine"] = "interpreter";
  let aside: Aside | undefined;
  return {
    compile: (profile) => {
      if (!canCompile()) return;
      // What counts is read where it was compiled.
      aside = profile ? undefined : startAside();
      machine.compile(profile, aside);
      engine = "jit";
    },
    profile: () => machine.profile() as HotRegion[],
    region: (slot) => {
      const listing = machine.region(slot) as { readonly guest: string[]; readonly module: number[] } | undefined;
      return listing === undefined ? undefined : { ...listing, module: Uint8Array.from(listing.module) };
    },
    run: (nowNs, budget) => machine.run(nowNs, budget) as RunOutcome,
    reboot: (source) => {
      machine.reboot(source satisfies BootSource);
    },
    serialInput: (port, bytes) => machine.serial_input(port, bytes),
    serialOutput: (port) => machine.serial_output(port),
    stats: () => {
      const stats = machine.stats() as Omit<CoreStats, "engine" | "coreBytes">;
      return { ...stats, engine, coreBytes: memory.buffer.byteLength - stats.memoryBytes };
    },
    snapshot: () => machine.snapshot(),
    takeTrace: () => machine.take_trace(),
    debug: () => {
      const { postCodes, console } = machine.debug() as Record<keyof DebugOutput, number[]>;
      return { postCodes: Uint8Array.from(postCodes), console: Uint8Array.from(console) };
    },
    free: () => {
      aside?.close();
      machine.free();
    },
  };
}

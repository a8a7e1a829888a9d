/** What a machine counts, all since power-on. The core's own names: `cpu/src/stats.rs` and `machine/src/stats.rs`. */

/** Counters of one machine. */
export interface CoreStats {
  /** What executes the guest: `jit` compiles what runs often, and interprets the rest. */
  readonly engine: "interpreter" | "jit";
  /**
   * Guest instructions retired; a delivery of an exception counts as one. They are the sum of interpreted, compiled,
   * helped and restored ones.
   */
  readonly instructions: number;
  /** Of them, those that the interpreter retired, from block to block. */
  readonly interpretedInstructions: number;
  /** Those that compiled code retired by itself. */
  readonly compiledInstructions: number;
  /** Those in the midst of compiled code that it had a helper run. */
  readonly helpedInstructions: number;
  /** Those of before the snapshot that the machine comes from. */
  readonly restoredInstructions: number;
  /** Basic blocks decoded. */
  readonly blocksDecoded: number;
  /** Blocks dropped because their bytes were written. */
  readonly blocksInvalidated: number;
  /** Address translations that missed the TLB. */
  readonly tlbMisses: number;
  /** Hardware interrupts delivered. */
  readonly interrupts: number;
  /** Exceptions delivered. */
  readonly exceptions: number;
  /** Times compiled code was entered: the sum of `compiledExits`. */
  readonly compiledEntries: number;
  /** Why it was left. */
  readonly compiledExits: CompiledExits;
  /** Regions of compiled code that can be entered now. */
  readonly regions: number;
  /** Regions dropped because their bytes were written. */
  readonly regionsInvalidated: number;
  /** Regions dropped because there were too many. */
  readonly regionsEvicted: number;
  /** WebAssembly modules compiled. */
  readonly modules: number;
  /** Bytes of them. */
  readonly moduleBytes: number;
  /** Bytes of those of which some region can still be entered: what the host has to keep. */
  readonly heldModuleBytes: number;
  /** Nanoseconds compiling took, as far as the guest waited for it. */
  readonly compileNs: number;
  /** The longest it waited at a time. */
  readonly longestCompileNs: number;
  /** Nanoseconds compiling took in another thread, while the guest ran on. */
  readonly asideCompileNs: number;
  /** Guest time, in nanoseconds. */
  readonly guestNs: number;
  /** Times the processor came back to the board. */
  readonly exits: number;
  /** Times it came back because it had nothing to do. */
  readonly halts: number;
  /** Resets, by whatever means. */
  readonly resets: number;
  /** Reads of memory-mapped registers. */
  readonly mmioReads: number;
  /** Writes of memory-mapped registers. */
  readonly mmioWrites: number;
  /** Accesses of `IN` instructions. */
  readonly pioReads: number;
  /** Accesses of `OUT` instructions. */
  readonly pioWrites: number;
  /** Size of guest RAM, in bytes. */
  readonly memoryBytes: number;
  /** The most the core itself takes beside guest RAM, in bytes. */
  readonly coreBytes: number;
}

/** How often compiled code was left, by reason. */
export interface CompiledExits {
  /** The TLB did not cover an access of memory: a miss, two pages, a store to a page that holds code. */
  readonly access: number;
  /** An instruction was about to access a device. */
  readonly device: number;
  /** Operands that the interpreter has to see: unusual floating-point numbers, an unaligned vector, an offset beyond its segment. */
  readonly operands: number;
  /** An exception. */
  readonly exception: number;
  /** Less was left of the slice than a region may take. */
  readonly slice: number;
  /** It went on to where there is no compiled code, or to an instruction that never is compiled. */
  readonly noCode: number;
  /** An instruction has changed the mode, mappings, or code. */
  readonly changed: number;
  /** An instruction has made something due: an interrupt, or the board's turn. */
  readonly event: number;
}

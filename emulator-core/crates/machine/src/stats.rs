//! Counters that tell what a machine did, for `stats()`.

use serde::{Deserialize, Serialize};

/// What the machine has done since power-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Guest instructions retired.
    pub instructions: u64,
    /// Guest time, in nanoseconds.
    pub guest_ns: u64,
    /// Basic blocks the processor decoded.
    pub blocks_decoded: u64,
    /// Blocks dropped because their bytes were written.
    pub blocks_invalidated: u64,
    /// Address translations that missed the TLB.
    pub tlb_misses: u64,
    /// Hardware interrupts delivered.
    pub interrupts: u64,
    /// Exceptions delivered.
    pub exceptions: u64,
    /// Of the instructions, those that compiled code retired.
    pub compiled_instructions: u64,
    /// Times compiled code was entered.
    pub compiled_entries: u64,
    /// Regions of compiled code that can be entered now.
    pub regions: u64,
    /// WebAssembly modules compiled.
    pub modules: u64,
    /// Bytes of them.
    pub module_bytes: u64,
    /// Time compiling took, as far as the guest waited for it, in nanoseconds.
    pub compile_ns: u64,
    /// Times the processor came back to the board.
    pub exits: u64,
    /// Times it came back because it had nothing to do.
    pub halts: u64,
    /// Resets, by whatever means.
    pub resets: u64,
    /// Reads of memory-mapped registers.
    pub mmio_reads: u64,
    /// Writes of memory-mapped registers.
    pub mmio_writes: u64,
    /// `IN` instructions' accesses.
    pub pio_reads: u64,
    /// `OUT` instructions' accesses.
    pub pio_writes: u64,
    /// Size of guest RAM, in bytes.
    pub memory_bytes: u64,
}

/// The board's share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BusCounters {
    pub mmio_reads: u64,
    pub mmio_writes: u64,
    pub pio_reads: u64,
    pub pio_writes: u64,
}

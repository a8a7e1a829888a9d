//! Counters that tell what a machine did, for `stats()`.

use cpu::CpuStats;
use serde::Serialize;

/// What the machine has done since power-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// What its processor has done.
    #[serde(flatten)]
    pub processor: CpuStats,
    /// Guest time, in nanoseconds.
    pub guest_ns: u64,
    /// Times the processor came back to the board.
    pub exits: u64,
    /// Times it came back because it had nothing to do.
    pub halts: u64,
    /// Resets, by whatever means.
    pub resets: u64,
    /// Accesses of devices.
    #[serde(flatten)]
    pub devices: BusCounters,
    /// Size of guest RAM, in bytes.
    pub memory_bytes: u64,
}

/// How often devices were accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BusCounters {
    /// Reads of memory-mapped registers.
    pub mmio_reads: u64,
    /// Writes of memory-mapped registers.
    pub mmio_writes: u64,
    /// `IN` instructions' accesses.
    pub pio_reads: u64,
    /// `OUT` instructions' accesses.
    pub pio_writes: u64,
}

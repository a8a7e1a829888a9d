//! The high precision event timer with three comparators.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{AccessSize, Nanos, RestoreError, Section};

/// Comparators.
pub const TIMERS: usize = 3;

/// Where a comparator's interrupt goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HpetRoute {
    /// In place of the interval timer's interrupt.
    LegacyTimer,
    /// In place of the real-time clock's interrupt.
    LegacyRtc,
    /// This I/O APIC pin.
    IoApicPin(u8),
}

/// The high precision event timer with three comparators.
#[derive(Clone, Debug, Default)]
pub struct Hpet {}

impl Hpet {
    /// Stopped at zero.
    pub fn new() -> Hpet {
        Hpet {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Reads the 1 KiB register block.
    pub fn read(&mut self, offset: u64, size: AccessSize, now: Nanos) -> u64 {
        0
    }

    /// Writes the 1 KiB register block.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64, now: Nanos) {}

    /// Legacy replacement routing is on: the interval timer's and real-time clock's own interrupts are disconnected.
    pub fn legacy_replacement(&self) -> bool {
        false
    }

    /// Where a comparator's interrupt goes.
    pub fn route(&self, timer: usize) -> HpetRoute {
        HpetRoute::IoApicPin(0)
    }

    /// True once after a comparator in edge mode fired.
    pub fn take_edge(&mut self, timer: usize) -> bool {
        false
    }

    /// Level of a comparator in level mode.
    pub fn irq_asserted(&self, timer: usize) -> bool {
        false
    }

    /// Guest time at which outputs change by themselves.
    pub fn next_deadline(&self) -> Option<Nanos> {
        None
    }

    /// Brings the chip up to `now`.
    pub fn advance(&mut self, now: Nanos) {}

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode("skeleton", 1, &0u8)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        section.decode::<u8>(1).map(|_| ())
    }
}

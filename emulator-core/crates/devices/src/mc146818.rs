//! The MC146818 real-time clock with 128 bytes of battery-backed RAM.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{Nanos, RestoreError, Section};

/// How the clock starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtcConfig {
    /// Wall-clock time (UTC) at guest time 0, in seconds since 1970.
    pub unix_seconds: u64,
}

/// The MC146818 real-time clock with 128 bytes of battery-backed RAM.
#[derive(Clone, Debug)]
pub struct Mc146818 {}

impl Mc146818 {
    /// The clock runs from `config`; RAM is zero.
    pub fn new(config: RtcConfig) -> Mc146818 {
        Mc146818 {}
    }

    /// Bus reset: interrupts off; time and RAM stay (they are on battery).
    pub fn reset(&mut self) {}

    /// Reads the index (register 0, all ones) or data (register 1) register.
    pub fn read(&mut self, register: u8, now: Nanos) -> u8 {
        0xff
    }

    /// Writes the index (register 0; bit 7 masks NMI) or data (register 1) register.
    pub fn write(&mut self, register: u8, value: u8, now: Nanos) {}

    /// Sets a byte of RAM from the board's side (memory sizes, boot order); clock registers are not reachable.
    pub fn set_nvram(&mut self, index: u8, value: u8) {}

    /// A byte of RAM.
    pub fn nvram(&self, index: u8) -> u8 {
        0
    }

    /// Whether software masked NMI through the index register.
    pub fn nmi_masked(&self) -> bool {
        false
    }

    /// Level of the interrupt pin.
    pub fn irq_asserted(&self) -> bool {
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

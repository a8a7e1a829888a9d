//! The 8254 programmable interval timer.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{Nanos, RestoreError, Section};

/// Oscillator of the PC's timer, in Hertz.
pub const PC_TIMER_HZ: u64 = 1_193_182;

/// The 8254 programmable interval timer.
#[derive(Clone, Debug, Default)]
pub struct I8254 {}

impl I8254 {
    /// All three counters wait to be programmed; gates 0 and 1 are high, gate 2 low.
    pub fn new() -> I8254 {
        I8254 {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self, now: Nanos) {}

    /// Reads counter 0 to 2 (register 0 to 2); the control word register (3) reads as all ones.
    pub fn read(&mut self, register: u8, now: Nanos) -> u8 {
        0xff
    }

    /// Writes counter 0 to 2 or the control word register (3).
    pub fn write(&mut self, register: u8, value: u8, now: Nanos) {}

    /// Level of a counter's GATE input.
    pub fn set_gate(&mut self, counter: usize, level: bool, now: Nanos) {}

    /// Level of a counter's OUT pin at `now`; a counter that does not exist is low.
    pub fn out(&self, counter: usize, now: Nanos) -> bool {
        false
    }

    /// True once after counter 0's OUT rose since the last call; several rises count once, as in an edge-triggered controller.
    pub fn take_timer_edge(&mut self) -> bool {
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

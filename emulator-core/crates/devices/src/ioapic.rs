//! The 82093AA I/O APIC.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use crate::interrupt_message::InterruptMessage;
use platform::{AccessSize, RestoreError, Section};

/// Interrupt input pins.
pub const PINS: usize = 24;

/// The 82093AA I/O APIC.
#[derive(Clone, Debug)]
pub struct IoApic {}

impl IoApic {
    /// All pins masked. `id` is the reset value of its id register.
    pub fn new(id: u8) -> IoApic {
        IoApic {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Reads at an offset into the register window.
    pub fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        0
    }

    /// Writes at an offset into the register window.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64) {}

    /// Level of input `pin`; pins that do not exist are ignored.
    pub fn set_line(&mut self, pin: usize, level: bool) {}

    /// The end of the level-triggered interrupt `vector` was broadcast.
    pub fn end_of_interrupt(&mut self, vector: u8) {}

    /// The next message for the local APICs; call until `None`.
    pub fn take_message(&mut self) -> Option<InterruptMessage> {
        None
    }

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

//! The 16550A serial port, transmitting in no time.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{RestoreError, Section};

/// The 16550A serial port, transmitting in no time.
#[derive(Clone, Debug)]
pub struct Uart16550 {}

impl Uart16550 {
    /// `name` is the name of its snapshot section, unique on a board (`"uart16550.0"`).
    pub fn new(name: &'static str) -> Uart16550 {
        Uart16550 {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Reads register 0 to 7.
    pub fn read(&mut self, register: u8) -> u8 {
        0xff
    }

    /// Writes register 0 to 7.
    pub fn write(&mut self, register: u8, value: u8) {}

    /// Level of the interrupt pin (gated by OUT2, as on PC boards).
    pub fn irq_asserted(&self) -> bool {
        false
    }

    /// Bytes arriving on the line; answers how many were accepted. The rest must be pushed again later.
    pub fn push_input(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    /// Bytes transmitted since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Bytes waiting in [`Uart16550::take_output`].
    pub fn output_len(&self) -> usize {
        0
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

//! The 8237A DMA controller, its register file only.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{RestoreError, Section};

/// The 8237A DMA controller, its register file only.
#[derive(Clone, Debug)]
pub struct I8237 {}

impl I8237 {
    /// `name` is the name of its snapshot section, unique on a board (`"i8237.0"`).
    pub fn new(name: &'static str) -> I8237 {
        I8237 {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Reads register 0 to 15.
    pub fn read(&mut self, register: u8) -> u8 {
        0xff
    }

    /// Writes register 0 to 15.
    pub fn write(&mut self, register: u8, value: u8) {}

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

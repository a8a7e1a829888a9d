//! The pair of cascaded 8259A interrupt controllers of the AT board, with the ELCR.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use platform::{RestoreError, Section};

/// Which of the two chips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chip {
    /// The chip whose INT pin goes to the processor.
    Master,
    /// The chip on the master's line 2.
    Slave,
}

/// The pair of cascaded 8259A interrupt controllers of the AT board, with the ELCR.
#[derive(Clone, Debug, Default)]
pub struct I8259Pair {}

impl I8259Pair {
    /// Uninitialised.
    pub fn new() -> I8259Pair {
        I8259Pair {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Reads register 0 or 1 (A0) of a chip.
    pub fn read(&mut self, chip: Chip, register: u8) -> u8 {
        0xff
    }

    /// Writes register 0 or 1 (A0) of a chip.
    pub fn write(&mut self, chip: Chip, register: u8, value: u8) {}

    /// Reads the edge/level control register.
    pub fn read_elcr(&self, chip: Chip) -> u8 {
        0
    }

    /// Writes the edge/level control register.
    pub fn write_elcr(&mut self, chip: Chip, value: u8) {}

    /// Whether the ELCR makes `line` (0 to 15) level-triggered.
    pub fn is_level_triggered(&self, line: u8) -> bool {
        false
    }

    /// Level of input `line`, 0 to 15; 2 is the cascade and ignored.
    pub fn set_line(&mut self, line: u8, level: bool) {}

    /// Level of the master's INT pin.
    pub fn irq_asserted(&self) -> bool {
        false
    }

    /// Interrupt-acknowledge cycle: the vector (the spurious one when the request went away).
    pub fn acknowledge(&mut self) -> u8 {
        7
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

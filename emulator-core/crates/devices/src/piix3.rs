//! The ISA bridge of the 82371SB (PIIX3): PCI interrupt routing.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use crate::pci::PciFunction;
use platform::{AccessSize, RestoreError, Section};

/// The ISA bridge of the 82371SB (PIIX3): PCI interrupt routing.
#[derive(Clone, Debug, Default)]
pub struct Piix3 {}

impl Piix3 {
    /// No PCI interrupt is routed.
    pub fn new() -> Piix3 {
        Piix3 {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// The ISA interrupt that PIRQ `pirq` (0 to 3 for A to D) is routed to.
    pub fn pirq_route(&self, pirq: usize) -> Option<u8> {
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

impl PciFunction for Piix3 {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        size.ones() as u32
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {}
}

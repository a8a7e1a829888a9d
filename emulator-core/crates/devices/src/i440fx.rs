//! The 82441FX host bridge: PAM and SMRAM registers.
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use crate::pci::PciFunction;
use platform::{AccessSize, PhysAddr, RestoreError, Section};

/// How the bridge treats a range of the area between 640 KiB and 1 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAttributes {
    /// Reads go to RAM, else to the bus (ROM).
    pub read_ram: bool,
    /// Writes go to RAM, else to the bus (ROM).
    pub write_ram: bool,
}

/// The 82441FX host bridge: PAM and SMRAM registers.
#[derive(Clone, Debug, Default)]
pub struct I440fx {}

impl I440fx {
    /// All of the area goes to the bus.
    pub fn new() -> I440fx {
        I440fx {}
    }

    /// Power-on or bus reset.
    pub fn reset(&mut self) {}

    /// Attributes of the 16 KiB (from 0xf0000: 64 KiB) segment of `addr`; outside 0xc0000..0x100000 everything is RAM.
    pub fn attributes(&self, addr: PhysAddr) -> MemoryAttributes {
        MemoryAttributes { read_ram: false, write_ram: false }
    }

    /// Whether 0xa0000..0xc0000 is RAM: SMRAM opened, or the processor is in system-management mode and SMRAM enabled.
    pub fn smram_visible(&self, in_smm: bool) -> bool {
        false
    }

    /// True once after attributes changed.
    pub fn take_map_changed(&mut self) -> bool {
        false
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

impl PciFunction for I440fx {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        size.ones() as u32
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {}
}

//! The power management function of the 82371AB (PIIX4).
//!
//! SKELETON: the interface is final, the behaviour follows.

#![allow(unused_variables)]

use crate::pci::PciFunction;
use platform::{AccessSize, Nanos, RestoreError, Section};

/// Bytes of the power management register block.
pub const PM_BYTES: u16 = 64;

/// The power management function of the 82371AB (PIIX4).
#[derive(Clone, Debug)]
pub struct Piix4Pm {}

impl Piix4Pm {
    /// `io_base` is preset and enabled as firmware would; 0 leaves that to the guest. ACPI mode (SCI_EN) is on when `acpi_enabled`.
    pub fn new(io_base: u16, acpi_enabled: bool) -> Piix4Pm {
        Piix4Pm {}
    }

    /// Back to the state of [`Piix4Pm::new`].
    pub fn reset(&mut self) {}

    /// Base port of the register block, while enabled.
    pub fn io_base(&self) -> Option<u16> {
        None
    }

    /// Reads the register block.
    pub fn read(&mut self, offset: u16, size: AccessSize, now: Nanos) -> u32 {
        0
    }

    /// Writes the register block.
    pub fn write(&mut self, offset: u16, size: AccessSize, value: u32, now: Nanos) {}

    /// Reads APM control (register 0) or status (1).
    pub fn read_apm(&self, register: u8) -> u8 {
        0
    }

    /// Writes APM control (register 0) or status (1): stands in for the firmware's SMI handler that turns ACPI on and off.
    pub fn write_apm(&mut self, register: u8, value: u8) {}

    /// The user pressed the power button.
    pub fn press_power_button(&mut self, now: Nanos) {}

    /// Level of the SCI pin.
    pub fn sci_asserted(&self) -> bool {
        false
    }

    /// True once after software entered S5 (soft off).
    pub fn take_power_off(&mut self) -> bool {
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

impl PciFunction for Piix4Pm {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        size.ones() as u32
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {}
}

//! The ISA bridge of the 82371SB (PIIX3) south bridge (Intel data sheet, order 290550): PCI interrupt routing and
//! coprocessor errors.
//! Its reset control register is [`crate::reset_control`], its ELCR belongs to [`crate::i8259`].
//!
//! Deliberately missing: ISA timing, DMA routing, APM timers; their registers hold what is written to them. The enable bit of
//! the coprocessor error function is one of them: firmware written for emulators does not know it.

use crate::pci::{ConfigSpace, PciFunction, header};
use AccessSize::{Byte, Dword, Word};
use platform::{AccessSize, RestoreError, Section};

/// PIRQ route control, one byte each for PIRQA# to PIRQD# (PIIX3, 2.2.8).
const PIRQ_ROUTE: u8 = 0x60;
const PIRQ_DISABLED: u8 = 1 << 7;
/// ISA interrupts a PIRQ can be routed to: 3 to 7, 9 to 12, 14 and 15.
const ROUTABLE: u16 = 0b1101_1110_1111_1000;
/// ISA I/O recovery timer, X-bus chip select, top of memory: registers firmware writes and reads back.
const IO_RECOVERY: u8 = 0x4c;
const XBUS_CHIP_SELECT: u8 = 0x4e;
const TOP_OF_MEMORY: u8 = 0x69;

const SECTION: &str = "piix3";
const VERSION: u16 = 1;

/// The bridge.
#[derive(Clone, Debug)]
pub struct Piix3 {
    config: ConfigSpace,
    /// FERR# has fallen and the error register has not been written since.
    coprocessor_error: bool,
}

impl Default for Piix3 {
    fn default() -> Piix3 {
        Piix3::new()
    }
}

impl Piix3 {
    /// No PCI interrupt is routed.
    #[must_use]
    pub fn new() -> Piix3 {
        let config = ConfigSpace::new(0x8086, 0x7000, 0x00, 0x06_01_00)
            .with(header::HEADER_TYPE, Byte, 0x80)
            .with(header::COMMAND, Word, 0x0007)
            .writable(header::COMMAND, Word, 0x0108)
            .with(header::STATUS, Word, 0x0200)
            .clear_on_one(header::STATUS, Word, 0x7800)
            .with(IO_RECOVERY, Byte, 0x4d)
            .writable(IO_RECOVERY, Byte, 0x7f)
            .with(XBUS_CHIP_SELECT, Word, 0x0003)
            .writable(XBUS_CHIP_SELECT, Word, 0x01ff)
            .with(PIRQ_ROUTE, Dword, 0x8080_8080)
            .writable(PIRQ_ROUTE, Dword, 0x8f8f_8f8f)
            .with(TOP_OF_MEMORY, Byte, 0x02)
            .writable(TOP_OF_MEMORY, Byte, 0xfe);
        Piix3 { config, coprocessor_error: false }
    }

    /// Back to the state of [`Piix3::new`].
    pub fn reset(&mut self) {
        *self = Piix3::new();
    }

    /// The ISA interrupt that PIRQ `pirq` (0 to 3 for A to D) is routed to; `None` where it is disabled or routed to an
    /// interrupt the chip reserves.
    #[must_use]
    pub fn pirq_route(&self, pirq: usize) -> Option<u8> {
        let offset = PIRQ_ROUTE + u8::try_from(pirq).ok().filter(|&pirq| pirq < 4)?;
        let route = self.config.read(offset, Byte) as u8;
        let irq = route & 15;
        (route & PIRQ_DISABLED == 0 && ROUTABLE & 1 << irq != 0).then_some(irq)
    }

    /// FERR# falls: the processor's x87 has an error.
    pub fn raise_coprocessor_error(&mut self) {
        self.coprocessor_error = true;
    }

    /// A write of any value to the coprocessor error register, port 0xf0.
    pub fn write_coprocessor_error(&mut self) {
        self.coprocessor_error = false;
    }

    /// Level of interrupt 13.
    #[must_use]
    pub fn coprocessor_irq(&self) -> bool {
        self.coprocessor_error
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &(self.config.to_vec(), self.coprocessor_error))
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let (config, coprocessor_error): (Vec<u8>, bool) = section.decode(VERSION)?;
        self.config = self.config.with_saved(&config).ok_or_else(|| section.damaged())?;
        self.coprocessor_error = coprocessor_error;
        Ok(())
    }
}

impl PciFunction for Piix3 {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        self.config.read(offset, size)
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {
        self.config.write(offset, size, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_it_is_a_piix3_with_several_functions() {
        let bridge = Piix3::new();
        assert_eq!(bridge.config_read(0, Dword), 0x7000_8086);
        assert_eq!(bridge.config_read(8, Dword), 0x0601_0000);
        assert_eq!(bridge.config_read(0x0e, Byte), 0x80);
    }

    #[test]
    fn a_coprocessor_error_holds_interrupt_13_until_its_register_is_written() {
        let mut bridge = Piix3::new();
        bridge.raise_coprocessor_error();
        assert!(bridge.coprocessor_irq());
        bridge.write_coprocessor_error();
        assert!(!bridge.coprocessor_irq());
    }

    #[test]
    fn pci_interrupts_are_routed_only_where_the_chip_can() {
        let mut bridge = Piix3::new();
        assert_eq!(bridge.pirq_route(0), None);
        bridge.config_write(0x60, Dword, 0x0d_08_0a_0b);
        assert_eq!([0, 1, 2, 3, 4].map(|pirq| bridge.pirq_route(pirq)), [Some(11), Some(10), None, None, None]);
        bridge.config_write(0x60, Byte, 0x8b);
        assert_eq!(bridge.pirq_route(0), None);
    }
}

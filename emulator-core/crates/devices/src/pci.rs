//! PCI configuration space and configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2 and 6.1).
//!
//! Deliberately missing: mechanism #2, memory-mapped (enhanced) configuration, special cycles.

use platform::{AccessSize, RestoreError, Section};
use serde::{Deserialize, Serialize};

/// Bytes of configuration space of one function.
pub const CONFIG_BYTES: usize = 256;

/// Common header registers (PCI 3.0, figure 6-1).
pub mod header {
    /// Vendor id, 16 bits.
    pub const VENDOR_ID: u8 = 0x00;
    /// Device id, 16 bits.
    pub const DEVICE_ID: u8 = 0x02;
    /// Command register, 16 bits.
    pub const COMMAND: u8 = 0x04;
    /// Status register, 16 bits.
    pub const STATUS: u8 = 0x06;
    /// Revision id.
    pub const REVISION: u8 = 0x08;
    /// Programming interface, sub-class and class, 24 bits.
    pub const CLASS: u8 = 0x09;
    /// Header type; bit 7 marks a device with several functions.
    pub const HEADER_TYPE: u8 = 0x0e;
    /// First of six base address registers, 32 bits each.
    pub const BAR0: u8 = 0x10;
    /// Interrupt line, a scratch byte for software.
    pub const INTERRUPT_LINE: u8 = 0x3c;
    /// Interrupt pin: 1 to 4 for INTA# to INTD#, 0 for none.
    pub const INTERRUPT_PIN: u8 = 0x3d;
}

/// Where a function sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciAddress {
    /// Bus number.
    pub bus: u8,
    /// Device (slot) number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

/// A device function's configuration space. `offset` is aligned to `size`, which is at most a dword.
pub trait PciFunction {
    /// Reads 1, 2 or 4 bytes, zero-extended.
    fn config_read(&self, offset: u8, size: AccessSize) -> u32;

    /// Writes 1, 2 or 4 bytes.
    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32);
}

/// The board's slots.
pub trait PciSlots {
    /// The function at `address`, or `None` for an empty place (reads as all ones).
    fn function(&mut self, address: PciAddress) -> Option<&mut dyn PciFunction>;
}

/// Bytes of a function's configuration space with, for every bit, whether software may write it.
///
/// Base address registers need nothing more: a BAR of size N has its upper bits writable, so that the usual
/// all-ones probe reads back the size (PCI 3.0, 6.2.5.1).
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: [u8; CONFIG_BYTES],
    writable: [u8; CONFIG_BYTES],
    clear_on_one: [u8; CONFIG_BYTES],
}

impl ConfigSpace {
    /// A header with these identifiers and all else zero and read-only. `class` is class, sub-class and
    /// programming interface as one 24-bit number.
    #[must_use]
    pub fn new(vendor: u16, device: u16, revision: u8, class: u32) -> ConfigSpace {
        let mut space =
            ConfigSpace { bytes: [0; CONFIG_BYTES], writable: [0; CONFIG_BYTES], clear_on_one: [0; CONFIG_BYTES] };
        space.set(header::VENDOR_ID, AccessSize::Word, u32::from(vendor));
        space.set(header::DEVICE_ID, AccessSize::Word, u32::from(device));
        space.set(header::REVISION, AccessSize::Dword, class << 8 | u32::from(revision));
        space
    }

    /// Makes the bits of `mask` writable.
    #[must_use]
    pub fn writable(mut self, offset: u8, size: AccessSize, mask: u32) -> ConfigSpace {
        for_each_byte(offset, size, mask, |at, byte| self.writable[at] |= byte);
        self
    }

    /// Makes the bits of `mask` clear when software writes ones to them.
    #[must_use]
    pub fn clear_on_one(mut self, offset: u8, size: AccessSize, mask: u32) -> ConfigSpace {
        for_each_byte(offset, size, mask, |at, byte| self.clear_on_one[at] |= byte);
        self
    }

    /// Gives a register its reset value.
    #[must_use]
    pub fn with(mut self, offset: u8, size: AccessSize, value: u32) -> ConfigSpace {
        self.set(offset, size, value);
        self
    }

    /// Sets a register from the device's side: no bit is protected.
    pub fn set(&mut self, offset: u8, size: AccessSize, value: u32) {
        for_each_byte(offset, size, value, |at, byte| self.bytes[at] = byte);
    }

    /// Reads 1, 2 or 4 bytes; what lies past the end reads as zero.
    #[must_use]
    pub fn read(&self, offset: u8, size: AccessSize) -> u32 {
        let start = usize::from(offset);
        let width = size.bytes().min(4) as usize;
        let taken = self.bytes.iter().skip(start).take(width);
        taken.rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
    }

    /// A write by software: only writable bits change, write-one-to-clear bits clear.
    pub fn write(&mut self, offset: u8, size: AccessSize, value: u32) {
        for_each_byte(offset, size, value, |at, byte| {
            let writable = self.writable[at];
            self.bytes[at] = (self.bytes[at] & !writable | byte & writable) & !(byte & self.clear_on_one[at]);
        });
    }

    /// The bytes, for a snapshot.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// Takes over saved bytes, but only the bits software can change: identifiers and sizes stay this
    /// function's own whatever a snapshot says. `None` when the length is wrong.
    #[must_use]
    pub fn with_saved(&self, saved: &[u8]) -> Option<ConfigSpace> {
        let saved: &[u8; CONFIG_BYTES] = saved.try_into().ok()?;
        let mut space = self.clone();
        for (at, &byte) in saved.iter().enumerate() {
            let changeable = self.writable[at] | self.clear_on_one[at];
            space.bytes[at] = space.bytes[at] & !changeable | byte & changeable;
        }
        Some(space)
    }
}

fn for_each_byte(offset: u8, size: AccessSize, value: u32, mut each: impl FnMut(usize, u8)) {
    let width = size.bytes().min(4) as usize;
    for (index, byte) in value.to_le_bytes().into_iter().enumerate().take(width) {
        let at = usize::from(offset) + index;
        if at < CONFIG_BYTES {
            each(at, byte);
        }
    }
}

const ENABLE: u32 = 1 << 31;
const ADDRESS_BITS: u32 = 0x80ff_fffc;
const SECTION: &str = "pci";
const VERSION: u16 = 1;

/// Configuration mechanism #1: CONFIG_ADDRESS at offsets 0 to 3, CONFIG_DATA at 4 to 7.
#[derive(Clone, Debug, Default)]
pub struct ConfigMechanism {
    state: State,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    config_address: u32,
}

impl ConfigMechanism {
    /// CONFIG_ADDRESS is zero.
    #[must_use]
    pub fn new() -> ConfigMechanism {
        ConfigMechanism::default()
    }

    /// Back to the state of [`ConfigMechanism::new`].
    pub fn reset(&mut self) {
        self.state = State::default();
    }

    /// Reads offset 0 to 7. CONFIG_ADDRESS answers dword accesses only, as the specification demands:
    /// other widths at its place belong to whatever else the board decodes there.
    #[must_use]
    pub fn read(&self, offset: u8, size: AccessSize, slots: &mut dyn PciSlots) -> u32 {
        let ones = size.ones() as u32;
        match (offset, size) {
            (0, AccessSize::Dword) => self.state.config_address,
            (4..=7, _) => match self.target(offset, size) {
                Some((address, register)) => {
                    slots.function(address).map_or(ones, |function| function.config_read(register, size))
                }
                None => ones,
            },
            _ => ones,
        }
    }

    /// Writes offset 0 to 7.
    pub fn write(&mut self, offset: u8, size: AccessSize, value: u32, slots: &mut dyn PciSlots) {
        match (offset, size) {
            (0, AccessSize::Dword) => self.state.config_address = value & ADDRESS_BITS,
            (4..=7, _) => {
                let target = self.target(offset, size);
                if let Some((address, register)) = target
                    && let Some(function) = slots.function(address)
                {
                    function.config_write(register, size, value);
                }
            }
            _ => {}
        }
    }

    /// The function and register a CONFIG_DATA access means; `None` while disabled or where the access
    /// would leave the dword.
    fn target(&self, offset: u8, size: AccessSize) -> Option<(PciAddress, u8)> {
        let address = self.state.config_address;
        let lane = offset & 3;
        let aligned = size != AccessSize::Qword && u64::from(lane) % size.bytes() == 0;
        if address & ENABLE == 0 || !aligned {
            return None;
        }
        let [register, function, bus, _] = address.to_le_bytes();
        Some((PciAddress { bus, device: function >> 3, function: function & 7 }, register | lane))
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &self.state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        self.state = State { config_address: state.config_address & ADDRESS_BITS };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccessSize::{Byte, Dword, Word};

    struct OneDevice(ConfigSpace);

    impl PciFunction for OneDevice {
        fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
            self.0.read(offset, size)
        }

        fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {
            self.0.write(offset, size, value);
        }
    }

    impl PciSlots for OneDevice {
        fn function(&mut self, address: PciAddress) -> Option<&mut dyn PciFunction> {
            (address == PciAddress { bus: 0, device: 3, function: 1 }).then_some(self)
        }
    }

    fn network_card() -> OneDevice {
        let space = ConfigSpace::new(0x8086, 0x100e, 3, 0x02_00_00)
            .writable(header::BAR0, Dword, !0x1_ffff)
            .with(header::STATUS, Word, 0x8000)
            .clear_on_one(header::STATUS, Word, 0xf900);
        OneDevice(space)
    }

    #[test]
    fn an_empty_slot_and_a_disabled_mechanism_read_as_all_ones() {
        let mut slots = network_card();
        let mut mechanism = ConfigMechanism::new();
        assert_eq!(mechanism.read(4, Dword, &mut slots), 0xffff_ffff);
        mechanism.write(0, Dword, 0x8000_2000, &mut slots);
        assert_eq!(mechanism.read(4, Dword, &mut slots), 0xffff_ffff);
        assert_eq!(mechanism.read(6, Word, &mut slots), 0xffff);
    }

    #[test]
    fn identifiers_are_read_through_the_address_and_byte_lanes() {
        let mut slots = network_card();
        let mut mechanism = ConfigMechanism::new();
        mechanism.write(0, Dword, 0x8000_1900, &mut slots);
        assert_eq!(mechanism.read(0, Dword, &mut slots), 0x8000_1900);
        assert_eq!(mechanism.read(4, Dword, &mut slots), 0x100e_8086);
        assert_eq!(mechanism.read(6, Word, &mut slots), 0x100e);
        assert_eq!(mechanism.read(7, Byte, &mut slots), 0x10);
        mechanism.write(0, Dword, 0x8000_1908, &mut slots);
        assert_eq!(mechanism.read(4, Dword, &mut slots), 0x0200_0003);
    }

    #[test]
    fn probing_a_base_address_register_with_ones_tells_its_size() {
        let mut slots = network_card();
        slots.config_write(header::BAR0, Dword, 0xffff_ffff);
        assert_eq!(!slots.config_read(header::BAR0, Dword) + 1, 0x2_0000);
        slots.config_write(header::VENDOR_ID, Dword, 0);
        assert_eq!(slots.config_read(header::VENDOR_ID, Word), 0x8086);
    }

    #[test]
    fn status_bits_clear_when_written_with_ones() {
        let mut slots = network_card();
        slots.config_write(header::STATUS, Word, 0x0000);
        assert_eq!(slots.config_read(header::STATUS, Word), 0x8000);
        slots.config_write(header::STATUS, Word, 0x8000);
        assert_eq!(slots.config_read(header::STATUS, Word), 0x0000);
    }

    #[test]
    fn a_hostile_snapshot_cannot_change_identifiers() {
        let space = network_card().0;
        let restored = space.with_saved(&[0xff; CONFIG_BYTES]).unwrap();
        assert_eq!(restored.read(header::VENDOR_ID, Dword), 0x100e_8086);
        assert!(space.with_saved(&[0; 255]).is_none());
    }
}

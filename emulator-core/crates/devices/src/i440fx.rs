//! The 82441FX host bridge (Intel 440FX PCIset data sheet, order 290549): who answers between 640 KiB and 1 MiB.
//!
//! Deliberately missing: DRAM timing and row boundaries, error reporting, buffer control; their registers read as zero.

use crate::pci::{ConfigSpace, PciFunction, header};
use AccessSize::{Byte, Dword, Word};
use platform::{AccessSize, PhysAddr, RestoreError, Section};
use serde::{Deserialize, Serialize};

/// PAM0, the first of seven programmable attribute map registers (82441FX, 3.2.17).
const PAM0: u8 = 0x59;
const PAM_READ: u8 = 1 << 0;
const PAM_WRITE: u8 = 1 << 1;
/// System management RAM control register (82441FX, 3.2.22).
const SMRAM: u8 = 0x72;
const SMRAM_OPEN: u8 = 1 << 6;
const SMRAM_CLOSED: u8 = 1 << 5;
const SMRAM_LOCKED: u8 = 1 << 4;
const SMRAM_ENABLED: u8 = 1 << 3;
/// The segment at 0xa0000, the only one there is.
const SMRAM_SEGMENT_A: u8 = 0b010;

/// The PAM segments: 12 of 16 KiB, then one of 64 KiB.
const PAM_START: u64 = 0xc_0000;
const PAM_LARGE_START: u64 = 0xf_0000;
const PAM_END: u64 = 0x10_0000;

const SECTION: &str = "i440fx";
const VERSION: u16 = 1;

/// How the bridge treats a range of the area between 768 KiB and 1 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAttributes {
    /// Reads go to RAM, else to the bus (ROM).
    pub read_ram: bool,
    /// Writes go to RAM, else to the bus (ROM).
    pub write_ram: bool,
}

/// The bridge.
#[derive(Clone, Debug)]
pub struct I440fx {
    config: ConfigSpace,
    map_changed: bool,
}

#[derive(Serialize, Deserialize)]
struct State {
    config: Vec<u8>,
}

impl Default for I440fx {
    fn default() -> I440fx {
        I440fx::new()
    }
}

impl I440fx {
    /// All of the area goes to the bus.
    #[must_use]
    pub fn new() -> I440fx {
        let config = ConfigSpace::new(0x8086, 0x1237, 0x02, 0x06_00_00)
            .with(header::COMMAND, Word, 0x0006)
            .writable(header::COMMAND, Word, 0x0140)
            .with(header::STATUS, Word, 0x0280)
            .clear_on_one(header::STATUS, Word, 0xf900)
            .writable(PAM0, Byte, 0x30)
            .writable(PAM0 + 1, Word, 0x3333)
            .writable(PAM0 + 3, Dword, 0x3333_3333)
            .with(SMRAM, Byte, SMRAM_SEGMENT_A.into())
            .writable(SMRAM, Byte, (SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCKED | SMRAM_ENABLED).into());
        I440fx { config, map_changed: true }
    }

    /// Back to the state of [`I440fx::new`].
    pub fn reset(&mut self) {
        *self = I440fx::new();
    }

    /// Attributes of the segment of `addr`, 16 KiB long, from 0xf0000 on 64 KiB. Outside 0xc0000..0x100000 everything
    /// is RAM as far as these registers go.
    #[must_use]
    pub fn attributes(&self, addr: PhysAddr) -> MemoryAttributes {
        let nibble = match addr.0 {
            PAM_START..PAM_LARGE_START => {
                let segment = ((addr.0 - PAM_START) >> 14) as u8;
                self.register(PAM0 + 1 + segment / 2) >> (4 * (segment % 2))
            }
            PAM_LARGE_START..PAM_END => self.register(PAM0) >> 4,
            _ => PAM_READ | PAM_WRITE,
        };
        MemoryAttributes { read_ram: nibble & PAM_READ != 0, write_ram: nibble & PAM_WRITE != 0 }
    }

    /// Whether 0xa0000..0xc0000 is RAM: SMRAM opened, or the processor is in system-management mode.
    #[must_use]
    pub fn smram_visible(&self, in_smm: bool) -> bool {
        let smram = self.register(SMRAM);
        let open = smram & SMRAM_OPEN != 0;
        let closed = smram & SMRAM_CLOSED != 0;
        smram & SMRAM_ENABLED != 0 && (open || in_smm && !closed)
    }

    /// True once after the answers of [`I440fx::attributes`] or [`I440fx::smram_visible`] may have changed.
    pub fn take_map_changed(&mut self) -> bool {
        std::mem::take(&mut self.map_changed)
    }

    fn register(&self, offset: u8) -> u8 {
        self.config.read(offset, Byte) as u8
    }

    /// What decides the memory map: SMRAM and the seven PAM registers.
    fn map(&self) -> [u8; 8] {
        core::array::from_fn(|index| self.register(if index == 7 { SMRAM } else { PAM0 + index as u8 }))
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &State { config: self.config.to_vec() })
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        self.config = self.config.with_saved(&state.config).ok_or_else(|| section.damaged())?;
        self.map_changed = true;
        Ok(())
    }
}

impl PciFunction for I440fx {
    fn config_read(&self, offset: u8, size: AccessSize) -> u32 {
        self.config.read(offset, size)
    }

    fn config_write(&mut self, offset: u8, size: AccessSize, value: u32) {
        let before = self.map();
        self.config.write(offset, size, value);
        if before[7] & SMRAM_LOCKED != 0 {
            // Until the next reset nobody opens it again.
            self.config.set(SMRAM, Byte, before[7].into());
        } else if self.register(SMRAM) & SMRAM_LOCKED != 0 {
            self.config.set(SMRAM, Byte, (self.register(SMRAM) & !SMRAM_OPEN).into());
        }
        self.map_changed |= before != self.map();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_it_is_an_82441fx() {
        let bridge = I440fx::new();
        assert_eq!(bridge.config_read(0, Dword), 0x1237_8086);
        assert_eq!(bridge.config_read(8, Dword), 0x0600_0002);
        assert_eq!(bridge.config_read(4, Dword), 0x0280_0006);
    }

    #[test]
    fn each_pam_nibble_governs_its_segment() {
        // 82441FX, table 3-1: register, nibble, first address.
        let segments = [
            (0x59, 4, 0xf_0000),
            (0x5a, 0, 0xc_0000),
            (0x5a, 4, 0xc_4000),
            (0x5b, 0, 0xc_8000),
            (0x5c, 4, 0xd_4000),
            (0x5d, 0, 0xd_8000),
            (0x5e, 0, 0xe_0000),
            (0x5f, 4, 0xe_c000),
        ];
        for (register, shift, address) in segments {
            let mut bridge = I440fx::new();
            let closed = MemoryAttributes { read_ram: false, write_ram: false };
            assert_eq!(bridge.attributes(PhysAddr(address)), closed);
            bridge.take_map_changed();
            bridge.config_write(register, Byte, 1 << shift);
            assert!(bridge.take_map_changed());
            let readable = MemoryAttributes { read_ram: true, write_ram: false };
            assert_eq!(bridge.attributes(PhysAddr(address + 0x3fff)), readable);
            assert_eq!(bridge.attributes(PhysAddr(address - 1)).write_ram, address == 0xc_0000);
            bridge.config_write(register, Byte, 1 << shift);
            assert!(!bridge.take_map_changed());
        }
    }

    #[test]
    fn locked_smram_cannot_be_opened() {
        let mut bridge = I440fx::new();
        bridge.config_write(SMRAM, Byte, 0x48);
        assert!(bridge.smram_visible(false));
        bridge.config_write(SMRAM, Byte, 0x18);
        bridge.config_write(SMRAM, Byte, 0x48);
        assert!(!bridge.smram_visible(false) && bridge.smram_visible(true));
        assert_eq!(bridge.config_read(SMRAM, Byte), 0x1a);
    }

    #[test]
    fn a_snapshot_brings_the_memory_map_back() {
        let mut bridge = I440fx::new();
        bridge.config_write(0x5a, Dword, 0x3333_3333);
        let mut twin = I440fx::new();
        twin.take_map_changed();
        twin.restore(&bridge.save()).unwrap();
        assert!(twin.take_map_changed());
        assert!(twin.attributes(PhysAddr(0xd_0000)).write_ram);
    }
}

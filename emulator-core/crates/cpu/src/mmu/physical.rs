//! Physical memory as the processor reaches it: RAM and ROM in the host's memory, everything else over the bus.

use platform::{AccessSize, Backing, PhysAddr};
use x86::Width;

use crate::exec::Exec;

const fn access_size(w: Width) -> AccessSize {
    match w {
        Width::W8 => AccessSize::Byte,
        Width::W16 => AccessSize::Word,
        Width::W32 => AccessSize::Dword,
        Width::W64 => AccessSize::Qword,
    }
}

impl Exec<'_> {
    /// Reads `w` at a physical address; the access lies in one page.
    pub(crate) fn physical_read(&mut self, w: Width, addr: PhysAddr) -> u64 {
        match self.bus.backing(addr) {
            Backing::Ram(page) | Backing::Rom(page) => {
                let bytes = w.bytes() as usize;
                let at = PhysAddr((page as u64 & !0xfff) | (addr.0 & 0xfff));
                let mut value = [0u8; 8];
                if let Some(source) = self.bus.memory().get(at, bytes) {
                    value[..bytes].copy_from_slice(source);
                }
                u64::from_le_bytes(value)
            }
            Backing::Mmio => {
                let now = self.now();
                let value = self.bus.mmio_read(addr, access_size(w), now);
                self.bus_accessed();
                w.truncate(value)
            }
        }
    }

    /// Writes `w` at a physical address; the access lies in one page. Decoded code there is dropped.
    pub(crate) fn physical_write(&mut self, w: Width, addr: PhysAddr, value: u64) {
        match self.bus.backing(addr) {
            Backing::Ram(page) => {
                let bytes = w.bytes() as usize;
                if self.cpu.holds_code(addr.page()) {
                    self.cpu.code_written(addr, w.bytes());
                }
                let at = PhysAddr((page as u64 & !0xfff) | (addr.0 & 0xfff));
                if let Some(target) = self.bus.memory().get_mut(at, bytes) {
                    target.copy_from_slice(&value.to_le_bytes()[..bytes]);
                }
            }
            Backing::Rom(_) | Backing::Mmio => {
                let now = self.now();
                self.bus.mmio_write(addr, access_size(w), w.truncate(value), now);
                self.bus_accessed();
            }
        }
    }

    /// After an access to a device: lines, deadlines and the memory map may have changed.
    pub(crate) fn bus_accessed(&mut self) {
        self.cpu.leave = true;
        if self.bus.take_map_changed() {
            self.cpu.forget_derived();
        }
    }
}

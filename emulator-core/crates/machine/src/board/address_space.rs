//! Which chip answers at a guest-physical address.

use platform::{AccessSize, Backing, Nanos, PAGE_BYTES, PhysAddr};

use super::Pc;
use crate::layout;

/// A chip with memory-mapped registers, and the offset into them.
enum Chip {
    Lapic(u64),
    IoApic(u64),
    Hpet(u64),
    Ecam(u64),
}

impl Pc {
    /// The address as it leaves the A20 gate.
    fn gated(&self, addr: PhysAddr) -> PhysAddr {
        if self.a20_open { addr } else { PhysAddr(addr.0 & !layout::A20) }
    }

    /// What backs a page; RAM lies at its own address in guest memory, ROM behind it.
    pub(super) fn page_backing(&self, addr: PhysAddr) -> Backing {
        let addr = self.gated(addr);
        let ram = Backing::Ram(addr.0 as usize);
        if layout::VGA_HOLE.contains(&addr.0) {
            return if self.host_bridge.smram_visible(false) { ram } else { Backing::Mmio };
        }
        if layout::ROM_AREA.contains(&addr.0) {
            let attributes = self.host_bridge.attributes(addr);
            return match (attributes.read_ram, attributes.write_ram) {
                (true, true) => ram,
                (true, false) => Backing::Rom(addr.0 as usize),
                (false, _) => self.low_rom(addr).map_or(Backing::Mmio, Backing::Rom),
            };
        }
        if self.lapic.mmio_base().is_some_and(|base| base.page() == addr.page()) {
            return Backing::Mmio;
        }
        match addr.0.checked_sub(self.rom_base().0) {
            _ if addr.0 < self.config.ram_bytes => ram,
            Some(offset) if offset < self.config.rom_bytes => Backing::Rom((self.config.ram_bytes + offset) as usize),
            _ => Backing::Mmio,
        }
    }

    /// The end of the firmware ROM, seen below 1 MiB as well.
    fn low_rom(&self, addr: PhysAddr) -> Option<usize> {
        let window = self.config.rom_bytes.min(layout::FIRMWARE_LOW);
        let from_end = layout::ONE_MIB - addr.0;
        (from_end <= window).then(|| (self.config.ram_bytes + self.config.rom_bytes - from_end) as usize)
    }

    fn chip(&self, addr: PhysAddr) -> Option<Chip> {
        if let Some(base) = self.lapic.mmio_base()
            && let Some(offset) = addr.0.checked_sub(base.0)
            && offset < PAGE_BYTES
        {
            return Some(Chip::Lapic(offset));
        }
        match addr.0 {
            address if layout::IOAPIC.contains(&address) => Some(Chip::IoApic(address - layout::IOAPIC.start)),
            address if layout::ECAM.contains(&address) => Some(Chip::Ecam(address - layout::ECAM.start)),
            address if layout::HPET.contains(&address) => Some(Chip::Hpet(address - layout::HPET.start)),
            _ => None,
        }
    }

    pub(super) fn read_memory_mapped(&mut self, addr: PhysAddr, size: AccessSize, now: Nanos) -> u64 {
        let addr = self.gated(addr);
        match self.chip(addr) {
            Some(Chip::Lapic(offset)) => self.lapic.read(offset, size, now),
            Some(Chip::IoApic(offset)) => self.ioapic.read(offset, size),
            Some(Chip::Hpet(offset)) => self.hpet.read(offset, size, now),
            Some(Chip::Ecam(offset)) => self.read_ecam(offset, size),
            None => self.read_backed(addr, size).unwrap_or(size.ones()),
        }
    }

    pub(super) fn write_memory_mapped(&mut self, addr: PhysAddr, size: AccessSize, value: u64, now: Nanos) {
        let addr = self.gated(addr);
        match self.chip(addr) {
            Some(Chip::Lapic(offset)) => self.lapic.write(offset, size, value, now),
            Some(Chip::IoApic(offset)) => self.ioapic.write(offset, size, value),
            Some(Chip::Hpet(offset)) => self.hpet.write(offset, size, value, now),
            Some(Chip::Ecam(offset)) => self.write_ecam(offset, size, value),
            None => self.write_shadow(addr, size, value),
        }
    }

    /// Memory read the slow way, by an access that the processor could not map.
    fn read_backed(&mut self, addr: PhysAddr, size: AccessSize) -> Option<u64> {
        let (Backing::Ram(page) | Backing::Rom(page)) = self.page_backing(addr.page()) else { return None };
        let offset = PhysAddr(page as u64 + (addr.0 & (PAGE_BYTES - 1)));
        let bytes = self.memory.get(offset, size.bytes() as usize)?;
        let mut value = [0; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        Some(u64::from_le_bytes(value))
    }

    /// Shadow RAM that is written through ROM, as firmware copies itself (82441FX, 3.2.17); real ROM ignores writes.
    fn write_shadow(&mut self, addr: PhysAddr, size: AccessSize, value: u64) {
        let shadowed = layout::ROM_AREA.contains(&addr.0) && self.host_bridge.attributes(addr).write_ram;
        if shadowed && let Some(bytes) = self.memory.get_mut(addr, size.bytes() as usize) {
            bytes.copy_from_slice(&value.to_le_bytes()[..size.bytes() as usize]);
        }
    }
}

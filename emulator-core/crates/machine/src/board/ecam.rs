//! PCI configuration space in memory: bus 0, 4 KiB a function, of which conventional PCI functions have 256 bytes.

use devices::pci::{PciAddress, PciSlots};
use platform::AccessSize;

use super::Pc;

const CONVENTIONAL_BYTES: u64 = 256;

/// The function and register at an offset, for the accesses a configuration cycle can carry.
fn target(offset: u64, size: AccessSize) -> Option<(PciAddress, u8)> {
    let register = offset & 0xfff;
    let carried = size != AccessSize::Qword && offset.is_multiple_of(size.bytes());
    let address = PciAddress { bus: 0, device: (offset >> 15) as u8 & 31, function: (offset >> 12) as u8 & 7 };
    (carried && register < CONVENTIONAL_BYTES).then_some((address, register as u8))
}

impl Pc {
    pub(super) fn read_ecam(&mut self, offset: u64, size: AccessSize) -> u64 {
        let (_, mut slots) = self.pci_bus();
        let value = target(offset, size)
            .and_then(|(address, register)| Some(slots.function(address)?.config_read(register, size)));
        value.map_or(size.ones(), u64::from)
    }

    pub(super) fn write_ecam(&mut self, offset: u64, size: AccessSize, value: u64) {
        let (_, mut slots) = self.pci_bus();
        if let Some((address, register)) = target(offset, size)
            && let Some(function) = slots.function(address)
        {
            function.config_write(register, size, value as u32);
        }
    }
}

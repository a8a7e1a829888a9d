//! Which chip answers at a port. Chips on the ISA bus are a byte wide: a wider access becomes one access a byte, at
//! ascending ports. The others decode their own widths.

use devices::i8259::Chip;
use devices::pci::{PciAddress, PciFunction, PciSlots};
use platform::{AccessSize, Nanos};

use super::Pc;
use crate::layout;

impl Pc {
    pub(super) fn read_port(&mut self, port: u16, size: AccessSize, now: Nanos) -> u32 {
        if let Some(offset) = pci_offset(port, size) {
            let (pci, mut slots) = self.pci_bus();
            return pci.read(offset, size, &mut slots);
        }
        if let Some(offset) = self.pm_offset(port) {
            return self.pm.read(offset, size, now);
        }
        let mut value = 0;
        for lane in 0..size.bytes() as u16 {
            value |= u32::from(self.read_byte(port.wrapping_add(lane), now)) << (8 * lane);
        }
        value
    }

    pub(super) fn write_port(&mut self, port: u16, size: AccessSize, value: u32, now: Nanos) {
        if let Some(offset) = pci_offset(port, size) {
            let (pci, mut slots) = self.pci_bus();
            return pci.write(offset, size, value, &mut slots);
        }
        if let Some(offset) = self.pm_offset(port) {
            return self.pm.write(offset, size, value, now);
        }
        if layout::DEBUG_EXIT.contains(&port) {
            return self.debug_exit.write(value);
        }
        for (lane, byte) in value.to_le_bytes()[..size.bytes() as usize].iter().enumerate() {
            self.write_byte(port.wrapping_add(lane as u16), *byte, now);
        }
    }

    fn read_byte(&mut self, port: u16, now: Nanos) -> u8 {
        let register = |range: &core::ops::Range<u16>| (port - range.start) as u8;
        match port {
            _ if layout::DMA[0].contains(&port) => self.dma[0].read(register(&layout::DMA[0])),
            _ if layout::DMA[1].contains(&port) => self.dma[1].read(register(&layout::DMA[1]) / 2),
            _ if layout::PIC_MASTER.contains(&port) => self.pic.read(Chip::Master, register(&layout::PIC_MASTER)),
            _ if layout::PIC_SLAVE.contains(&port) => self.pic.read(Chip::Slave, register(&layout::PIC_SLAVE)),
            _ if layout::PIT.contains(&port) => self.pit.read(register(&layout::PIT), now),
            layout::I8042_DATA => self.keyboard.read_data(now),
            layout::I8042_COMMAND => self.keyboard.read_status(now),
            layout::PORT_B => self.port61.read(self.pit.out(2, now), now),
            _ if layout::RTC.contains(&port) => self.rtc.read(register(&layout::RTC), now),
            _ if layout::DMA_PAGES.contains(&port) => self.dma_pages.read(register(&layout::DMA_PAGES)),
            layout::PORT_92 => self.port92.read(),
            _ if layout::APM.contains(&port) => self.pm.read_apm(register(&layout::APM)),
            layout::DEBUG_CONSOLE => self.debug.read_text(),
            _ if layout::SERIAL[0].contains(&port) => self.uarts[0].read(register(&layout::SERIAL[0])),
            _ if layout::SERIAL[1].contains(&port) => self.uarts[1].read(register(&layout::SERIAL[1])),
            _ if layout::ELCR.contains(&port) => self.pic.read_elcr(elcr_chip(port)),
            layout::RESET_CONTROL => self.reset_control.read(),
            _ => u8::MAX,
        }
    }

    fn write_byte(&mut self, port: u16, value: u8, now: Nanos) {
        let register = |range: &core::ops::Range<u16>| (port - range.start) as u8;
        match port {
            _ if layout::DMA[0].contains(&port) => self.dma[0].write(register(&layout::DMA[0]), value),
            _ if layout::DMA[1].contains(&port) => self.dma[1].write(register(&layout::DMA[1]) / 2, value),
            _ if layout::PIC_MASTER.contains(&port) => {
                self.pic.write(Chip::Master, register(&layout::PIC_MASTER), value);
            }
            _ if layout::PIC_SLAVE.contains(&port) => self.pic.write(Chip::Slave, register(&layout::PIC_SLAVE), value),
            _ if layout::PIT.contains(&port) => self.pit.write(register(&layout::PIT), value, now),
            layout::I8042_DATA => self.keyboard.write_data(value, now),
            layout::I8042_COMMAND => self.keyboard.write_command(value, now),
            layout::PORT_B => {
                self.port61.write(value);
                self.pit.set_gate(2, self.port61.timer2_gate(), now);
            }
            _ if layout::RTC.contains(&port) => self.rtc.write(register(&layout::RTC), value, now),
            _ if layout::DMA_PAGES.contains(&port) => {
                self.dma_pages.write(register(&layout::DMA_PAGES), value);
                if port == layout::POST_CODE {
                    self.debug.write_post(value);
                }
            }
            layout::PORT_92 => self.port92.write(value),
            _ if layout::APM.contains(&port) => self.pm.write_apm(register(&layout::APM), value),
            layout::COPROCESSOR_ERROR => self.isa_bridge.write_coprocessor_error(),
            layout::DEBUG_CONSOLE => self.debug.write_text(value),
            _ if layout::SERIAL[0].contains(&port) => self.uarts[0].write(register(&layout::SERIAL[0]), value),
            _ if layout::SERIAL[1].contains(&port) => self.uarts[1].write(register(&layout::SERIAL[1]), value),
            _ if layout::ELCR.contains(&port) => self.pic.write_elcr(elcr_chip(port), value),
            layout::RESET_CONTROL => self.reset_control.write(value),
            _ => {}
        }
    }

    /// Offset into the power management block, wherever it is mapped now.
    fn pm_offset(&self, port: u16) -> Option<u16> {
        let offset = port.checked_sub(self.pm.io_base()?)?;
        (offset < devices::piix4_pm::PM_BYTES).then_some(offset)
    }

    pub(super) fn pci_bus(&mut self) -> (&mut devices::pci::ConfigMechanism, Slots<'_>) {
        let slots = Slots { host_bridge: &mut self.host_bridge, isa_bridge: &mut self.isa_bridge, pm: &mut self.pm };
        (&mut self.pci, slots)
    }
}

/// Offset into the configuration mechanism. Its address register is a dword; narrower accesses at the same place
/// belong to the ISA bus, the reset control register among them.
fn pci_offset(port: u16, size: AccessSize) -> Option<u8> {
    let is_address = port == layout::PCI_ADDRESS && size == AccessSize::Dword;
    let is_data = layout::PCI_DATA.contains(&port);
    (is_address || is_data).then(|| (port - layout::PCI_ADDRESS) as u8)
}

fn elcr_chip(port: u16) -> Chip {
    if port == layout::ELCR.start { Chip::Master } else { Chip::Slave }
}

/// The PCI functions of the board: 82441FX in slot 0; PIIX3 and power management in slot 1.
pub(super) struct Slots<'b> {
    host_bridge: &'b mut devices::i440fx::I440fx,
    isa_bridge: &'b mut devices::piix3::Piix3,
    pm: &'b mut devices::piix4_pm::Piix4Pm,
}

impl PciSlots for Slots<'_> {
    fn function(&mut self, address: PciAddress) -> Option<&mut dyn PciFunction> {
        match (address.bus, address.device, address.function) {
            (0, 0, 0) => Some(self.host_bridge),
            (0, 1, 0) => Some(self.isa_bridge),
            (0, 1, 3) => Some(self.pm),
            _ => None,
        }
    }
}

//! The board as the processor sees it.

use devices::lapic::Acknowledge;
use platform::{AccessSize, Backing, Bus, GuestMemory, MsrAnswer, Nanos, PhysAddr};

use super::Pc;
use crate::trace::Category;

impl Bus for Pc {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        self.page_backing(addr)
    }

    fn take_map_changed(&mut self) -> bool {
        std::mem::take(&mut self.map_changed)
    }

    fn mmio_read(&mut self, addr: PhysAddr, size: AccessSize, now: Nanos) -> u64 {
        self.counters.mmio_reads += 1;
        let value = self.read_memory_mapped(addr, size, now);
        if self.trace.on(Category::Mmio) {
            self.trace.line(format_args!("{now} mmio r{} {:#x} -> {value:#x}", size.bytes(), addr.0));
        }
        self.settle();
        value
    }

    fn mmio_write(&mut self, addr: PhysAddr, size: AccessSize, value: u64, now: Nanos) {
        self.counters.mmio_writes += 1;
        if self.trace.on(Category::Mmio) {
            self.trace.line(format_args!("{now} mmio w{} {:#x} <- {value:#x}", size.bytes(), addr.0));
        }
        self.write_memory_mapped(addr, size, value, now);
        self.settle();
    }

    fn pio_read(&mut self, port: u16, size: AccessSize, now: Nanos) -> u32 {
        self.counters.pio_reads += 1;
        let value = self.read_port(port, size, now);
        if self.trace.on(Category::Pio) {
            self.trace.line(format_args!("{now} in{} {port:#x} -> {value:#x}", size.bytes()));
        }
        self.settle();
        value
    }

    fn pio_write(&mut self, port: u16, size: AccessSize, value: u32, now: Nanos) {
        self.counters.pio_writes += 1;
        if self.trace.on(Category::Pio) {
            self.trace.line(format_args!("{now} out{} {port:#x} <- {value:#x}", size.bytes()));
        }
        self.write_port(port, size, value, now);
        self.settle();
    }

    fn interrupt_asserted(&self) -> bool {
        self.interrupt_asserted
    }

    fn take_nmi(&mut self) -> bool {
        // Bit 7 of the clock's index port holds NMI back, as on the AT.
        if self.rtc.nmi_masked() { false } else { std::mem::take(&mut self.nmi) }
    }

    fn x87_error(&mut self, _now: Nanos) {
        self.isa_bridge.raise_coprocessor_error();
        self.settle();
    }

    fn acknowledge_interrupt(&mut self, now: Nanos) -> Option<u8> {
        let vector = match self.lapic.acknowledge() {
            Acknowledge::Vector(vector) => Some(vector),
            Acknowledge::External => Some(self.pic.acknowledge()),
            Acknowledge::Nothing => None,
        };
        if self.trace.on(Category::Irq) {
            self.trace.line(format_args!("{now} interrupt acknowledged: {vector:x?}"));
        }
        self.settle();
        vector
    }

    fn apic_msr_read(&mut self, msr: u32, tsc: u64, now: Nanos) -> MsrAnswer {
        let answer = self.lapic.msr_read(msr, tsc, now);
        self.settle();
        answer
    }

    fn apic_msr_write(&mut self, msr: u32, value: u64, tsc: u64, now: Nanos) -> MsrAnswer {
        let base = self.lapic.mmio_base();
        let answer = self.lapic.msr_write(msr, value, tsc, now);
        self.map_changed |= base != self.lapic.mmio_base();
        self.settle();
        answer
    }

    fn task_priority(&self) -> u8 {
        self.lapic.task_priority()
    }

    fn set_task_priority(&mut self, cr8: u8, _now: Nanos) {
        self.lapic.set_task_priority(cr8);
        self.settle();
    }
}

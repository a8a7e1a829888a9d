//! A processor on a bus with a little memory and nothing else.

use cpu::{Access, Cpu, DescriptorTable, Segment, State};
use platform::{AccessSize, Backing, Bus, GuestMemory, Nanos, PhysAddr, Vcpu, VcpuExit};

/// Bytes of memory; everything above answers zero.
pub(crate) const MEMORY: u64 = 0x2_0000;

pub(crate) struct Memory(pub(crate) GuestMemory);

impl Bus for Memory {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.0
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        if addr.0 < MEMORY { Backing::Ram(addr.0 as usize) } else { Backing::Mmio }
    }

    fn mmio_read(&mut self, _addr: PhysAddr, _size: AccessSize, _now: Nanos) -> u64 {
        0
    }

    fn pio_read(&mut self, _port: u16, _size: AccessSize, _now: Nanos) -> u32 {
        0
    }
}

/// See the module.
pub(crate) struct Board {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
}

impl Board {
    pub(crate) fn new() -> Board {
        Board { cpu: Cpu::new(), memory: Memory(GuestMemory::new(MEMORY).expect("a little memory")) }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.memory.0.as_mut_slice()
    }

    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.bytes()[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn write64(&mut self, at: u64, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    pub(crate) fn write32(&mut self, at: u64, value: u32) {
        self.write(at, &value.to_le_bytes());
    }

    pub(crate) fn read64(&mut self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes()[at as usize..at as usize + 8].try_into().expect("eight bytes"))
    }

    /// Sets the state up and runs one instruction, or delivers what it raises.
    pub(crate) fn step(&mut self, set_up: impl FnOnce(&mut State)) -> VcpuExit {
        set_up(&mut self.cpu.state);
        self.cpu.forget_derived();
        self.cpu.state_changed();
        self.cpu.run(&mut self.memory, 0, 1000, 1)
    }
}

/// A flat segment register; `access` has the descriptor's byte 5 and, in bits 15:12, its G, D/B, L and AVL bits.
pub(crate) fn flat(selector: u16, access: u32) -> Segment {
    Segment { selector, base: 0, limit: u32::MAX, access: Access(access) }
}

pub(crate) fn table(base: u64, limit: u16) -> DescriptorTable {
    DescriptorTable { base, limit }
}

//! What a processor sees of the board it is soldered to.

use crate::{GuestMemory, Nanos, PhysAddr};

/// Width of one access on the board's buses, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AccessSize {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Dword = 4,
    /// 8 bytes; memory-mapped accesses only, never port I/O.
    Qword = 8,
}

impl AccessSize {
    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// All ones in the width: what an absent device answers.
    #[must_use]
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// What answers at one 4 KiB page of guest-physical address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Ordinary memory at this byte offset into [`GuestMemory`].
    Ram(usize),
    /// Readable and executable memory at this offset; writes go to [`Bus::mmio_write`], which usually drops them.
    Rom(usize),
    /// A device, or nothing: every access goes through [`Bus::mmio_read`] and [`Bus::mmio_write`].
    Mmio,
}

/// How the board answers a read or write of a model-specific register that the processor core itself does
/// not hold (the local APIC's).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MsrAnswer {
    /// Done; for a read, the value.
    Value(u64),
    /// The register does not exist here or the value is not allowed: #GP(0).
    Fault,
}

/// The board, seen from one processor. Every call carries the guest time of the access. Only memory has to be there: where a board
/// says nothing else, no device answers, nothing interrupts, and there is no local APIC.
///
/// An access may change the interrupt line or the next timer deadline, so a processor returns from
/// [`crate::Vcpu::run`] soon after one (at the next instruction or block boundary).
pub trait Bus {
    /// Guest RAM (and ROM shadows), one contiguous host allocation.
    fn memory(&mut self) -> &mut GuestMemory;

    /// What backs the page that contains `addr`. May change only inside a bus call (PAM registers, A20);
    /// see [`Bus::take_map_changed`].
    fn backing(&self, addr: PhysAddr) -> Backing;

    /// True once after the answers of [`Bus::backing`] changed; the processor then drops its translations.
    fn take_map_changed(&mut self) -> bool {
        false
    }

    /// Reads a device register; the value is zero-extended.
    fn mmio_read(&mut self, _addr: PhysAddr, size: AccessSize, _now: Nanos) -> u64 {
        size.ones()
    }

    /// Writes a device register; bits of `value` above `size` are zero.
    fn mmio_write(&mut self, _addr: PhysAddr, _size: AccessSize, _value: u64, _now: Nanos) {}

    /// `IN`: reads 1, 2 or 4 bytes from the port space; the value is zero-extended.
    fn pio_read(&mut self, _port: u16, size: AccessSize, _now: Nanos) -> u32 {
        size.ones() as u32
    }

    /// `OUT`: writes 1, 2 or 4 bytes to the port space.
    fn pio_write(&mut self, _port: u16, _size: AccessSize, _value: u32, _now: Nanos) {}

    /// Level of the processor's INTR pin: a maskable interrupt waits.
    fn interrupt_asserted(&self) -> bool {
        false
    }

    /// True once when a non-maskable interrupt has arrived since the last call.
    fn take_nmi(&mut self) -> bool {
        false
    }

    /// FERR# falls: the x87 has an unmasked error and CR0.NE leaves it to the board, which a PC answers with interrupt 13
    /// (Intel SDM vol. 3, 9.2.1). A board without the wire does nothing.
    fn x87_error(&mut self, _now: Nanos) {}

    /// Interrupt-acknowledge cycle: the vector to deliver, or `None` when the request went away
    /// (a board with an i8259 answers its spurious vector instead).
    fn acknowledge_interrupt(&mut self, _now: Nanos) -> Option<u8> {
        None
    }

    /// Reads an MSR of the local APIC (`IA32_APIC_BASE`, `IA32_TSC_DEADLINE`, x2APIC 0x800..=0x8ff).
    /// `tsc` is the guest's time-stamp counter at the access.
    fn apic_msr_read(&mut self, _msr: u32, _tsc: u64, _now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }

    /// Writes an MSR of the local APIC.
    fn apic_msr_write(&mut self, _msr: u32, _value: u64, _tsc: u64, _now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }

    /// CR8, the top four bits of the task-priority register (Intel SDM vol. 3, 11.8.6).
    fn task_priority(&self) -> u8 {
        0
    }

    /// Writes CR8; only the low four bits are used.
    fn set_task_priority(&mut self, _cr8: u8, _now: Nanos) {}
}

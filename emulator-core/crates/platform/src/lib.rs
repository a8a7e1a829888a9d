//! The words every part of the emulator shares: addresses, guest memory, the bus a processor sees,
//! why a processor stopped, and snapshot sections.
//!
//! Invariant: this crate names things and moves bytes. It emulates nothing and depends on nothing of ours.

mod bus;
mod memory;
mod section;
mod vcpu;

pub use bus::{AccessSize, Backing, Bus, MsrAnswer};
pub use memory::{GuestMemory, MemoryError, PAGE_BYTES};
pub use section::{RestoreError, Section, Snapshot};
pub use vcpu::{Vcpu, VcpuExit};

/// A guest-physical address, in bytes from the start of the physical address space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(pub u64);

impl PhysAddr {
    /// The address of the 4 KiB page this address lies in.
    #[must_use]
    pub const fn page(self) -> PhysAddr {
        PhysAddr(self.0 & !(PAGE_BYTES - 1))
    }

    /// This address moved up by `bytes`, wrapping at 2^64.
    #[must_use]
    pub const fn add(self, bytes: u64) -> PhysAddr {
        PhysAddr(self.0.wrapping_add(bytes))
    }
}

impl core::fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "phys:{:#x}", self.0)
    }
}

/// Guest time in nanoseconds since the machine was switched on. Only the machine's run loop advances it;
/// everybody else is handed it, so a run is a function of its inputs.
pub type Nanos = u64;

//! Segment and gate descriptors as they lie in memory (Intel SDM vol. 3, 3.4.5, 3.5 and 5.8.3).

use crate::state::{Access, Segment};

/// The low eight bytes of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor(pub(crate) u64);

/// Types of system descriptors (Intel SDM vol. 3, table 3-2).
pub(crate) mod system {
    pub(crate) const TSS16_AVAILABLE: u8 = 1;
    pub(crate) const LDT: u8 = 2;
    pub(crate) const TSS16_BUSY: u8 = 3;
    pub(crate) const CALL_GATE16: u8 = 4;
    pub(crate) const TASK_GATE: u8 = 5;
    pub(crate) const INTERRUPT_GATE16: u8 = 6;
    pub(crate) const TRAP_GATE16: u8 = 7;
    pub(crate) const TSS32_AVAILABLE: u8 = 9;
    pub(crate) const TSS32_BUSY: u8 = 11;
    pub(crate) const CALL_GATE32: u8 = 12;
    pub(crate) const INTERRUPT_GATE32: u8 = 14;
    pub(crate) const TRAP_GATE32: u8 = 15;
}

impl Descriptor {
    /// Bits 31:0 of the base.
    pub(crate) fn base(self) -> u64 {
        self.0 >> 16 & 0xff_ffff | self.0 >> 32 & 0xff00_0000
    }

    /// Limit in bytes.
    pub(crate) fn limit(self) -> u32 {
        let raw = (self.0 & 0xffff | self.0 >> 32 & 0xf_0000) as u32;
        if self.access().granular() { raw << 12 | 0xfff } else { raw }
    }

    pub(crate) fn access(self) -> Access {
        Access((self.0 >> 40) as u32 & 0xf0ff)
    }

    pub(crate) fn dpl(self) -> u8 {
        self.access().dpl()
    }

    pub(crate) fn present(self) -> bool {
        self.access().present()
    }

    /// Type of a system descriptor; `None` for code and data.
    pub(crate) fn system_type(self) -> Option<u8> {
        (!self.access().code_or_data()).then(|| self.access().kind())
    }

    /// The segment register this descriptor makes with `selector`.
    pub(crate) fn segment(self, selector: u16) -> Segment {
        Segment { selector, base: self.base(), limit: self.limit(), access: self.access() }
    }

    /// A gate's target selector.
    pub(crate) fn gate_selector(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Bits 31:0 of a gate's target offset; 16-bit gates have 16.
    pub(crate) fn gate_offset(self) -> u64 {
        let low = self.0 & 0xffff;
        match self.access().kind() {
            system::CALL_GATE16 | system::INTERRUPT_GATE16 | system::TRAP_GATE16 => low,
            _ => low | self.0 >> 32 & 0xffff_0000,
        }
    }

    /// Parameters a 16- or 32-bit call gate copies.
    pub(crate) fn gate_parameters(self) -> u64 {
        self.0 >> 32 & 0x1f
    }
}

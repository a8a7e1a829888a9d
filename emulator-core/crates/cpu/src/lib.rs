//! One architectural x86 processor: state, MMU and TLB, exceptions, irregular instructions and the interpreter.
//!
//! Invariant: the processor names no device. Everything outside it is behind [`platform::Bus`].

mod exec;
mod state;
mod tlb;

pub use state::{Access, DescriptorTable, Mode, Msrs, RegisterFile, Segment, State, X87};

use tlb::Tlb;

/// A processor: its architectural [`State`] and what is derived from it (translations, decoded blocks).
pub struct Cpu {
    /// The architectural state. After changing anything but general registers, call [`Cpu::state_changed`].
    pub state: State,
    /// Derived from `state`; see [`Mode`].
    pub(crate) mode: Mode,
    pub(crate) tlb: Tlb,
}

//! Where compiled code finds the guest's state.

use core::mem::{offset_of, size_of};

use crate::ir::{Cell, FLAG_CARRIES, FLAG_RESULT, RIP};
use cpu::compiled::Context;
use cpu::{Segment, State, tlb_layout as tlb};

/// Byte offset of a cell that is a number from the address of [`State`].
pub(crate) fn cell_offset(cell: Cell) -> u64 {
    let offset = match cell {
        FLAG_RESULT => offset_of!(State, flag_result),
        FLAG_CARRIES => offset_of!(State, flag_carries),
        RIP => offset_of!(State, rip),
        register => offset_of!(State, regs) + register * size_of::<u64>(),
    };
    offset as u64
}

/// Byte offset of the register slot that holds the address of the block at work.
pub(crate) const BLOCK_ADDRESS: u64 = (offset_of!(State, regs) + x86::RIP_SLOT as usize * size_of::<u64>()) as u64;

/// Byte offset of an XMM register from the address of [`State`].
pub(crate) fn xmm_offset(register: usize) -> u64 {
    (offset_of!(State, xmm) + register * size_of::<u128>()) as u64
}

/// Byte offset of bits 255:128 of a YMM register.
pub(crate) fn ymm_high_offset(register: u8) -> u64 {
    (offset_of!(State, ymm_high) + usize::from(register) * size_of::<u128>()) as u64
}

/// Byte offset of MXCSR.
pub(crate) const MXCSR: u64 = offset_of!(State, mxcsr) as u64;

/// Byte offset of a segment's base from the address of [`State`].
pub(crate) fn segment_base_offset(segment: u8) -> u64 {
    (offset_of!(State, segs) + usize::from(segment) * size_of::<Segment>() + offset_of!(Segment, base)) as u64
}

/// Byte offset of the tag of the first entry for reading or writing, from the address of the view's tables; the addend
/// follows 8 bytes behind.
pub(crate) fn tlb_offset(usage: tlb::Use) -> u64 {
    (usage as usize * tlb::ENTRIES * size_of::<tlb::Entry>()) as u64
}

/// Byte offsets in the context.
pub(crate) const ANSWERS: [u64; 2] = [offset_of!(Context, answers) as u64, offset_of!(Context, answers) as u64 + 8];
pub(crate) const LEFT: u64 = offset_of!(Context, left) as u64;
pub(crate) const KIND: u64 = offset_of!(Context, flag_kind) as u64;
pub(crate) const TAG: u64 = offset_of!(Context, tag) as u64;
pub(crate) const TLB: u64 = offset_of!(Context, tlb) as u64;
pub(crate) const ENABLED: u64 = offset_of!(Context, enabled) as u64;
pub(crate) const EXIT: u64 = offset_of!(Context, exit) as u64;
pub(crate) const RAISED: u64 = offset_of!(Context, raised) as u64;

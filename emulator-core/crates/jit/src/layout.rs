//! Where compiled code finds the guest's state.

use core::mem::{offset_of, size_of};

use crate::ir::{Cell, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, RIP};
use cpu::compiled::{Context, Shared};
use cpu::{Msrs, Segment, State, X87, tlb_layout as tlb};

/// Address of a cell that is a number.
pub(crate) fn home(shared: &Shared, cell: Cell) -> u64 {
    let offset = match cell {
        FLAG_KIND => return shared.context as u64 + KIND,
        FLAG_RESULT => offset_of!(State, flag_result),
        FLAG_CARRIES => offset_of!(State, flag_carries),
        RIP => offset_of!(State, rip),
        register => offset_of!(State, regs) + register * size_of::<u64>(),
    };
    shared.state as u64 + offset as u64
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

/// Byte offset of the flags that are not status flags.
pub(crate) const SYSTEM_FLAGS: u64 = offset_of!(State, system_flags) as u64;
/// Byte offset of the interrupt shadow, a byte.
pub(crate) const INTERRUPT_SHADOW: u64 = offset_of!(State, interrupt_shadow) as u64;
/// Byte offset of what SWAPGS exchanges GS's base with.
pub(crate) const KERNEL_GS_BASE: u64 = (offset_of!(State, msrs) + offset_of!(Msrs, kernel_gs_base)) as u64;

/// Byte offset of what the time-stamp counter is ahead of guest time.
pub(crate) const TSC_OFFSET: u64 = (offset_of!(State, msrs) + offset_of!(Msrs, tsc_offset)) as u64;

/// Byte offset of a segment's base from the address of [`State`].
pub(crate) fn segment_base_offset(segment: u8) -> u64 {
    (offset_of!(State, segs) + usize::from(segment) * size_of::<Segment>() + offset_of!(Segment, base)) as u64
}

/// Byte offset of a segment's selector.
pub(crate) fn selector_offset(segment: u8) -> u64 {
    (offset_of!(State, segs) + usize::from(segment) * size_of::<Segment>() + offset_of!(Segment, selector)) as u64
}

/// How far a segment's parts are behind those of the one before.
pub(crate) const fn segment_bytes() -> usize {
    size_of::<Segment>()
}

const fn x87_field(offset: usize) -> u64 {
    (offset_of!(State, x87) + offset) as u64
}

/// Byte offsets of the x87's words.
pub(crate) const X87_CONTROL: u64 = x87_field(offset_of!(X87, control));
pub(crate) const X87_STATUS: u64 = x87_field(offset_of!(X87, status));
/// Where TOP is in the status word, and its bits, moved down.
pub(crate) const X87_TOP_SHIFT: u64 = 11;
pub(crate) const X87_TOP_MASK: u64 = 7;
pub(crate) const X87_TAGS: u64 = x87_field(offset_of!(X87, tags));
pub(crate) const X87_OPCODE: u64 = x87_field(offset_of!(X87, opcode));
pub(crate) const X87_IP: u64 = x87_field(offset_of!(X87, ip));
pub(crate) const X87_CS: u64 = x87_field(offset_of!(X87, cs));
pub(crate) const X87_DP: u64 = x87_field(offset_of!(X87, dp));
pub(crate) const X87_DS: u64 = x87_field(offset_of!(X87, ds));
/// The same of the first register's parts, and how far the next register is behind it.
pub(crate) const X87_SIGNIFICAND: u64 = x87_field(offset_of!(X87, registers) + offset_of!((u64, u16), 0));
pub(crate) const X87_SIGN_EXPONENT: u64 = x87_field(offset_of!(X87, registers) + offset_of!((u64, u16), 1));
pub(crate) const X87_REGISTER_BYTES: u64 = size_of::<(u64, u16)>() as u64;

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
pub(crate) const DISABLED: u64 = offset_of!(Context, disabled) as u64;
pub(crate) const EXIT: u64 = offset_of!(Context, exit) as u64;
pub(crate) const ENDS: u64 = offset_of!(Context, ends) as u64;
pub(crate) const WAITING: u64 = offset_of!(Context, waiting) as u64;
pub(crate) const TIME: u64 = offset_of!(Context, time) as u64;

//! Packed integers, logic, shuffles and single elements (Intel SDM vol. 1, 9.4, 11.4.3, 12.4 to 12.12).

mod rows;

pub use rows::{ELEMENTS, LANES, LANES_MMX, WITH_IMMEDIATE};

use super::{
    PackedImmOp, PackedOp, TernaryOp, VectorEngine, enabled, first, set_vector, source, source_mmx, with_low,
    zero_extended,
};
use crate::flags::set_status;
use crate::{Engine, Form, Op, Vex, Width};

/// How an MMX instruction is had from its 128-bit form, whose operands are zero-extended.
enum HalfForm {
    /// Lane by lane: the low half of the result.
    LaneByLane,
    /// Lanes of the first operand, then of the second: both joined in one operand.
    Joined,
    /// Interleaving the high halves: the high half of interleaving the low ones.
    UnpackHigh(PackedOp),
    /// The index has one bit less.
    ByteShuffle,
}

fn half_form(kind: PackedOp) -> HalfForm {
    use PackedOp as P;
    match kind {
        P::Packsswb | P::Packssdw | P::Packuswb => HalfForm::Joined,
        P::Phaddw | P::Phaddd | P::Phaddsw | P::Phsubw | P::Phsubd | P::Phsubsw => HalfForm::Joined,
        P::Punpckhbw => HalfForm::UnpackHigh(P::Punpcklbw),
        P::Punpckhwd => HalfForm::UnpackHigh(P::Punpcklwd),
        P::Punpckhdq => HalfForm::UnpackHigh(P::Punpckldq),
        P::Pshufb => HalfForm::ByteShuffle,
        _ => HalfForm::LaneByLane,
    }
}

pub fn packed<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let a = first(e, op);
    let value = e.packed(kind, a, b);
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn packed_mmx<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let b = source_mmx(e, op)?;
    e.enter_mmx();
    let a = e.mmx(op.dst);
    let value = packed_half(e, kind, a, b);
    e.set_mmx(op.dst, value);
    Ok(())
}

fn packed_half<E: VectorEngine>(e: &mut E, kind: PackedOp, a: E::V, b: E::V) -> E::V {
    let (mut x, mut y) = match half_form(kind) {
        HalfForm::Joined => {
            let joined = e.join(a, b);
            (joined, joined)
        }
        _ => (zero_extended(e, a), zero_extended(e, b)),
    };
    match half_form(kind) {
        HalfForm::UnpackHigh(unpack_low) => {
            x = e.packed(unpack_low, x, y);
            return e.high(x);
        }
        HalfForm::ByteShuffle => {
            const CLEAR_OR_INDEX: u64 = 0x8787_8787_8787_8787;
            let mask = e.imm(CLEAR_OR_INDEX);
            let index = e.and(b, mask);
            y = zero_extended(e, index);
        }
        HalfForm::Joined | HalfForm::LaneByLane => {}
    }
    let value = e.packed(kind, x, y);
    e.low(value)
}

pub fn packed_imm<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedImmOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    // Without a VEX prefix a byte shift names its operand first and has no other.
    let in_place = op.vex == Vex::None && matches!(kind, PackedImmOp::Pslldq | PackedImmOp::Psrldq);
    let b = if in_place { e.xmm(op.dst) } else { insertion_source(e, op, kind)? };
    let a = first(e, op);
    let value = e.packed_imm(kind, a, b, op.imm as u8);
    set_vector(e, op, op.dst, value);
    Ok(())
}

/// `INSERTPS` takes the element the immediate names from a register, but from memory the only one there is.
fn insertion_source<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedImmOp) -> Result<E::X, E::Stop> {
    let value = source(e, op)?;
    if kind != PackedImmOp::Insertps || op.form != Form::Rm {
        return Ok(value);
    }
    const ALL_ELEMENTS: u8 = 0;
    Ok(e.packed_imm(PackedImmOp::Pshufd, value, value, ALL_ELEMENTS))
}

pub fn packed_imm_mmx<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedImmOp) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let b = source_mmx(e, op)?;
    e.enter_mmx();
    let a = e.mmx(op.dst);
    let value = if kind == PackedImmOp::Palignr {
        let joined = e.join(b, a);
        e.packed_imm(PackedImmOp::Psrldq, joined, joined, op.imm as u8)
    } else {
        let b = zero_extended(e, b);
        e.packed_imm(kind, b, b, op.imm as u8)
    };
    let value = e.low(value);
    e.set_mmx(op.dst, value);
    Ok(())
}

pub fn shift<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let a = e.xmm(if op.vex == Vex::None { op.dst } else { op.src });
    let count = e.imm(op.imm as u64 & 0xff);
    let count = zero_extended(e, count);
    let value = e.packed(kind, a, count);
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn shift_mmx<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    e.enter_mmx();
    let a = e.mmx(op.dst);
    let count = e.imm(op.imm as u64 & 0xff);
    let value = packed_half(e, kind, a, count);
    e.set_mmx(op.dst, value);
    Ok(())
}

/// The register that holds the third operand: XMM0, or the one an immediate names.
pub(super) fn third_register(op: &Op) -> u8 {
    if op.vex == Vex::None { 0 } else { op.imm as u8 }
}

pub fn ternary<E: VectorEngine>(e: &mut E, op: &Op, kind: TernaryOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let (a, c) = (first(e, op), e.xmm(third_register(op)));
    let value = e.ternary(kind, a, b, c);
    set_vector(e, op, op.dst, value);
    Ok(())
}

/// ZF: no bit in common; CF: no bit of the second operand outside the first. The other flags are cleared.
pub fn ptest<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let a = e.xmm(op.dst);
    let common = e.packed(PackedOp::Pand, a, b);
    let outside = e.packed(PackedOp::Pandn, a, b);
    let zero = is_zero(e, common);
    let carry = is_zero(e, outside);
    let six = e.imm(6);
    let zero = e.shl(Width::W64, zero, six);
    let eflags = e.or(zero, carry);
    set_status(e, eflags);
    Ok(())
}

/// 1 where no lane, `bits` wide, of `kind` of the operands has its sign set.
pub(super) fn no_sign<E: VectorEngine>(
    e: &mut E,
    op: &Op,
    bits: u8,
    kind: PackedOp,
    a: [E::X; 2],
    b: [E::X; 2],
) -> E::V {
    let value = e.packed(kind, a[0], b[0]);
    let mut signs = e.sign_mask(bits, value);
    if op.vex == Vex::L256 {
        let value = e.packed(kind, a[1], b[1]);
        let upper = e.sign_mask(bits, value);
        signs = e.or(signs, upper);
    }
    let zero = e.imm(0);
    e.equal(signs, zero)
}

/// 1 where no bit is set.
pub(super) fn is_zero<E: VectorEngine>(e: &mut E, value: E::X) -> E::V {
    let (low, high) = (e.low(value), e.high(value));
    let any = e.or(low, high);
    let zero = e.imm(0);
    e.equal(any, zero)
}

pub fn sign_mask<E: VectorEngine>(e: &mut E, op: &Op, bits: u8) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = e.xmm(op.src);
    let mask = e.sign_mask(bits, value);
    e.set_register(Width::W32, op.dst, mask);
    Ok(())
}

pub fn sign_mask_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    e.enter_mmx();
    let value = e.mmx(op.src);
    let value = zero_extended(e, value);
    let mask = e.sign_mask(8, value);
    e.set_register(Width::W32, op.dst, mask);
    Ok(())
}

/// The element to insert: a general register's low bits, or memory.
fn element<E: Engine>(e: &mut E, op: &Op, w: Width) -> Result<E::V, E::Stop> {
    if op.form == Form::Rm { e.load(w, op) } else { Ok(e.register(w, op.src)) }
}

/// Bit offset in its half of element `op.imm` of width `w`.
fn element_shift(op: &Op, w: Width) -> u64 {
    op.imm as u64 * u64::from(w.bits()) % 64
}

/// Whether element `op.imm` of width `w` is in the upper half.
fn in_upper_half(op: &Op, w: Width) -> bool {
    (op.imm as u64 * u64::from(w.bits())) & 64 != 0
}

/// `half` with the element replaced.
fn inserted<E: Engine>(e: &mut E, op: &Op, w: Width, half: E::V, element: E::V) -> E::V {
    let shift = element_shift(op, w);
    let keep = e.imm(!(w.mask() << shift));
    let kept = e.and(half, keep);
    let shift = e.imm(shift);
    let moved = e.shl(Width::W64, element, shift);
    e.or(kept, moved)
}

fn extracted<E: Engine>(e: &mut E, op: &Op, w: Width, half: E::V) -> E::V {
    let shift = e.imm(element_shift(op, w));
    let moved = e.shr(half, shift);
    e.truncate(w, moved)
}

pub fn insert<E: VectorEngine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let element = element(e, op, w)?;
    let old = first(e, op);
    let value = if in_upper_half(op, w) {
        let (low, high) = (e.low(old), e.high(old));
        let high = inserted(e, op, w, high, element);
        e.join(low, high)
    } else {
        let low = e.low(old);
        let low = inserted(e, op, w, low, element);
        with_low(e, old, low)
    };
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn insert_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let element = element(e, op, Width::W16)?;
    e.enter_mmx();
    let old = e.mmx(op.dst);
    let value = inserted(e, op, Width::W16, old, element);
    e.set_mmx(op.dst, value);
    Ok(())
}

pub fn extract<E: VectorEngine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = e.xmm(op.src);
    let half = if in_upper_half(op, w) { e.high(value) } else { e.low(value) };
    let element = extracted(e, op, w, half);
    if op.form == Form::Mr {
        return e.store(w, op, element);
    }
    // A register takes the element zero-extended.
    e.set_register(w.max(Width::W32), op.dst, element);
    Ok(())
}

pub fn extract_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    e.enter_mmx();
    let value = e.mmx(op.src);
    let element = extracted(e, op, Width::W16, value);
    e.set_register(Width::W32, op.dst, element);
    Ok(())
}

//! Instructions of 256 bits: what their encodings of 128 bits do, in each half.

use super::avx::{self, none, read, source, write};
use super::float::immediate;
use super::{
    ConvertOp, FloatOp, PackedImmOp, PackedOp, Simd, TernaryOp, VectorEngine, packed, set_vector, zero_extended,
};
use crate::flags::set_status;
use crate::{Form, Op, Width};

/// Performs `simd` on whole YMM registers.
pub(super) fn execute<E: VectorEngine>(e: &mut E, op: &Op, simd: Simd) -> Result<(), E::Stop> {
    e.avx_enabled()?;
    match simd {
        Simd::Packed(kind) => packed(e, op, kind),
        Simd::PackedImm(kind) => packed_imm(e, op, kind),
        Simd::Shift(kind) => shift(e, op, kind),
        Simd::Ternary(kind) => ternary(e, op, kind),
        Simd::Float(kind) => float(e, op, kind),
        Simd::Convert(kind) => convert(e, op, kind),
        Simd::Ptest => ptest(e, op),
        Simd::SignMask(bits) => sign_mask(e, op, bits),
        Simd::Move => whole(e, op, true),
        Simd::MoveUnaligned => whole(e, op, false),
        _ => avx::execute(e, op, simd),
    }
}

/// Bytes of the source that make 128 bits of the result, where that is less than 16.
fn widened_bytes(kind: PackedOp) -> Option<u8> {
    use PackedOp as P;
    match kind {
        P::Pmovsxbw | P::Pmovsxwd | P::Pmovsxdq | P::Pmovzxbw | P::Pmovzxwd | P::Pmovzxdq => Some(8),
        P::Pmovsxbd | P::Pmovsxwq | P::Pmovzxbd | P::Pmovzxwq => Some(4),
        P::Pmovsxbq | P::Pmovzxbq => Some(2),
        _ => None,
    }
}

/// Whether the count is in the low half of the second operand, for all lanes.
fn shifts_by_one_count(kind: PackedOp) -> bool {
    use PackedOp as P;
    matches!(kind, P::Psllw | P::Pslld | P::Psllq | P::Psrlw | P::Psrld | P::Psrlq | P::Psraw | P::Psrad)
}

fn packed<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    let mut b = source(e, op)?;
    if shifts_by_one_count(kind) {
        b[1] = b[0];
    } else if let Some(bytes) = widened_bytes(kind) {
        b[1] = e.packed_imm(PackedImmOp::Psrldq, b[0], b[0], bytes);
    }
    let a = read(e, op.aux);
    let value = [e.packed(kind, a[0], b[0]), e.packed(kind, a[1], b[1])];
    write(e, op, op.dst, value);
    Ok(())
}

/// The immediate as the upper half sees it: where it has bits for each lane, those of the upper lanes.
fn upper_immediate(kind: PackedImmOp, imm: u8) -> u8 {
    match kind {
        PackedImmOp::Blendps => imm >> 4,
        PackedImmOp::Blendpd | PackedImmOp::Shufpd | PackedImmOp::Vpermilpd => imm >> 2,
        PackedImmOp::Mpsadbw => imm >> 3,
        _ => imm,
    }
}

fn packed_imm<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedImmOp) -> Result<(), E::Stop> {
    let b = source(e, op)?;
    let a = read(e, op.aux);
    let imm = op.imm as u8;
    let value = [e.packed_imm(kind, a[0], b[0], imm), e.packed_imm(kind, a[1], b[1], upper_immediate(kind, imm))];
    write(e, op, op.dst, value);
    Ok(())
}

fn shift<E: VectorEngine>(e: &mut E, op: &Op, kind: PackedOp) -> Result<(), E::Stop> {
    let a = read(e, op.src);
    let count = e.imm(op.imm as u64 & 0xff);
    let count = zero_extended(e, count);
    let value = [e.packed(kind, a[0], count), e.packed(kind, a[1], count)];
    write(e, op, op.dst, value);
    Ok(())
}

fn ternary<E: VectorEngine>(e: &mut E, op: &Op, kind: TernaryOp) -> Result<(), E::Stop> {
    let b = source(e, op)?;
    let (a, c) = (read(e, op.aux), read(e, packed::third_register(op)));
    let value = [e.ternary(kind, a[0], b[0], c[0]), e.ternary(kind, a[1], b[1], c[1])];
    write(e, op, op.dst, value);
    Ok(())
}

fn float<E: VectorEngine>(e: &mut E, op: &Op, kind: FloatOp) -> Result<(), E::Stop> {
    let b = source(e, op)?;
    let a = read(e, op.aux);
    let value = e.float(kind, a, b, immediate(op, kind))?;
    write(e, op, op.dst, value);
    Ok(())
}

fn convert<E: VectorEngine>(e: &mut E, op: &Op, kind: ConvertOp) -> Result<(), E::Stop> {
    use ConvertOp::{Cvtdq2pd, Cvtpd2dq, Cvtpd2ps, Cvtps2pd, Cvttpd2dq};
    let mut b = source(e, op)?;
    if matches!(kind, Cvtdq2pd | Cvtps2pd) {
        let high = e.high(b[0]);
        b[1] = zero_extended(e, high);
    }
    let zero = none(e);
    let value = e.convert(kind, [zero, zero], b)?;
    if matches!(kind, Cvtpd2dq | Cvttpd2dq | Cvtpd2ps) {
        let (low, high) = (e.low(value[0]), e.low(value[1]));
        let narrow = e.join(low, high);
        set_vector(e, op, op.dst, narrow);
    } else {
        write(e, op, op.dst, value);
    }
    Ok(())
}

fn ptest<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let b = source(e, op)?;
    let a = read(e, op.dst);
    let zero = none_set(e, PackedOp::Pand, a, b);
    let carry = none_set(e, PackedOp::Pandn, a, b);
    let six = e.imm(6);
    let zero = e.shl(Width::W64, zero, six);
    let eflags = e.or(zero, carry);
    set_status(e, eflags);
    Ok(())
}

/// 1 where `kind` of the operands has no bit set.
fn none_set<E: VectorEngine>(e: &mut E, kind: PackedOp, a: [E::X; 2], b: [E::X; 2]) -> E::V {
    let (low, high) = (e.packed(kind, a[0], b[0]), e.packed(kind, a[1], b[1]));
    let either = e.packed(PackedOp::Por, low, high);
    packed::is_zero(e, either)
}

fn sign_mask<E: VectorEngine>(e: &mut E, op: &Op, bits: u8) -> Result<(), E::Stop> {
    let [low, high] = read(e, op.src);
    let (low, high) = (e.sign_mask(bits, low), e.sign_mask(bits, high));
    let lanes = e.imm(128 / u64::from(bits));
    let high = e.shl(Width::W64, high, lanes);
    let mask = e.or(low, high);
    e.set_register(Width::W32, op.dst, mask);
    Ok(())
}

fn whole<E: VectorEngine>(e: &mut E, op: &Op, aligned: bool) -> Result<(), E::Stop> {
    let value = if op.form == Form::Rm { e.load_wide(op, aligned)? } else { read(e, op.src) };
    if op.form == Form::Mr {
        return e.store_wide(op, aligned, value);
    }
    write(e, op, op.dst, value);
    Ok(())
}

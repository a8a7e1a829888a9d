//! Counting, extracting and masking bits: LZCNT, BMI1 and BMI2 (Intel SDM vol. 1, 7.3.9.2), but for `PDEP` and `PEXT`.
//!
//! Where an instruction names a register in VEX.vvvv beside its destination, that is `op.aux`.

use super::Int::{Andn, Bextr, Blsi, Blsmsk, Blsr, Bzhi, Lzcnt, Mulx, Rorx, Sarx, Shlx, Shrx, Tzcnt};
use super::operands::{RDX, read_src};
use crate::Feature::{Bmi1, Bmi2};
use crate::flags::{set_logic, set_with_carry_overflow};
use crate::{Engine, Feature, Form, Op, Row, Sem::Int, Width, row};

const COUNTED: &str = "osZapC";
const LOWEST_BIT: &str = "OSZapC";

pub const ROWS: &[Row] = &[
    row("LZCNT", "F3 0F BD /r", "Gv= Ev", Int(Lzcnt)).flags(COUNTED).on(Feature::Lzcnt),
    row("TZCNT", "F3 0F BC /r", "Gv= Ev", Int(Tzcnt)).flags(COUNTED).on(Bmi1),
    row("ANDN", "VEX.LZ.NP.0F38 F2 /r", "Gy= By Ey", Int(Andn)).flags("OSZapC").on(Bmi1),
    row("BEXTR", "VEX.LZ.NP.0F38 F7 /r", "Gy= Ey By", Int(Bextr)).flags("OsZapC").on(Bmi1),
    row("BLSR", "VEX.LZ.NP.0F38 F3 /1", "By= Ey", Int(Blsr)).flags(LOWEST_BIT).on(Bmi1),
    row("BLSMSK", "VEX.LZ.NP.0F38 F3 /2", "By= Ey", Int(Blsmsk)).flags(LOWEST_BIT).on(Bmi1),
    row("BLSI", "VEX.LZ.NP.0F38 F3 /3", "By= Ey", Int(Blsi)).flags(LOWEST_BIT).on(Bmi1),
    row("BZHI", "VEX.LZ.NP.0F38 F5 /r", "Gy= Ey By", Int(Bzhi)).flags("OSZapC").on(Bmi2),
    row("MULX", "VEX.LZ.F2.0F38 F6 /r", "Gy= By= Ey", Int(Mulx)).on(Bmi2),
    row("RORX", "VEX.LZ.F2.0F3A F0 /r", "Gy= Ey Ib", Int(Rorx)).on(Bmi2),
    row("SHLX", "VEX.LZ.66.0F38 F7 /r", "Gy= Ey By", Int(Shlx)).on(Bmi2),
    row("SARX", "VEX.LZ.F3.0F38 F7 /r", "Gy= Ey By", Int(Sarx)).on(Bmi2),
    row("SHRX", "VEX.LZ.F2.0F38 F7 /r", "Gy= Ey By", Int(Shrx)).on(Bmi2),
];

/// CF tells a source of zero, whose count is the operand's width; ZF a count of zero.
fn count<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    find: impl FnOnce(&mut E, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let (zero, one) = (e.imm(0), e.imm(1));
    let none = e.equal(source, zero);
    let searched = e.select(none, one, source);
    let found = find(e, searched);
    let all = e.imm(u64::from(w.bits()));
    let found = e.select(none, all, found);
    e.set_register(w, op.dst, found);
    set_with_carry_overflow(e, w, found, none, zero);
    Ok(())
}

pub fn lzcnt<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    count(e, op, w, f, |e, source| {
        let zeros = e.count_leading_zeros(source);
        let above = e.imm(u64::from(64 - w.bits()));
        e.sub(Width::W64, zeros, above)
    })
}

pub fn tzcnt<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    count(e, op, w, f, E::count_trailing_zeros)
}

pub fn andn<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    let a = e.register(w, op.aux);
    let a = e.not(w, a);
    let value = e.and(a, b);
    e.set_register(w, op.dst, value);
    set_logic(e, w, value);
    Ok(())
}

/// The lowest `count` bits of `w` set; all of them for counts of `w` or more.
fn low_bits<E: Engine>(e: &mut E, w: Width, count: E::V) -> E::V {
    let one = e.imm(1);
    let limit = e.imm(u64::from(w.bits()));
    let fits = e.below(count, limit);
    let bit = e.shl(w, one, count);
    let below = e.sub(w, bit, one);
    let all = e.imm(w.mask());
    e.select(fits, below, all)
}

/// Bits 7:0 of the control are where the field starts, bits 15:8 how long it is.
pub fn bextr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let control = e.register(Width::W16, op.aux);
    let start = e.truncate(Width::W8, control);
    let eight = e.imm(8);
    let length = e.shr(control, eight);
    let limit = e.imm(64);
    let inside = e.below(start, limit);
    let zero = e.imm(0);
    let source = e.select(inside, source, zero);
    let moved = e.shr(source, start);
    let mask = low_bits(e, w, length);
    let value = e.and(moved, mask);
    e.set_register(w, op.dst, value);
    set_logic(e, w, value);
    Ok(())
}

/// Bits from the one numbered by the low byte of the second operand on are cleared; CF tells that there is none.
pub fn bzhi<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let number = e.register(Width::W8, op.aux);
    let mask = low_bits(e, w, number);
    let value = e.and(source, mask);
    let last = e.imm(u64::from(w.bits() - 1));
    let beyond = e.below(last, number);
    let zero = e.imm(0);
    e.set_register(w, op.dst, value);
    set_with_carry_overflow(e, w, value, beyond, zero);
    Ok(())
}

/// What `change` makes of the source and the source less one; CF where the source is zero, or is not.
fn lowest_bit<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    carry_if_zero: bool,
    change: impl FnOnce(&mut E, E::V, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let (zero, one) = (e.imm(0), e.imm(1));
    let less_one = e.sub(w, source, one);
    let value = change(e, source, less_one);
    let carry = if carry_if_zero { e.equal(source, zero) } else { e.below(zero, source) };
    e.set_register(w, op.dst, value);
    set_with_carry_overflow(e, w, value, carry, zero);
    Ok(())
}

pub fn blsr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    lowest_bit(e, op, w, f, true, E::and)
}

pub fn blsmsk<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    lowest_bit(e, op, w, f, true, E::xor)
}

pub fn blsi<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    lowest_bit(e, op, w, f, false, |e, source, less_one| {
        let others = e.not(w, less_one);
        e.and(source, others)
    })
}

/// The high half is written last: it stays where both halves go to one register.
pub fn mulx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    let a = e.register(w, RDX);
    let low = e.mul(w, a, b);
    let high = e.mul_high_unsigned(w, a, b);
    e.set_register(w, op.aux, low);
    e.set_register(w, op.dst, high);
    Ok(())
}

pub fn rorx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let source = if f.has_memory() { e.load(w, op)? } else { e.register(w, op.src) };
    let count = op.imm as u64 & u64::from(w.bits() - 1);
    let (right, left) = (e.imm(count), e.imm((u64::from(w.bits()) - count) & 63));
    let low = e.shr(source, right);
    let high = e.shl(w, source, left);
    let value = e.or(low, high);
    e.set_register(w, op.dst, value);
    Ok(())
}

/// A shift by the register VEX.vvvv names, which changes no flag.
fn shift<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    shift: impl FnOnce(&mut E, E::V, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let count = e.register(w, op.aux);
    let mask = e.imm(u64::from(w.bits() - 1));
    let count = e.and(count, mask);
    let value = shift(e, source, count);
    e.set_register(w, op.dst, value);
    Ok(())
}

pub fn shlx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    shift(e, op, w, f, |e, source, count| e.shl(w, source, count))
}

pub fn shrx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    shift(e, op, w, f, E::shr)
}

pub fn sarx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    shift(e, op, w, f, |e, source, count| e.sar(w, source, count))
}

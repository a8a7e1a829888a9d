//! Bit and byte instructions (Intel SDM vol. 1, 7.3.6).

use super::Int::{Bsf, Bsr, Bt, Btc, Btr, Bts, Popcnt};
use super::operands::read_src;
use crate::flags::{set_carry, set_logic};
use crate::{Engine, Feature, Form, Op, Row, Sem::Int, Width, row};

const TESTED: &str = "osapC";
const SCANNED: &str = "osZapc";

pub const ROWS: &[Row] = &[
    row("BT", "0F A3 /r", "Ev Gv", Int(Bt)).flags(TESTED),
    row("BTS", "0F AB /r", "Ev+ Gv", Int(Bts)).flags(TESTED).notes("lock"),
    row("BTR", "0F B3 /r", "Ev+ Gv", Int(Btr)).flags(TESTED).notes("lock"),
    row("BTC", "0F BB /r", "Ev+ Gv", Int(Btc)).flags(TESTED).notes("lock"),
    row("BT", "0F BA /4", "Ev Ib", Int(Bt)).flags(TESTED),
    row("BTS", "0F BA /5", "Ev+ Ib", Int(Bts)).flags(TESTED).notes("lock"),
    row("BTR", "0F BA /6", "Ev+ Ib", Int(Btr)).flags(TESTED).notes("lock"),
    row("BTC", "0F BA /7", "Ev+ Ib", Int(Btc)).flags(TESTED).notes("lock"),
    row("BSF", "0F BC /r", "Gv+ Ev", Int(Bsf)).flags(SCANNED),
    row("BSR", "0F BD /r", "Gv+ Ev", Int(Bsr)).flags(SCANNED),
    row("POPCNT", "F3 0F B8 /r", "Gv= Ev", Int(Popcnt)).flags("OSZAPC").on(Feature::Popcnt),
];

/// The bit's number within the operand.
#[inline(always)]
fn bit_number<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> E::V {
    let number = if matches!(f, Form::Ri | Form::Mi) { e.imm(op.imm as u64) } else { e.register(w, op.src) };
    let mask = e.imm(u64::from(w.bits() - 1));
    e.and(number, mask)
}

/// With a register bit offset, a memory operand is a bit string: bytes to move the operand by.
#[inline(always)]
fn string_displacement<E: Engine>(e: &mut E, op: &Op, w: Width) -> E::V {
    let offset = e.register(w, op.src);
    let offset = e.sign_extend(w, Width::W64, offset);
    let log2_bits = e.imm(u64::from(w.bits().trailing_zeros()));
    let element = e.sar(Width::W64, offset, log2_bits);
    let log2_bytes = e.imm(u64::from(w.bytes().trailing_zeros()));
    e.shl(Width::W64, element, log2_bytes)
}

#[inline(always)]
pub fn bt<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let value = match f {
        Form::Mr => {
            let displacement = string_displacement(e, op, w);
            e.load_at(w, op, displacement)?
        }
        Form::Mi => e.load(w, op)?,
        _ => e.register(w, op.dst),
    };
    let number = bit_number(e, op, w, f);
    copy_to_carry(e, value, number);
    Ok(())
}

#[inline(always)]
fn copy_to_carry<E: Engine>(e: &mut E, value: E::V, number: E::V) {
    let moved = e.shr(value, number);
    let one = e.imm(1);
    let bit = e.and(moved, one);
    set_carry(e, bit);
}

#[inline(always)]
fn change_bit<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    change: impl FnOnce(&mut E, E::V, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let number = bit_number(e, op, w, f);
    let one = e.imm(1);
    let bit = e.shl(w, one, number);
    if !f.dst_is_memory() {
        let old = e.register(w, op.dst);
        copy_to_carry(e, old, number);
        let new = change(e, old, bit);
        e.set_register(w, op.dst, new);
        return Ok(());
    }
    let displacement = if f == Form::Mr { string_displacement(e, op, w) } else { e.imm(0) };
    let (old, place) = e.load_rw_at(w, op, displacement)?;
    copy_to_carry(e, old, number);
    let new = change(e, old, bit);
    e.store_rw(w, place, new);
    Ok(())
}

#[inline(always)]
pub fn bts<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    change_bit(e, op, w, f, E::or)
}

#[inline(always)]
pub fn btr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    change_bit(e, op, w, f, |e, old, bit| {
        let keep = e.not(w, bit);
        e.and(old, keep)
    })
}

#[inline(always)]
pub fn btc<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    change_bit(e, op, w, f, E::xor)
}

#[inline(always)]
pub fn bsf<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    scan(e, op, w, f, |e, source| e.count_trailing_zeros(source))
}

#[inline(always)]
pub fn bsr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    scan(e, op, w, f, |e, source| {
        let from_top = e.count_leading_zeros(source);
        let top = e.imm(63);
        e.sub(Width::W64, top, from_top)
    })
}

/// With a source of zero the destination keeps its whole 64 bits: what every processor does, and AMD documents.
#[inline(always)]
fn scan<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    find: impl FnOnce(&mut E, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let zero = e.imm(0);
    let none = e.equal(source, zero);
    let one = e.imm(1);
    let searched = e.select(none, one, source);
    let found = find(e, searched);
    let before = e.register(Width::W64, op.dst);
    e.set_register(w, op.dst, found);
    let after = e.register(Width::W64, op.dst);
    let kept = e.select(none, before, after);
    e.set_register(Width::W64, op.dst, kept);
    set_logic(e, w, source);
    Ok(())
}

/// ZF tells a source of zero; the other five flags, PF among them, are cleared.
#[inline(always)]
pub fn popcnt<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let ones = e.count_ones(source);
    e.set_register(w, op.dst, ones);
    let zero = e.imm(0);
    let none = e.equal(source, zero);
    let one = e.imm(1);
    // A result of 1 has PF clear by itself; a result of 0 needs it inverted (bit 1 of the carry vector).
    let result = e.xor(none, one);
    let invert_parity = e.shl(Width::W64, none, one);
    e.set_flags(result, invert_parity);
    Ok(())
}

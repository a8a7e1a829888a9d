//! Lazy status flags.
//!
//! The six status flags live in two 64-bit values that a plain ALU operation computes without a branch:
//!
//! - `result`: the result, sign-extended from the operation's width. ZF is `result == 0`, SF bit 63, PF the parity of
//!   the low byte.
//! - `carries`: the vector of carries (or borrows) out of each bit, moved up so that the operation's top bit is bit 63:
//!   bit 63 is CF, bit 62 the carry *into* the top bit, so OF is their exclusive or; bit 3 is AF (the carry out of bit 3, unmoved).
//!   Bit 0 inverts SF and bit 1 inverts PF, so that `POPF` and friends can hold combinations no result has. All other bits are
//!   without meaning.
//!
//! Being two plain values they fit the JIT's locals and region parameters, and reading one flag is a few operations.

use crate::instructions::integer::undefined_by_count;
use crate::{Engine, Inst, Operand, Sem, Width};

/// Carry flag.
pub const CF: u64 = 1 << 0;
/// Parity flag.
pub const PF: u64 = 1 << 2;
/// Auxiliary carry flag.
pub const AF: u64 = 1 << 4;
/// Zero flag.
pub const ZF: u64 = 1 << 6;
/// Sign flag.
pub const SF: u64 = 1 << 7;
/// Overflow flag.
pub const OF: u64 = 1 << 11;
/// All six status flags.
pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;

const INVERT_SF: u64 = 1 << 0;
const INVERT_PF: u64 = 1 << 1;

/// The status flags that `inst` leaves undefined: those its row says, or for shifts, where `cl` may be the count, those the
/// count decides.
#[must_use]
pub fn undefined_after(inst: &Inst, cl: u64) -> u64 {
    let row = inst.row();
    if let Sem::Int(int) = row.sem {
        let immediate = |o: &Operand| if let Operand::Imm { value, .. } = o { Some(*value as u64) } else { None };
        let count = inst.operands.iter().find_map(immediate).unwrap_or(cl);
        let width = inst.operands[0].width().unwrap_or(inst.opsize);
        if let Some(flags) = undefined_by_count(int, width, count) {
            return flags;
        }
    }
    let letters = [('c', CF), ('p', PF), ('a', AF), ('z', ZF), ('s', SF), ('o', OF)];
    letters.iter().filter(|(letter, _)| row.flags.contains(*letter)).fold(0, |flags, (_, bit)| flags | bit)
}

/// The status flags of a lazy state, in their EFLAGS positions.
#[must_use]
pub fn pack(result: u64, carries: u64) -> u64 {
    let carry = carries >> 63;
    let overflow = carry ^ (carries >> 62 & 1);
    let sign = (result >> 63) ^ (carries & INVERT_SF);
    let parity = u64::from((result as u8).count_ones() & 1 == 0) ^ (carries >> 1 & 1);
    let zero = u64::from(result == 0);
    carry | parity << 2 | (carries >> 3 & 1) << 4 | zero << 6 | sign << 7 | overflow << 11
}

/// A lazy state `(result, carries)` with the status flags of `eflags`.
#[must_use]
pub fn unpack(eflags: u64) -> (u64, u64) {
    let result = if eflags & ZF != 0 { 0 } else { 1 };
    let mut carries = (eflags & CF) << 63;
    carries |= ((eflags & CF) ^ (eflags >> 11 & 1)) << 62;
    carries |= (eflags >> 4 & 1) << 3;
    // A result of 0 has even parity, a result of 1 odd; both are positive.
    let even = result == 0;
    if eflags & SF != 0 {
        carries |= INVERT_SF;
    }
    if (eflags & PF != 0) != even {
        carries |= INVERT_PF;
    }
    (result, carries)
}

/// Sets the flags of `r = a + b (+ carry)` in `w`.
#[inline(always)]
pub fn set_add<E: Engine>(e: &mut E, w: Width, a: E::V, b: E::V, r: E::V) {
    let both = e.and(a, b);
    let either = e.or(a, b);
    let no_sum = e.not(Width::W64, r);
    let lost = e.and(either, no_sum);
    let carries = e.or(both, lost);
    set(e, w, r, carries);
}

/// Sets the flags of `r = a - b (- borrow)` in `w`.
#[inline(always)]
pub fn set_sub<E: Engine>(e: &mut E, w: Width, a: E::V, b: E::V, r: E::V) {
    let not_a = e.not(Width::W64, a);
    let certain = e.and(not_a, b);
    let either = e.or(not_a, b);
    let kept = e.and(either, r);
    let borrows = e.or(certain, kept);
    set(e, w, r, borrows);
}

/// Sets SF, ZF and PF from `r` and clears CF, OF and AF.
#[inline(always)]
pub fn set_logic<E: Engine>(e: &mut E, w: Width, r: E::V) {
    let result = e.sign_extend(w, Width::W64, r);
    let none = e.imm(0);
    e.set_flags(result, none);
}

/// Sets the flags from a result and an unmoved carry vector of width `w`.
#[inline(always)]
pub fn set<E: Engine>(e: &mut E, w: Width, r: E::V, carries: E::V) {
    let result = e.sign_extend(w, Width::W64, r);
    let carries = align(e, w, carries);
    e.set_flags(result, carries);
}

/// Moves an unmoved carry vector of width `w` to the top, keeping AF in bit 3.
#[inline(always)]
fn align<E: Engine>(e: &mut E, w: Width, carries: E::V) -> E::V {
    if w == Width::W64 {
        let keep = e.imm(!(INVERT_SF | INVERT_PF));
        return e.and(carries, keep);
    }
    let shift = e.imm(u64::from(64 - w.bits()));
    let moved = e.shl(Width::W64, carries, shift);
    let auxiliary_bit = e.imm(8);
    let auxiliary = e.and(carries, auxiliary_bit);
    e.or(moved, auxiliary)
}

/// Sets SF, ZF and PF from `r`, CF and OF from two booleans, and clears AF.
#[inline(always)]
pub fn set_with_carry_overflow<E: Engine>(e: &mut E, w: Width, r: E::V, carry: E::V, overflow: E::V) {
    let result = e.sign_extend(w, Width::W64, r);
    let carries = carries_from(e, carry, overflow);
    e.set_flags(result, carries);
}

/// A carry vector with CF and OF as given, AF clear.
#[inline(always)]
pub fn carries_from<E: Engine>(e: &mut E, carry: E::V, overflow: E::V) -> E::V {
    let into_top = e.xor(carry, overflow);
    let (top, below_top) = (e.imm(63), e.imm(62));
    let carry = e.shl(Width::W64, carry, top);
    let into_top = e.shl(Width::W64, into_top, below_top);
    e.or(carry, into_top)
}

/// Replaces CF and keeps every other flag (OF included).
#[inline(always)]
pub fn set_carry<E: Engine>(e: &mut E, carry: E::V) {
    let (result, carries) = (e.flag_result(), e.flag_carries());
    let carries = replace_carry(e, carries, carry);
    e.set_flags(result, carries);
}

/// `carries` with CF replaced and OF kept.
#[inline(always)]
pub fn replace_carry<E: Engine>(e: &mut E, carries: E::V, carry: E::V) -> E::V {
    // Flipping bits 63 and 62 together changes CF and leaves their exclusive or, OF, alone.
    let top = e.imm(63);
    let old = e.shr(carries, top);
    let change = e.xor(old, carry);
    let both = e.imm(3);
    let mask = e.mul(Width::W64, change, both);
    let shift = e.imm(62);
    let mask = e.shl(Width::W64, mask, shift);
    e.xor(carries, mask)
}

/// Replaces OF and keeps every other flag (CF included).
#[inline(always)]
pub fn set_overflow<E: Engine>(e: &mut E, wanted: E::V) {
    let old = overflow(e);
    let (result, carries) = (e.flag_result(), e.flag_carries());
    let change = e.xor(old, wanted);
    let below_top = e.imm(62);
    let mask = e.shl(Width::W64, change, below_top);
    let carries = e.xor(carries, mask);
    e.set_flags(result, carries);
}

/// CF as 0 or 1.
#[inline(always)]
pub fn carry<E: Engine>(e: &mut E) -> E::V {
    let carries = e.flag_carries();
    let top = e.imm(63);
    e.shr(carries, top)
}

/// OF as 0 or 1.
#[inline(always)]
pub fn overflow<E: Engine>(e: &mut E) -> E::V {
    let carries = e.flag_carries();
    let one = e.imm(1);
    let moved = e.shl(Width::W64, carries, one);
    let differ = e.xor(carries, moved);
    let top = e.imm(63);
    e.shr(differ, top)
}

/// ZF as 0 or 1.
#[inline(always)]
pub fn zero<E: Engine>(e: &mut E) -> E::V {
    let result = e.flag_result();
    let none = e.imm(0);
    e.equal(result, none)
}

/// SF as 0 or 1.
#[inline(always)]
pub fn sign<E: Engine>(e: &mut E) -> E::V {
    let result = e.flag_result();
    let carries = e.flag_carries();
    let top = e.imm(63);
    let sign = e.shr(result, top);
    let one = e.imm(INVERT_SF);
    let invert = e.and(carries, one);
    e.xor(sign, invert)
}

/// PF as 0 or 1.
#[inline(always)]
pub fn parity<E: Engine>(e: &mut E) -> E::V {
    let result = e.flag_result();
    let carries = e.flag_carries();
    let low = e.truncate(Width::W8, result);
    let ones = e.count_ones(low);
    let one = e.imm(1);
    let invert = e.shr(carries, one);
    let odd = e.xor(ones, invert);
    let even = e.xor(odd, one);
    e.and(even, one)
}

/// AF as 0 or 1.
#[inline(always)]
pub fn auxiliary<E: Engine>(e: &mut E) -> E::V {
    let carries = e.flag_carries();
    let three = e.imm(3);
    let moved = e.shr(carries, three);
    let one = e.imm(1);
    e.and(moved, one)
}

/// All six status flags in their EFLAGS positions.
pub fn status<E: Engine>(e: &mut E) -> E::V {
    let mut all = carry(e);
    let others = [(parity(e), 2), (auxiliary(e), 4), (zero(e), 6), (sign(e), 7), (overflow(e), 11)];
    for (flag, place) in others {
        let place = e.imm(place);
        let moved = e.shl(Width::W64, flag, place);
        all = e.or(all, moved);
    }
    all
}

/// Sets all six status flags from their EFLAGS positions.
pub fn set_status<E: Engine>(e: &mut E, eflags: E::V) {
    let bit = |e: &mut E, number: u64| {
        let number = e.imm(number);
        let moved = e.shr(eflags, number);
        let one = e.imm(1);
        e.and(moved, one)
    };
    let (carry, parity, auxiliary, zero) = (bit(e, 0), bit(e, 2), bit(e, 4), bit(e, 6));
    let (sign, overflow) = (bit(e, 7), bit(e, 11));
    let one = e.imm(1);
    // A result of 0 or 1: its sign is clear, its parity even exactly when it is zero. Bits 0 and 1 of the carries invert those.
    let result = e.xor(zero, one);
    let inverted = e.xor(parity, zero);
    let inverted = e.shl(Width::W64, inverted, one);
    let three = e.imm(3);
    let auxiliary = e.shl(Width::W64, auxiliary, three);
    let carries = carries_from(e, carry, overflow);
    let carries = e.or(carries, sign);
    let carries = e.or(carries, inverted);
    let carries = e.or(carries, auxiliary);
    e.set_flags(result, carries);
}

/// Condition `cc` (the low four bits of `Jcc`, `SETcc`, `CMOVcc`; Intel SDM vol. 1, appendix B) as 0 or 1.
#[inline(always)]
pub fn condition<E: Engine>(e: &mut E, cc: u8) -> E::V {
    let holds = match cc >> 1 {
        0 => overflow(e),
        1 => carry(e),
        2 => zero(e),
        3 => below_or_equal(e),
        4 => sign(e),
        5 => parity(e),
        6 => less(e),
        _ => less_or_equal(e),
    };
    if cc & 1 == 0 {
        return holds;
    }
    let one = e.imm(1);
    e.xor(holds, one)
}

#[inline(always)]
fn below_or_equal<E: Engine>(e: &mut E) -> E::V {
    let carry = carry(e);
    let zero = zero(e);
    e.or(carry, zero)
}

#[inline(always)]
fn less<E: Engine>(e: &mut E) -> E::V {
    let sign = sign(e);
    let overflow = overflow(e);
    e.xor(sign, overflow)
}

#[inline(always)]
fn less_or_equal<E: Engine>(e: &mut E) -> E::V {
    let less = less(e);
    let zero = zero(e);
    e.or(less, zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_status_flags_survives_unpacking() {
        for combination in 0..64u64 {
            let spread = |bit: u64, flag: u64| if combination >> bit & 1 != 0 { flag } else { 0 };
            let eflags = spread(0, CF) | spread(1, PF) | spread(2, AF) | spread(3, ZF) | spread(4, SF) | spread(5, OF);
            let (result, carries) = unpack(eflags);
            assert_eq!(pack(result, carries), eflags, "{eflags:#x}");
        }
    }
}

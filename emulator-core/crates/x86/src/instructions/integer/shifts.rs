//! Shifts and rotates (Intel SDM vol. 1, 7.3.5).
//!
//! A count of zero (after masking to 5 or 6 bits) changes no flag. OF is defined for a count of one; for other
//! counts it is what the same formula gives.

use super::Int::{Rcl, Rcr, Rol, Ror, Sar, Shl, Shld, Shr, Shrd};
use super::operands::{RCX, update_dst};
use crate::flags::{self, carries_from};
use crate::{Engine, Form, Op, Row, Sem::Int, Width, row};

/// Status flags that a shift or rotation `int` of `w` bits by `count` leaves undefined (Intel SDM vol. 2, its pages); `None` for
/// other instructions.
#[must_use]
pub fn undefined_by_count(int: super::Int, w: Width, count: u64) -> Option<u64> {
    let of_many = match int {
        Rol | Ror | Rcl | Rcr => flags::OF,
        Shl | Shr | Sar | Shld | Shrd => flags::OF | flags::AF,
        _ => return None,
    };
    let count = count & if w == Width::W64 { 63 } else { 31 };
    let beyond = count > u64::from(w.bits());
    Some(match int {
        _ if count == 0 => 0,
        _ if count == 1 => of_many & !flags::OF,
        Shl | Shr if beyond => of_many | flags::CF,
        Shld | Shrd if beyond => flags::STATUS,
        _ => of_many,
    })
}

const SHIFT: &str = "OSZaPC";
const ROTATE: &str = "OC";

pub const ROWS: &[Row] = &[
    row("ROL", "C0 /0", "Eb+ Ib", Int(Rol)).flags(ROTATE),
    row("ROR", "C0 /1", "Eb+ Ib", Int(Ror)).flags(ROTATE),
    row("RCL", "C0 /2", "Eb+ Ib", Int(Rcl)).flags(ROTATE),
    row("RCR", "C0 /3", "Eb+ Ib", Int(Rcr)).flags(ROTATE),
    row("SHL", "C0 /4", "Eb+ Ib", Int(Shl)).flags(SHIFT),
    row("SHR", "C0 /5", "Eb+ Ib", Int(Shr)).flags(SHIFT),
    row("SHL", "C0 /6", "Eb+ Ib", Int(Shl)).flags(SHIFT),
    row("SAR", "C0 /7", "Eb+ Ib", Int(Sar)).flags(SHIFT),
    row("ROL", "C1 /0", "Ev+ Ib", Int(Rol)).flags(ROTATE),
    row("ROR", "C1 /1", "Ev+ Ib", Int(Ror)).flags(ROTATE),
    row("RCL", "C1 /2", "Ev+ Ib", Int(Rcl)).flags(ROTATE),
    row("RCR", "C1 /3", "Ev+ Ib", Int(Rcr)).flags(ROTATE),
    row("SHL", "C1 /4", "Ev+ Ib", Int(Shl)).flags(SHIFT),
    row("SHR", "C1 /5", "Ev+ Ib", Int(Shr)).flags(SHIFT),
    row("SHL", "C1 /6", "Ev+ Ib", Int(Shl)).flags(SHIFT),
    row("SAR", "C1 /7", "Ev+ Ib", Int(Sar)).flags(SHIFT),
    row("ROL", "D0 /0", "Eb+ 1", Int(Rol)).flags(ROTATE),
    row("ROR", "D0 /1", "Eb+ 1", Int(Ror)).flags(ROTATE),
    row("RCL", "D0 /2", "Eb+ 1", Int(Rcl)).flags(ROTATE),
    row("RCR", "D0 /3", "Eb+ 1", Int(Rcr)).flags(ROTATE),
    row("SHL", "D0 /4", "Eb+ 1", Int(Shl)).flags(SHIFT),
    row("SHR", "D0 /5", "Eb+ 1", Int(Shr)).flags(SHIFT),
    row("SHL", "D0 /6", "Eb+ 1", Int(Shl)).flags(SHIFT),
    row("SAR", "D0 /7", "Eb+ 1", Int(Sar)).flags(SHIFT),
    row("ROL", "D1 /0", "Ev+ 1", Int(Rol)).flags(ROTATE),
    row("ROR", "D1 /1", "Ev+ 1", Int(Ror)).flags(ROTATE),
    row("RCL", "D1 /2", "Ev+ 1", Int(Rcl)).flags(ROTATE),
    row("RCR", "D1 /3", "Ev+ 1", Int(Rcr)).flags(ROTATE),
    row("SHL", "D1 /4", "Ev+ 1", Int(Shl)).flags(SHIFT),
    row("SHR", "D1 /5", "Ev+ 1", Int(Shr)).flags(SHIFT),
    row("SHL", "D1 /6", "Ev+ 1", Int(Shl)).flags(SHIFT),
    row("SAR", "D1 /7", "Ev+ 1", Int(Sar)).flags(SHIFT),
    row("ROL", "D2 /0", "Eb+ CL", Int(Rol)).flags(ROTATE),
    row("ROR", "D2 /1", "Eb+ CL", Int(Ror)).flags(ROTATE),
    row("RCL", "D2 /2", "Eb+ CL", Int(Rcl)).flags(ROTATE),
    row("RCR", "D2 /3", "Eb+ CL", Int(Rcr)).flags(ROTATE),
    row("SHL", "D2 /4", "Eb+ CL", Int(Shl)).flags(SHIFT),
    row("SHR", "D2 /5", "Eb+ CL", Int(Shr)).flags(SHIFT),
    row("SHL", "D2 /6", "Eb+ CL", Int(Shl)).flags(SHIFT),
    row("SAR", "D2 /7", "Eb+ CL", Int(Sar)).flags(SHIFT),
    row("ROL", "D3 /0", "Ev+ CL", Int(Rol)).flags(ROTATE),
    row("ROR", "D3 /1", "Ev+ CL", Int(Ror)).flags(ROTATE),
    row("RCL", "D3 /2", "Ev+ CL", Int(Rcl)).flags(ROTATE),
    row("RCR", "D3 /3", "Ev+ CL", Int(Rcr)).flags(ROTATE),
    row("SHL", "D3 /4", "Ev+ CL", Int(Shl)).flags(SHIFT),
    row("SHR", "D3 /5", "Ev+ CL", Int(Shr)).flags(SHIFT),
    row("SHL", "D3 /6", "Ev+ CL", Int(Shl)).flags(SHIFT),
    row("SAR", "D3 /7", "Ev+ CL", Int(Sar)).flags(SHIFT),
    row("SHLD", "0F A4 /r", "Ev+ Gv Ib", Int(Shld)).flags(SHIFT),
    row("SHLD", "0F A5 /r", "Ev+ Gv CL", Int(Shld)).flags(SHIFT),
    row("SHRD", "0F AC /r", "Ev+ Gv Ib", Int(Shrd)).flags(SHIFT),
    row("SHRD", "0F AD /r", "Ev+ Gv CL", Int(Shrd)).flags(SHIFT),
];

#[inline(always)]
const fn count_mask(w: Width) -> u64 {
    if matches!(w, Width::W64) { 63 } else { 31 }
}

#[inline(always)]
fn count<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> E::V {
    match f {
        Form::Ri | Form::Mi => e.imm(op.imm as u64 & count_mask(w)),
        _ => {
            let count = e.register(Width::W8, op.src);
            let mask = e.imm(count_mask(w));
            e.and(count, mask)
        }
    }
}

/// The bit of `value` at `number`.
#[inline(always)]
fn bit_at<E: Engine>(e: &mut E, value: E::V, number: u32) -> E::V {
    let number = e.imm(u64::from(number));
    let moved = e.shr(value, number);
    let one = e.imm(1);
    e.and(moved, one)
}

/// Sets all flags from a shift's result, unless the count was zero.
#[inline(always)]
fn finish_shift<E: Engine>(e: &mut E, w: Width, count: E::V, r: E::V, carry: E::V, overflow: E::V) {
    let (old_result, old_carries) = (e.flag_result(), e.flag_carries());
    let result = e.sign_extend(w, Width::W64, r);
    let carries = carries_from(e, carry, overflow);
    let result = e.select(count, result, old_result);
    let carries = e.select(count, carries, old_carries);
    e.set_flags(result, carries);
}

/// Sets CF and OF from a rotate, unless the count was zero, and keeps the others.
#[inline(always)]
fn finish_rotate<E: Engine>(e: &mut E, count: E::V, carry: E::V, overflow: E::V) {
    let (result, old) = (e.flag_result(), e.flag_carries());
    let rest_mask = e.imm(u64::MAX >> 2);
    let rest = e.and(old, rest_mask);
    let top = carries_from(e, carry, overflow);
    let new = e.or(rest, top);
    let carries = e.select(count, new, old);
    e.set_flags(result, carries);
}

#[inline(always)]
pub fn shl<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    update_dst(e, op, w, f, |e, a| {
        let r = e.shl(w, a, count);
        let carry = if w == Width::W64 {
            // The bit shifted out last: 64 - count, which for a count of zero is not used.
            let number = width_less(e, w, count);
            let moved = e.shr(a, number);
            let one = e.imm(1);
            e.and(moved, one)
        } else {
            let wide = e.shl(Width::W64, a, count);
            bit_at(e, wide, w.bits())
        };
        let sign = bit_at(e, r, w.bits() - 1);
        let overflow = e.xor(sign, carry);
        finish_shift(e, w, count, r, carry, overflow);
        r
    })
}

#[inline(always)]
pub fn shr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    update_dst(e, op, w, f, |e, a| {
        let r = e.shr(a, count);
        let carry = last_out_right(e, a, count);
        // For a count of one the top bit of the operand, now one below the top.
        let overflow = bit_at(e, r, w.bits() - 2);
        finish_shift(e, w, count, r, carry, overflow);
        r
    })
}

/// The bit a right shift by `count` moves out last; `count` of zero gives some bit.
#[inline(always)]
fn last_out_right<E: Engine>(e: &mut E, a: E::V, count: E::V) -> E::V {
    let one = e.imm(1);
    let less = e.sub(Width::W64, count, one);
    let mask = e.imm(63);
    let less = e.and(less, mask);
    let moved = e.shr(a, less);
    e.and(moved, one)
}

#[inline(always)]
pub fn sar<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    update_dst(e, op, w, f, |e, a| {
        let r = e.sar(w, a, count);
        let extended = e.sign_extend(w, Width::W64, a);
        let one = e.imm(1);
        let less = e.sub(Width::W64, count, one);
        let mask = e.imm(63);
        let less = e.and(less, mask);
        let moved = e.sar(Width::W64, extended, less);
        let carry = e.and(moved, one);
        let overflow = e.imm(0);
        finish_shift(e, w, count, r, carry, overflow);
        r
    })
}

/// `a` rotated left by `count`, which is taken modulo the width.
#[inline(always)]
fn rotate_left<E: Engine>(e: &mut E, w: Width, a: E::V, count: E::V) -> E::V {
    let mask = e.imm(u64::from(w.bits() - 1));
    let left = e.and(count, mask);
    let bits = e.imm(u64::from(w.bits()));
    let right = e.sub(Width::W64, bits, left);
    let right = e.and(right, mask);
    let high = e.shl(w, a, left);
    let low = e.shr(a, right);
    e.or(high, low)
}

#[inline(always)]
pub fn rol<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    update_dst(e, op, w, f, |e, a| {
        let r = rotate_left(e, w, a, count);
        let carry = bit_at(e, r, 0);
        let sign = bit_at(e, r, w.bits() - 1);
        let overflow = e.xor(sign, carry);
        finish_rotate(e, count, carry, overflow);
        r
    })
}

#[inline(always)]
pub fn ror<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    update_dst(e, op, w, f, |e, a| {
        let bits = e.imm(u64::from(w.bits()) * 2);
        let left = e.sub(Width::W64, bits, count);
        let r = rotate_left(e, w, a, left);
        let carry = bit_at(e, r, w.bits() - 1);
        let below = bit_at(e, r, w.bits() - 2);
        let overflow = e.xor(carry, below);
        finish_rotate(e, count, carry, overflow);
        r
    })
}

/// `count` modulo `w + 1`, the length of a rotate through carry.
#[inline(always)]
fn count_through_carry<E: Engine>(e: &mut E, w: Width, count: E::V) -> E::V {
    let mut reduced = count;
    // At most 31: three conditional subtractions of 9, or one of 17, reduce it.
    let steps = match w {
        Width::W8 => 3,
        Width::W16 => 1,
        _ => 0,
    };
    for _ in 0..steps {
        let length = e.imm(u64::from(w.bits()) + 1);
        let less = e.sub(Width::W64, reduced, length);
        let small = e.below(reduced, length);
        reduced = e.select(small, reduced, less);
    }
    reduced
}

/// `value >> count` for a count of 1..=64.
#[inline(always)]
fn shr_one_more<E: Engine>(e: &mut E, value: E::V, count_less_one: E::V) -> E::V {
    let moved = e.shr(value, count_less_one);
    let one = e.imm(1);
    e.shr(moved, one)
}

#[inline(always)]
pub fn rcl<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    let n = count_through_carry(e, w, count);
    update_dst(e, op, w, f, |e, a| {
        let carry_in = flags::carry(e);
        let (one, mask) = (e.imm(1), e.imm(63));
        let less = e.sub(Width::W64, n, one);
        let less = e.and(less, mask);
        // n >= 1: a's low part moves up, the carry lands at bit n - 1, a's top n - 1 bits return at the bottom.
        let high = e.shl(w, a, n);
        let middle = e.shl(w, carry_in, less);
        let bits = e.imm(u64::from(w.bits()));
        let back = e.sub(Width::W64, bits, n);
        let back = e.and(back, mask);
        let returned = shr_one_more(e, a, back);
        let rotated = e.or(high, middle);
        let rotated = e.or(rotated, returned);
        let out = e.shr(a, back);
        let out = e.and(out, one);
        let r = e.select(n, rotated, a);
        let carry = e.select(n, out, carry_in);
        let sign = bit_at(e, r, w.bits() - 1);
        let overflow = e.xor(sign, carry);
        finish_rotate(e, count, carry, overflow);
        r
    })
}

#[inline(always)]
pub fn rcr<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = count(e, op, w, f);
    let n = count_through_carry(e, w, count);
    update_dst(e, op, w, f, |e, a| {
        let carry_in = flags::carry(e);
        let (one, mask) = (e.imm(1), e.imm(63));
        // n >= 1: the carry lands at bit w - n, a's low n - 1 bits return above it.
        let low = e.shr(a, n);
        let bits = e.imm(u64::from(w.bits()));
        let place = e.sub(Width::W64, bits, n);
        let place = e.and(place, mask);
        let middle = e.shl(w, carry_in, place);
        let above = e.shl(Width::W64, a, place);
        let above = e.shl(w, above, one);
        let rotated = e.or(low, middle);
        let rotated = e.or(rotated, above);
        let out = last_out_right(e, a, n);
        let r = e.select(n, rotated, a);
        let carry = e.select(n, out, carry_in);
        let sign = bit_at(e, r, w.bits() - 1);
        let below = bit_at(e, r, w.bits() - 2);
        let overflow = e.xor(sign, below);
        finish_rotate(e, count, carry, overflow);
        r
    })
}

/// `w - count` as a shift count: what is left of the operand on the other side. For a count of zero the result is not used.
#[inline(always)]
fn width_less<E: Engine>(e: &mut E, w: Width, count: E::V) -> E::V {
    let bits = e.imm(u64::from(w.bits()));
    let rest = e.sub(Width::W64, bits, count);
    let mask = e.imm(63);
    e.and(rest, mask)
}

/// The result of a double shift of `a`, with the flags set: OF tells a change of sign.
#[inline(always)]
fn finish_double<E: Engine>(e: &mut E, w: Width, count: E::V, a: E::V, shifted: E::V, carry: E::V) -> E::V {
    let r = e.select(count, shifted, a);
    let changed = e.xor(r, a);
    let overflow = bit_at(e, changed, w.bits() - 1);
    finish_shift(e, w, count, r, carry, overflow);
    r
}

/// Count of a double shift: CL or the immediate.
#[inline(always)]
fn double_count<E: Engine>(e: &mut E, op: &Op, w: Width) -> E::V {
    let by_register = op.aux == RCX;
    let count = if by_register { e.register(Width::W8, RCX) } else { e.imm(op.imm as u64 & 0xff) };
    let mask = e.imm(count_mask(w));
    e.and(count, mask)
}

/// With 16-bit operands and a count over 16 the result is undefined; processors shift `dst:src:dst`.
#[inline(always)]
pub fn shld<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = double_count(e, op, w);
    let fill = e.register(w, op.src);
    update_dst(e, op, w, f, |e, a| {
        let back = width_less(e, w, count);
        let (r, out) = if w == Width::W16 {
            let wide = join16(e, a, fill, a);
            let moved = e.shl(Width::W64, wide, count);
            let upper = e.imm(32);
            let r = e.shr(moved, upper);
            (e.truncate(w, r), bit_at(e, moved, 48))
        } else {
            let high = e.shl(w, a, count);
            let low = e.shr(fill, back);
            let r = e.or(high, low);
            let out = e.shr(a, back);
            let one = e.imm(1);
            (r, e.and(out, one))
        };
        finish_double(e, w, count, a, r, out)
    })
}

#[inline(always)]
pub fn shrd<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let count = double_count(e, op, w);
    let fill = e.register(w, op.src);
    update_dst(e, op, w, f, |e, a| {
        let back = width_less(e, w, count);
        let (r, out) = if w == Width::W16 {
            let wide = join16(e, a, fill, a);
            let moved = e.shr(wide, count);
            (e.truncate(w, moved), last_out_right(e, wide, count))
        } else {
            let low = e.shr(a, count);
            let high = e.shl(w, fill, back);
            (e.or(low, high), last_out_right(e, a, count))
        };
        finish_double(e, w, count, a, r, out)
    })
}

/// Three 16-bit values side by side, `top` uppermost.
#[inline(always)]
fn join16<E: Engine>(e: &mut E, top: E::V, middle: E::V, low: E::V) -> E::V {
    let (two, one) = (e.imm(32), e.imm(16));
    let top = e.shl(Width::W64, top, two);
    let middle = e.shl(Width::W64, middle, one);
    let both = e.or(top, middle);
    e.or(both, low)
}

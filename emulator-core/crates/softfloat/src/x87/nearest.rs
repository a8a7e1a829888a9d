//! The usual case in words of 64 bits: normal operands, rounding to nearest in extended precision, and a result that is normal again. It can raise
//! precision only.
//!
//! Results are those of the other functions, which decide wherever these answer `None`.

use crate::arith::below_quotient;
use crate::binary::Binary;
use crate::f80::F80;
use crate::wide::{divide, multiply};

const TOP: u64 = 1 << 63;
const SIGN: u16 = 0x8000;
const BIAS: i32 = 16383;

/// A rounded result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest<T> {
    /// The result.
    pub value: T,
    /// Whether it is not the exact one.
    pub inexact: bool,
    /// Whether it is further from zero.
    pub up: bool,
}

impl<T> Nearest<T> {
    /// The same of another type.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Nearest<U> {
        Nearest { value: convert(self.value), inexact: self.inexact, up: self.up }
    }
}

#[inline(always)]
fn is_normal(value: F80) -> bool {
    let field = i32::from(value.sign_exponent & !SIGN);
    value.significand & TOP != 0 && (1..=2 * BIAS).contains(&field)
}

/// Whether `low`, the bits below those kept, is more than half of what they count by, or half of it beside an odd number. Nobody could predict
/// a branch here.
#[inline(always)]
fn rounds_up(kept: u64, low: u64) -> bool {
    low > TOP - (kept & 1)
}

/// Rounds `high:low`, the top bit of which is set.
#[inline(always)]
fn round(sign: u16, field: i32, high: u64, low: u64) -> Option<Nearest<F80>> {
    let up = rounds_up(high, low);
    let (significand, carried) = high.overflowing_add(u64::from(up));
    let field = field + i32::from(carried);
    if !(1..=2 * BIAS).contains(&field) {
        return None;
    }
    let value = F80::new(sign | field as u16, if carried { TOP } else { significand });
    Some(Nearest { value, inexact: low != 0, up })
}

/// `a + b`.
#[inline(always)]
pub fn add(a: F80, b: F80) -> Option<Nearest<F80>> {
    if !is_normal(a) || !is_normal(b) {
        return None;
    }
    let field = |value: F80| i32::from(value.sign_exponent & !SIGN);
    let (large, small) = if (field(a), a.significand) >= (field(b), b.significand) { (a, b) } else { (b, a) };
    let (high, low) = shifted(small.significand, (field(large) - field(small)) as u32);
    let sign = large.sign_exponent & SIGN;
    if (a.sign_exponent ^ b.sign_exponent) & SIGN == 0 {
        let (sum, carried) = large.significand.overflowing_add(high);
        let (sum, low) = if carried { (TOP | sum >> 1, sum << 63 | low >> 1 | low & 1) } else { (sum, low) };
        return round(sign, field(large) + i32::from(carried), sum, low);
    }
    let high = large.significand - high - u64::from(low != 0);
    let low = low.wrapping_neg();
    let (high, low, moved) = if high == 0 { (low, 0, 64) } else { (high, low, 0) };
    if high == 0 {
        return Some(Nearest { value: F80::ZERO, inexact: false, up: false });
    }
    let distance = high.leading_zeros();
    // Where all bits of `low` count, none of them are to be moved: a shift by 64 is two.
    let (high, low) = (high << distance | low >> 1 >> (63 - distance), low << distance);
    round(sign, field(large) - moved - distance as i32, high, low)
}

/// A significand moved right, with the 64 bits below it, of which the last also stands for all behind.
#[inline(always)]
fn shifted(significand: u64, distance: u32) -> (u64, u64) {
    match distance {
        0..=63 => (significand >> distance, significand << 1 << (63 - distance)),
        64..=127 => {
            let distance = distance - 64;
            (0, significand >> distance | u64::from(significand << 1 << (63 - distance) != 0))
        }
        _ => (0, 1),
    }
}

/// `a * b`.
#[inline(always)]
pub fn mul(a: F80, b: F80) -> Option<Nearest<F80>> {
    if !is_normal(a) || !is_normal(b) {
        return None;
    }
    let product = multiply(a.significand, b.significand);
    let (high, low) = ((product >> 64) as u64, product as u64);
    let long = high & TOP != 0;
    // Without a branch: that is as good as random.
    let distance = u32::from(!long);
    let (high, low) = (high << distance | low >> 1 >> (63 - distance), low << distance);
    let field = i32::from(a.sign_exponent & !SIGN) + i32::from(b.sign_exponent & !SIGN) - BIAS + i32::from(long);
    round((a.sign_exponent ^ b.sign_exponent) & SIGN, field, high, low)
}

/// `a / b`.
#[inline(always)]
pub fn div(a: F80, b: F80) -> Option<Nearest<F80>> {
    if !is_normal(a) || !is_normal(b) {
        return None;
    }
    // As `arith::div` has it: the quotient's top bit is set.
    let halve = a.significand >= b.significand;
    let (high, low) = if halve { (a.significand >> 1, a.significand << 63) } else { (a.significand, 0) };
    let (quotient, remainder) = divide(high, low, b.significand);
    let field = i32::from(a.sign_exponent & !SIGN) - i32::from(b.sign_exponent & !SIGN) + BIAS - i32::from(!halve);
    let low = below_quotient(remainder, b.significand);
    round((a.sign_exponent ^ b.sign_exponent) & SIGN, field, quotient, low)
}

/// The value as a single or double.
#[inline(always)]
pub fn store<B: Binary>(value: F80) -> Option<Nearest<B>> {
    let field = i32::from(value.sign_exponent & !SIGN) - BIAS + B::MAX_EXPONENT;
    if value.significand & TOP == 0 || !(1..B::EXPONENT_MASK as i32 - 1).contains(&field) {
        return None;
    }
    let (kept, low) = (value.significand >> (64 - B::PRECISION), value.significand << B::PRECISION);
    let up = rounds_up(kept, low);
    // The integer bit counts as one in the exponent field, and so does a carry.
    let magnitude = ((field - 1) as u64) << B::FRACTION_BITS;
    let bits = magnitude + kept + u64::from(up);
    let sign = if value.is_negative() { B::SIGN } else { 0 };
    Some(Nearest { value: B::from_bits(bits | sign), inexact: low != 0, up })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, F32, F64, Flags, x87};

    /// A xorshift generator (G. Marsaglia, "Xorshift RNGs", 2003).
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Mostly near each other in size, with few or many bits set; sometimes anything.
    fn operand(state: &mut u64) -> F80 {
        let (kind, sign) = (random(state) >> 8, (random(state) << 15) as u16);
        let bits = random(state);
        let significand = TOP | if kind & 1 == 0 { bits << (kind >> 8 & 63) } else { !bits << (kind >> 8 & 63) };
        let field = match kind >> 1 & 7 {
            0 => bits as u16,
            1 => (bits % 3 * 16383) as u16,
            2 => 16383 - 1030 + (bits % 2060) as u16,
            _ => 16383 - 70 + (bits % 140) as u16,
        };
        F80::new(field & !SIGN | sign, if kind & 0xf000 == 0 { bits } else { significand })
    }

    /// The exact path's result, which the host judges (`tests/host`).
    fn exactly<T>(compute: impl FnOnce(&mut Context) -> T) -> (Nearest<T>, Flags) {
        let mut ctx = Context::x87(0x37f);
        let value = compute(&mut ctx);
        (Nearest { value, inexact: ctx.raised().contains(Flags::PRECISION), up: ctx.rounded_up() }, ctx.raised())
    }

    fn check<T: PartialEq + core::fmt::Debug>(
        counted: &mut u32,
        got: Option<Nearest<T>>,
        exactly: (Nearest<T>, Flags),
        operands: [F80; 2],
    ) {
        if let Some(got) = got {
            *counted += 1;
            assert_eq!((got, Flags::empty()), (exactly.0, exactly.1 - Flags::PRECISION), "{operands:x?}");
        }
    }

    #[test]
    fn the_short_way_leads_where_the_long_one_does() {
        const CASES: u32 = 2_000_000;
        let (mut state, mut counted) = (0x5eed, [0; 5]);
        for _ in 0..CASES {
            let (a, b) = (operand(&mut state), operand(&mut state));
            check(&mut counted[0], add(a, b), exactly(|ctx| x87::add(a, b, ctx)), [a, b]);
            check(&mut counted[1], mul(a, b), exactly(|ctx| x87::mul(a, b, ctx)), [a, b]);
            check(&mut counted[4], div(a, b), exactly(|ctx| x87::div(a, b, ctx)), [a, b]);
            check(&mut counted[2], store::<F64>(a), exactly(|ctx| x87::store(a, ctx)), [a, b]);
            check(&mut counted[3], store::<F32>(a), exactly(|ctx| x87::store(a, ctx)), [a, b]);
        }
        assert!(counted.iter().all(|&count| count > CASES / 4), "it is taken: {counted:?}");
    }
}

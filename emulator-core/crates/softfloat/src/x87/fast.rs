//! The usual case in words of 64 bits: normal operands, rounding to nearest in extended precision, and a result that is normal again.
//!
//! Everything else returns `None` and takes the exact path. A result here is `high:low` with the top bit of `high` set, and may raise
//! precision only.

use crate::binary::Binary;
use crate::context::{Context, Flags, Precision, Rounding};
use crate::f80::F80;
use crate::unpacked::{Class, Unpacked};
use crate::wide::multiply;

const TOP: u64 = 1 << 63;
const BIAS: i32 = 16383;

#[inline(always)]
fn applies(a: Unpacked, b: Unpacked, ctx: &Context) -> bool {
    let usual = ctx.rounding == Rounding::Nearest && ctx.precision == Precision::Extended;
    usual && a.class == Class::Normal && b.class == Class::Normal
}

/// Whether `low` is more than half of what the kept bits count by, or half of it beside an odd number.
#[inline(always)]
fn rounds_up(kept: u64, low: u64) -> bool {
    low > TOP || (low == TOP && kept & 1 != 0)
}

#[inline(always)]
fn report(low: u64, up: bool, ctx: &mut Context) {
    if low != 0 {
        ctx.raise(Flags::PRECISION);
    }
    ctx.rounded_up = up;
}

#[inline(always)]
fn round(negative: bool, exponent: i32, high: u64, low: u64, ctx: &mut Context) -> Option<F80> {
    let up = rounds_up(high, low);
    let (significand, carried) = high.overflowing_add(u64::from(up));
    let field = exponent + BIAS + i32::from(carried);
    if !(1..=2 * BIAS).contains(&field) {
        return None;
    }
    report(low, up, ctx);
    let significand = if carried { TOP } else { significand };
    Some(F80::new(F80::zero(negative).sign_exponent | field as u16, significand))
}

/// `a + b`.
#[inline(always)]
pub(super) fn add(a: Unpacked, b: Unpacked, ctx: &mut Context) -> Option<F80> {
    if !applies(a, b, ctx) {
        return None;
    }
    let (large, small) = if (a.exponent, a.significand) >= (b.exponent, b.significand) { (a, b) } else { (b, a) };
    let (high, low) = shifted(small.significand, (large.exponent - small.exponent) as u32);
    if large.negative == small.negative {
        let (sum, carried) = large.significand.overflowing_add(high);
        let (sum, low) = if carried { (TOP | sum >> 1, sum << 63 | low >> 1 | low & 1) } else { (sum, low) };
        return round(large.negative, large.exponent + i32::from(carried), sum, low, ctx);
    }
    let difference = large.significand - high - u64::from(low != 0);
    let (exponent, high, low) = match (difference, low.wrapping_neg()) {
        (0, 0) => {
            report(0, false, ctx);
            return Some(F80::ZERO);
        }
        (0, low) => (large.exponent - 64, low, 0),
        (high, low) => (large.exponent, high, low),
    };
    let distance = high.leading_zeros();
    let (high, low) =
        if distance == 0 { (high, low) } else { (high << distance | low >> (64 - distance), low << distance) };
    round(large.negative, exponent - distance as i32, high, low, ctx)
}

/// A significand moved right, with the 64 bits below it, of which the last also stands for all behind.
#[inline(always)]
fn shifted(significand: u64, distance: u32) -> (u64, u64) {
    match distance {
        0 => (significand, 0),
        1..=63 => (significand >> distance, significand << (64 - distance)),
        64 => (0, significand),
        65..=127 => (0, significand >> (distance - 64) | u64::from(significand << (128 - distance) != 0)),
        _ => (0, 1),
    }
}

/// `a * b`.
#[inline(always)]
pub(super) fn mul(a: Unpacked, b: Unpacked, ctx: &mut Context) -> Option<F80> {
    if !applies(a, b, ctx) {
        return None;
    }
    let product = multiply(a.significand, b.significand);
    let (high, low) = ((product >> 64) as u64, product as u64);
    let long = high & TOP != 0;
    let (high, low) = if long { (high, low) } else { (high << 1 | low >> 63, low << 1) };
    round(a.negative != b.negative, a.exponent + b.exponent + i32::from(long), high, low, ctx)
}

/// A single or double of the same value, rounded to nearest.
#[inline(always)]
pub(super) fn store<B: Binary>(value: Unpacked, ctx: &mut Context) -> Option<B> {
    if value.class != Class::Normal || ctx.rounding != Rounding::Nearest {
        return None;
    }
    let (kept, low) = (value.significand >> (64 - B::PRECISION), value.significand << B::PRECISION);
    let up = rounds_up(kept, low);
    let field = value.exponent + B::MAX_EXPONENT;
    // The integer bit counts as one in the exponent field, and so does a carry.
    let magnitude = ((field - 1) as u64) << B::FRACTION_BITS;
    let magnitude = magnitude.wrapping_add(kept + u64::from(up));
    if !(1..B::EXPONENT_MASK as i32 - 1).contains(&field) {
        return None;
    }
    report(low, up, ctx);
    Some(B::from_bits(magnitude | if value.negative { B::SIGN } else { 0 }))
}

/// An integer, rounded to nearest or toward zero: of the numbers between 1 and 2^62.
#[inline(always)]
pub(super) fn to_integer(value: Unpacked, ctx: &mut Context) -> Option<i64> {
    let truncates = ctx.rounding == Rounding::Zero;
    if value.class != Class::Normal
        || !(0..62).contains(&value.exponent)
        || !(truncates || ctx.rounding == Rounding::Nearest)
    {
        return None;
    }
    let distance = 63 - value.exponent as u32;
    let (kept, low) = (value.significand >> distance, value.significand << (64 - distance));
    let up = !truncates && rounds_up(kept, low);
    report(low, up, ctx);
    let magnitude = (kept + u64::from(up)) as i64;
    Some(if value.negative { -magnitude } else { magnitude })
}

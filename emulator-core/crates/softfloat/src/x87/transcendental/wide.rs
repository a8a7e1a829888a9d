//! Arithmetic on 128-bit significands for the series.
//!
//! Floating values are [`Exact`]; fixed-point values ("Q127") are a `u128` with 127 fraction bits, in [0, 2).

use crate::round::Exact;
use crate::wide::{multiply, shift_right_sticky};

/// 1.0 in Q127.
pub(super) const ONE: u128 = 1 << 127;

/// The high 128 bits of the 256-bit product, and whether the low ones are all zero.
fn multiply_high(a: u128, b: u128) -> (u128, bool) {
    let halves = |x: u128| ((x >> 64) as u64, x as u64);
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    let low = multiply(a0, b0);
    let cross = multiply(a1, b0) + (low >> 64);
    let middle = multiply(a0, b1) + u128::from(cross as u64);
    let high = multiply(a1, b1) + (cross >> 64) + (middle >> 64);
    (high, low as u64 == 0 && middle as u64 == 0)
}

/// The Q127 product of Q127 factors whose product is below 2.
pub(super) fn fixed_mul(a: u128, b: u128) -> u128 {
    multiply_high(a, b).0 << 1
}

/// A magnitude below 2 as Q127; small ones lose low bits.
pub(super) fn to_fixed(value: Exact) -> u128 {
    if value.exponent < -127 { 0 } else { value.significand >> -value.exponent }
}

/// `1 - t c1 + t^2 c2 - ...` (or all plus) by Horner's rule, for `coefficients` c1, c2, ... and t in [0, 1).
/// The result is one unit low rather than exactly 1 when t vanishes: no series value is ever exact.
pub(super) fn series(t: u128, coefficients: &[u128], alternating: bool) -> u128 {
    let tail = coefficients.iter().rev().fold(0, |sum, &coefficient| {
        let next = fixed_mul(t, sum);
        if alternating { coefficient - next } else { coefficient + next }
    });
    let tail = fixed_mul(t, tail);
    if alternating { ONE - 1 - tail } else { ONE + 1 + tail }
}

pub(super) fn mul(a: Exact, b: Exact) -> Exact {
    let (high, exact) = multiply_high(a.significand, b.significand);
    let shift = high.leading_zeros();
    let significand = if shift == 0 { high } else { high << 1 };
    Exact {
        negative: a.negative != b.negative,
        exponent: a.exponent + b.exponent + 1 - shift as i32,
        significand: significand | u128::from(!exact),
    }
}

pub(super) fn add(a: Exact, b: Exact) -> Option<Exact> {
    let (large, small) = if (a.exponent, a.significand) >= (b.exponent, b.significand) { (a, b) } else { (b, a) };
    let distance = (large.exponent - small.exponent) as u32;
    if large.negative != small.negative {
        // Up to one bit of the result is lost below; far more precision is left than the destination has.
        let difference = large.significand - shift_right_sticky(small.significand, distance);
        return (difference != 0).then(|| Exact::normalised(large.negative, large.exponent, difference));
    }
    let sum = shift_right_sticky(large.significand, 1) + shift_right_sticky(small.significand, distance + 1);
    Some(Exact::normalised(large.negative, large.exponent + 1, sum))
}

pub(super) fn div(a: Exact, b: Exact) -> Exact {
    let below = a.significand < b.significand;
    let mut rest = if below { a.significand } else { a.significand - b.significand };
    let mut quotient = u128::from(!below);
    // Restoring division, one quotient bit a round; `rest` stays below the divisor.
    for _ in 0..if below { 128 } else { 127 } {
        let carry = rest >> 127 != 0;
        rest <<= 1;
        let fits = carry || rest >= b.significand;
        if fits {
            rest = rest.wrapping_sub(b.significand);
        }
        quotient = quotient << 1 | u128::from(fits);
    }
    Exact {
        negative: a.negative != b.negative,
        exponent: a.exponent - b.exponent - i32::from(below),
        significand: quotient | u128::from(rest != 0),
    }
}

/// An integer or fixed-point number as a floating one: `value / 2^fraction_bits`, `value` not zero.
pub(super) fn from_fixed(negative: bool, value: u128, fraction_bits: i32) -> Exact {
    Exact::normalised(negative, 127 - fraction_bits, value)
}

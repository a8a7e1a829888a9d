//! FPREM and FPREM1: exact remainders, at most 63 quotient bits an execution.

use super::{invalid, nan, raise_if_denormal, unchanged};
use crate::context::Context;
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::Unpacked;

/// How the quotient is made an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotient {
    /// Toward zero (FPREM).
    Truncated,
    /// To nearest, ties to even, as IEEE 754 asks (FPREM1).
    Nearest,
}

/// What one execution of FPREM or FPREM1 leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder {
    /// The remainder so far, in place of the dividend.
    pub value: F80,
    /// The lowest three bits of the quotient (0 while incomplete); `None` when the result is a NaN.
    pub quotient: Option<u8>,
    /// False when another execution has to continue the reduction (C2 set).
    pub complete: bool,
}

/// One reduction step of `a` by `b`.
pub fn remainder(a: F80, b: F80, rounding: Quotient, ctx: &mut Context) -> Remainder {
    let done = |value, quotient| Remainder { value, quotient, complete: true };
    let (dividend, divisor) = (Unpacked::from(a), Unpacked::from(b));
    if let Some(nan) = nan::binary(dividend, divisor, ctx) {
        return done(nan, None);
    }
    if dividend.is_infinite() || divisor.is_zero() {
        return done(invalid(ctx), None);
    }
    raise_if_denormal(dividend, ctx);
    raise_if_denormal(divisor, ctx);
    if dividend.is_zero() {
        return done(a, Some(0));
    }
    if divisor.is_infinite() {
        return done(unchanged(dividend), Some(0));
    }
    let difference = dividend.exponent - divisor.exponent;
    if difference < 64 { reduce_last(dividend, divisor, rounding, ctx) } else { reduce_part(dividend, divisor, ctx) }
}

/// The exponents are close: the quotient has at most 64 bits and the reduction ends here.
fn reduce_last(dividend: Unpacked, divisor: Unpacked, rounding: Quotient, ctx: &mut Context) -> Remainder {
    let difference = dividend.exponent - divisor.exponent;
    // One extra bit below, so that a dividend of half the divisor's exponent still has an integer numerator.
    let (numerator, denominator) = match difference {
        0.. => (u128::from(dividend.significand) << difference, u128::from(divisor.significand)),
        -1 => (u128::from(dividend.significand), u128::from(divisor.significand) << 1),
        _ => {
            let value = round(Exact::from(dividend), 64, Destination::Register, ctx);
            return Remainder { value, quotient: Some(0), complete: true };
        }
    };
    let (mut quotient, mut rest) = (numerator / denominator, numerator % denominator);
    let mut negative = dividend.negative;
    let past_half = rest > denominator - rest || (rest == denominator - rest && quotient & 1 != 0);
    if rounding == Quotient::Nearest && past_half {
        quotient += 1;
        rest = denominator - rest;
        negative = !negative;
    }
    let value = pack(negative, rest, divisor.exponent - i32::from(difference < 0), ctx);
    let value = if rest == 0 { F80::zero(dividend.negative) } else { value };
    Remainder { value, quotient: Some((quotient & 7) as u8), complete: true }
}

/// The exponents are far apart: takes off 32 to 63 quotient bits, as many as make the rest a multiple of 32.
fn reduce_part(dividend: Unpacked, divisor: Unpacked, ctx: &mut Context) -> Remainder {
    let difference = dividend.exponent - divisor.exponent;
    let bits = 32 + difference % 32;
    let rest = (u128::from(dividend.significand) << bits) % u128::from(divisor.significand);
    let value = pack(dividend.negative, rest, divisor.exponent + difference - bits, ctx);
    Remainder { value, quotient: Some(0), complete: false }
}

/// `rest / 2^63 * 2^exponent`; remainders are exact, but may be tiny.
fn pack(negative: bool, rest: u128, exponent: i32, ctx: &mut Context) -> F80 {
    if rest == 0 {
        return F80::zero(negative);
    }
    round(Exact::normalised(negative, exponent + 64, rest), 64, Destination::Register, ctx)
}

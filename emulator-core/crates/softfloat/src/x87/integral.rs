//! FRNDINT, FSCALE, FXTRACT.

use super::{deliver, invalid, nan, raise_if_denormal, unchanged};
use crate::arith::{self, Outcome};
use crate::context::{Context, Flags, Rounding};
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::Unpacked;

/// Rounds to an integer in floating-point format (FRNDINT).
pub fn round_to_integral(value: F80, ctx: &mut Context) -> F80 {
    let operand = Unpacked::from(value);
    if let Some(nan) = nan::unary(operand, ctx) {
        return nan;
    }
    raise_if_denormal(operand, ctx);
    if operand.exponent >= 63 || !operand.is_finite_nonzero() {
        return value;
    }
    let Some(integer) = arith::to_integer(operand, ctx.rounding) else { return value };
    if integer.inexact {
        ctx.raise(Flags::PRECISION);
    }
    ctx.rounded_up = integer.up;
    // Below 2^63 the rounded magnitude fits; only the bit pattern of 2^63 itself reads as negative.
    let rounded = F80::from(integer.magnitude as i64).magnitude();
    if operand.negative { rounded.negated() } else { rounded }
}

/// `a * 2^truncate(b)` (FSCALE, SDM volume 2, table 3-32).
pub fn scale(a: F80, b: F80, ctx: &mut Context) -> F80 {
    let (a, b) = (Unpacked::from(a), Unpacked::from(b));
    if let Some(nan) = nan::binary(a, b, ctx) {
        return nan;
    }
    if b.is_infinite() {
        let against = if b.negative { a.is_infinite() } else { a.is_zero() };
        if against {
            return invalid(ctx);
        }
        raise_if_denormal(a, ctx);
        return if b.negative { F80::zero(a.negative) } else { F80::infinity(a.negative) };
    }
    raise_if_denormal(a, ctx);
    raise_if_denormal(b, ctx);
    if a.is_zero() {
        return F80::zero(a.negative);
    }
    if a.is_infinite() {
        return F80::infinity(a.negative);
    }
    // Scaling by zero raises no underflow even where it is unmasked, though scaling by a number that is truncated to zero does.
    if b.is_zero() {
        return unchanged(a);
    }
    // Anything beyond this leaves the exponent range from either end.
    const BEYOND: i32 = 1 << 17;
    let magnitude = match arith::to_integer(b, Rounding::Zero) {
        Some(integer) if integer.magnitude < BEYOND as u128 => integer.magnitude as i32,
        _ => BEYOND,
    };
    let distance = if b.negative { -magnitude } else { magnitude };
    round(Exact::from(Unpacked { exponent: a.exponent + distance, ..a }), 64, Destination::Register, ctx)
}

/// Splits into exponent and significand (FXTRACT): `(exponent as a number, significand in [1, 2))`.
pub fn extract(value: F80, ctx: &mut Context) -> (F80, F80) {
    let operand = Unpacked::from(value);
    if let Some(nan) = nan::unary(operand, ctx) {
        return (nan, nan);
    }
    if operand.is_zero() {
        return (deliver(Outcome::DivideByZero { negative: true }, false, 64, ctx), value);
    }
    if operand.is_infinite() {
        return (F80::infinity(false), value);
    }
    raise_if_denormal(operand, ctx);
    let one = if operand.negative { F80::ONE.negated() } else { F80::ONE };
    (F80::from(i64::from(operand.exponent)), F80::new(one.sign_exponent, operand.significand))
}

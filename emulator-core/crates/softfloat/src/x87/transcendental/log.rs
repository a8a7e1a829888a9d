//! FYL2X and FYL2XP1.

use super::wide::{self, ONE};
use crate::arith::Outcome;
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::Unpacked;
use crate::x87::constants::LOG2_OF_E;
use crate::x87::{deliver, invalid, nan, raise_if_denormal};

const TERMS: usize = 22;

/// 1/3, 1/5, 1/7, ... in Q127.
const ODD_RECIPROCALS: [u128; TERMS] = {
    let mut terms = [0; TERMS];
    let mut i = 0;
    while i < TERMS {
        terms[i] = ONE / (2 * i as u128 + 3);
        i += 1;
    }
    terms
};

/// The significand of sqrt(2).
const SQRT_2: u128 = 0xB504F333_F9DE6484_597D89B3_754ABE9F;

/// 2 log2(e) atanh(numerator / denominator), the ratio at most 0.18 in magnitude: the logarithm of
/// `(denominator + numerator) / (denominator - numerator)`.
fn log2_from_ratio(numerator: Exact, denominator: Exact) -> Exact {
    let ratio = wide::div(numerator, denominator);
    let square = wide::to_fixed(wide::mul(ratio, ratio));
    let series = wide::from_fixed(false, wide::series(square, &ODD_RECIPROCALS, false), 127);
    let factor = Exact { negative: false, exponent: 1, significand: LOG2_OF_E };
    wide::mul(wide::mul(ratio, series), factor)
}

/// log2 of a positive number; `None` is zero. Powers of two come out exact.
fn log2(x: Exact) -> Option<Exact> {
    // x = m 2^k with m in [sqrt(1/2), sqrt(2)]; m - 1 and m + 1 with 126 fraction bits.
    let above = x.significand > SQRT_2;
    let k = x.exponent + i32::from(above);
    let m = if above { x.significand >> 2 } else { x.significand >> 1 };
    let one = ONE >> 1;
    let whole = (k != 0).then(|| wide::from_fixed(k < 0, u128::from(k.unsigned_abs()), 0));
    if m == one {
        return whole;
    }
    let fraction =
        log2_from_ratio(wide::from_fixed(m < one, m.abs_diff(one), 126), wide::from_fixed(false, m + one, 126));
    let fraction = Exact { significand: fraction.significand | 1, ..fraction };
    match whole {
        None => Some(fraction),
        Some(whole) => wide::add(whole, fraction),
    }
}

/// `y` times a logarithm, where the logarithm is finite.
fn times(y: Unpacked, logarithm: Option<Exact>, sign_of_zero: bool, ctx: &mut Context) -> F80 {
    match logarithm {
        None if y.is_infinite() => invalid(ctx),
        None => F80::zero(y.negative != sign_of_zero),
        Some(log) if y.is_infinite() => F80::infinity(y.negative != log.negative),
        Some(log) if y.is_zero() => F80::zero(y.negative != log.negative),
        Some(log) => {
            // Processors call every result inexact, those that are not included.
            ctx.raise(Flags::PRECISION);
            round(wide::mul(log, y.into()), 64, Destination::Register, ctx)
        }
    }
}

/// `y * log2(x)` (FYL2X with `y` in ST(1) and `x` in ST(0); SDM volume 2, FYL2X table).
pub fn y_log2_x(y: F80, x: F80, ctx: &mut Context) -> F80 {
    let (y, x) = (Unpacked::from(y), Unpacked::from(x));
    if let Some(nan) = nan::binary(y, x, ctx) {
        return nan;
    }
    if x.is_zero() {
        return logarithm_of_zero(y, ctx);
    }
    if x.negative || (x.is_infinite() && y.is_zero()) {
        return invalid(ctx);
    }
    let logarithm = if x.is_infinite() { None } else { log2(x.into()) };
    if logarithm.is_none() && y.is_infinite() && !x.is_infinite() {
        return invalid(ctx);
    }
    raise_if_denormal(y, ctx);
    raise_if_denormal(x, ctx);
    if x.is_infinite() { F80::infinity(y.negative) } else { times(y, logarithm, false, ctx) }
}

/// The logarithm is minus infinity.
fn logarithm_of_zero(y: Unpacked, ctx: &mut Context) -> F80 {
    if y.is_zero() {
        return invalid(ctx);
    }
    if y.is_infinite() {
        return F80::infinity(!y.negative);
    }
    deliver(Outcome::DivideByZero { negative: !y.negative }, y.is_denormal(), 64, ctx)
}

/// `y * log2(x + 1)` (FYL2XP1), exact in spirit also for tiny x. The manual defines it for |x| below 1 - sqrt(1/2); beyond, this goes
/// on with the logarithm's definition.
pub fn y_log2_x_plus_1(y: F80, x: F80, ctx: &mut Context) -> F80 {
    let (y, x) = (Unpacked::from(y), Unpacked::from(x));
    if let Some(nan) = nan::binary(y, x, ctx) {
        return nan;
    }
    if x.is_zero() {
        raise_if_denormal(y, ctx);
        return times(y, None, x.negative, ctx);
    }
    if x.is_infinite() {
        return if x.negative || y.is_zero() { invalid(ctx) } else { F80::infinity(y.negative) };
    }
    let one = Exact { negative: false, exponent: 0, significand: ONE };
    if x.negative && x.exponent >= 0 {
        let minus_one = x.exponent == 0 && x.significand == 1 << 63;
        return if minus_one { logarithm_of_zero(y, ctx) } else { invalid(ctx) };
    }
    raise_if_denormal(y, ctx);
    raise_if_denormal(x, ctx);
    let value = Exact::from(x);
    let logarithm = if x.exponent < -2 {
        let two = Exact { exponent: 1, ..one };
        let log = log2_from_ratio(value, wide::add(two, value).unwrap_or(two));
        Some(Exact { significand: log.significand | 1, ..log })
    } else {
        wide::add(one, value).and_then(log2)
    };
    times(y, logarithm, x.negative, ctx)
}

//! Arithmetic on operands that are not NaNs, the same for all formats: what the exact result is, before rounding.

use crate::context::Rounding;
use crate::round::Exact;
use crate::unpacked::Unpacked;
use crate::wide::{divide, join, multiply, shift_right_sticky, square_root};

/// The result of an operation before it is fitted into a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Finite(Exact),
    Zero {
        negative: bool,
    },
    Infinity {
        negative: bool,
    },
    /// The operation has no result: the masked response is the default NaN.
    Invalid,
    /// A finite number was divided by zero.
    DivideByZero {
        negative: bool,
    },
}

/// `a + b`. The rounding mode decides the sign of an exact zero.
#[inline(always)]
pub(crate) fn add(a: Unpacked, b: Unpacked, rounding: Rounding) -> Outcome {
    if a.is_infinite() || b.is_infinite() {
        return match (a.is_infinite(), b.is_infinite()) {
            (true, true) if a.negative != b.negative => Outcome::Invalid,
            (true, _) => Outcome::Infinity { negative: a.negative },
            _ => Outcome::Infinity { negative: b.negative },
        };
    }
    match (a.is_zero(), b.is_zero()) {
        (true, true) => {
            let negative = if a.negative == b.negative { a.negative } else { rounding == Rounding::Down };
            Outcome::Zero { negative }
        }
        (true, false) => Outcome::Finite(b.into()),
        (false, true) => Outcome::Finite(a.into()),
        (false, false) => add_finite(a, b, rounding),
    }
}

#[inline(always)]
fn add_finite(a: Unpacked, b: Unpacked, rounding: Rounding) -> Outcome {
    let (large, small) = if (a.exponent, a.significand) >= (b.exponent, b.significand) { (a, b) } else { (b, a) };
    // One bit of headroom for the carry leaves 63 bits below the unit in the last place, enough for a sticky bit even
    // after the one-bit cancellation that a shift by more than one place allows.
    let wide = |x: Unpacked| join(x.significand >> 1, x.significand << 63);
    let aligned = shift_right_sticky(wide(small), (large.exponent - small.exponent) as u32);
    let sum = if large.negative == small.negative { wide(large) + aligned } else { wide(large) - aligned };
    if sum == 0 {
        return Outcome::Zero { negative: rounding == Rounding::Down };
    }
    Outcome::Finite(Exact::normalised(large.negative, large.exponent + 1, sum))
}

/// `a * b`.
#[inline(always)]
pub(crate) fn mul(a: Unpacked, b: Unpacked) -> Outcome {
    let negative = a.negative != b.negative;
    if a.is_infinite() || b.is_infinite() {
        return if a.is_zero() || b.is_zero() { Outcome::Invalid } else { Outcome::Infinity { negative } };
    }
    if a.is_zero() || b.is_zero() {
        return Outcome::Zero { negative };
    }
    let product = multiply(a.significand, b.significand);
    Outcome::Finite(Exact::normalised(negative, a.exponent + b.exponent + 1, product))
}

/// `a * b + c`, exactly. Significands are those of single and double precision: the lowest bits of a product are clear.
pub(crate) fn mul_add(a: Unpacked, b: Unpacked, c: Unpacked, rounding: Rounding) -> Outcome {
    let product = match mul(a, b) {
        Outcome::Finite(product) => product,
        Outcome::Infinity { negative } => {
            let opposite = c.is_infinite() && c.negative != negative;
            return if opposite { Outcome::Invalid } else { Outcome::Infinity { negative } };
        }
        Outcome::Zero { negative } => return add(Unpacked::zero(negative), c, rounding),
        other => return other,
    };
    if c.is_infinite() {
        return Outcome::Infinity { negative: c.negative };
    }
    if c.is_zero() {
        return Outcome::Finite(product);
    }
    add_exact(product, c.into(), rounding)
}

/// As [`add_finite`], of significands whose lowest bit is clear.
fn add_exact(a: Exact, b: Exact, rounding: Rounding) -> Outcome {
    let (large, small) = if (a.exponent, a.significand) >= (b.exponent, b.significand) { (a, b) } else { (b, a) };
    let aligned = shift_right_sticky(small.significand >> 1, (large.exponent - small.exponent) as u32);
    let wide = large.significand >> 1;
    let sum = if large.negative == small.negative { wide + aligned } else { wide - aligned };
    if sum == 0 {
        return Outcome::Zero { negative: rounding == Rounding::Down };
    }
    Outcome::Finite(Exact::normalised(large.negative, large.exponent + 1, sum))
}

/// `a / b`.
#[inline(always)]
pub(crate) fn div(a: Unpacked, b: Unpacked) -> Outcome {
    let negative = a.negative != b.negative;
    if a.is_infinite() {
        return if b.is_infinite() { Outcome::Invalid } else { Outcome::Infinity { negative } };
    }
    if b.is_infinite() {
        return Outcome::Zero { negative };
    }
    if b.is_zero() {
        return if a.is_zero() { Outcome::Invalid } else { Outcome::DivideByZero { negative } };
    }
    if a.is_zero() {
        return Outcome::Zero { negative };
    }
    // Halving a dividend not smaller than the divisor keeps the quotient below 2^64 and its top bit set.
    let halve = a.significand >= b.significand;
    let (high, low) = if halve { (a.significand >> 1, a.significand << 63) } else { (a.significand, 0) };
    let (quotient, remainder) = divide(high, low, b.significand);
    let exponent = a.exponent - b.exponent - i32::from(!halve);
    let significand = join(quotient, below_quotient(remainder, b.significand));
    Outcome::Finite(Exact { negative, exponent, significand })
}

/// What a remainder says about the bits below an integer quotient: the next bit and the sticky bit.
pub(crate) fn below_quotient(remainder: u64, divisor: u64) -> u64 {
    let next_bit = remainder >= divisor - remainder;
    let below = remainder != 0 && remainder != divisor - remainder;
    u64::from(next_bit) << 63 | u64::from(below)
}

/// The square root of `a`.
pub(crate) fn sqrt(a: Unpacked) -> Outcome {
    if a.is_zero() {
        return Outcome::Zero { negative: a.negative };
    }
    if a.negative {
        return Outcome::Invalid;
    }
    if a.is_infinite() {
        return Outcome::Infinity { negative: false };
    }
    // An even exponent is halved exactly; the radicand then lies in [2^126, 2^128) and its root in [2^63, 2^64).
    let odd = a.exponent & 1;
    let radicand = if odd == 0 { join(a.significand >> 1, a.significand << 63) } else { join(a.significand, 0) };
    let (root, remainder) = square_root(radicand);
    // (root + 1/2)^2 = root^2 + root + 1/4 is never an integer, so a tie cannot occur.
    let next_bit = remainder > u128::from(root);
    let significand = join(root, u64::from(next_bit) << 63 | u64::from(remainder != 0));
    Outcome::Finite(Exact { negative: false, exponent: (a.exponent - odd) / 2, significand })
}

/// Rounds to an integer: the magnitude (at most 2^64), or `None` when it needs more bits; whether that was inexact and
/// away from zero.
pub(crate) fn to_integer(a: Unpacked, rounding: Rounding) -> Option<Integer> {
    if a.is_zero() {
        return Some(Integer { magnitude: 0, inexact: false, up: false });
    }
    if !a.is_finite_nonzero() || a.exponent > 63 {
        return None;
    }
    let fixed = shift_right_sticky(join(a.significand, 0), (63 - a.exponent) as u32);
    let step = crate::round::Step::take(fixed, 64, a.negative, rounding);
    let magnitude = if step.carried { 1 << 64 } else { u128::from(step.significand) };
    Some(Integer { magnitude, inexact: step.inexact, up: step.up })
}

/// The magnitude of a number rounded to an integer.
#[derive(Clone, Copy)]
pub(crate) struct Integer {
    pub magnitude: u128,
    pub inexact: bool,
    pub up: bool,
}

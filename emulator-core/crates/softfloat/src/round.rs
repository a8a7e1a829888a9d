//! Fitting a computed value into a format: rounding, overflow and underflow as the x86 processors define them
//! (SDM volume 1, sections 4.9.1.4 to 4.9.1.6).

use crate::context::{Context, Flags, Rounding};
use crate::unpacked::Unpacked;
use crate::wide::{join, shift_left, shift_right_sticky};

/// A finite non-zero result before rounding: `significand / 2^127 * 2^exponent`. Bit 127 is set; bit 0 is sticky, that
/// is, it also stands for anything not zero below it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    pub negative: bool,
    pub exponent: i32,
    pub significand: u128,
}

impl Exact {
    /// From a non-zero significand that may have leading zeros.
    #[inline(always)]
    pub fn normalised(negative: bool, exponent: i32, significand: u128) -> Self {
        let shift = significand.leading_zeros();
        Exact { negative, exponent: exponent - shift as i32, significand: shift_left(significand, shift) }
    }
}

impl From<Unpacked> for Exact {
    fn from(value: Unpacked) -> Self {
        Exact { negative: value.negative, exponent: value.exponent, significand: join(value.significand, 0) }
    }
}

/// A rounded value ready for packing: `significand / 2^63 * 2^exponent`. The top bit is clear only for denormal results,
/// whose exponent is the format's lowest.
#[derive(Clone, Copy, Debug)]
pub struct Rounded {
    pub(crate) negative: bool,
    pub(crate) exponent: i32,
    pub(crate) significand: u64,
}

/// A destination format.
pub trait Format: Sized {
    /// Significand bits, the leading one included.
    const PRECISION: u32;
    /// The exponent of the largest finite number, which is also the bias.
    const MAX_EXPONENT: i32;
    /// The default NaN.
    const INDEFINITE: Self;

    /// Encodes a rounded number that is in range.
    fn pack_finite(value: Rounded) -> Self;
    /// Encodes zero.
    fn pack_zero(negative: bool) -> Self;
    /// Encodes infinity.
    fn pack_infinity(negative: bool) -> Self;
    /// Encodes a quiet NaN with the payload of `nan`, as much as fits.
    fn pack_quieted(nan: Unpacked) -> Self;
}

/// Where a result goes, which decides what an unmasked overflow or underflow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// An x87 register: the exponent is brought into range by 24576 and the result delivered.
    Register,
    /// Memory, from the x87: nothing is stored, and whether it would have been inexact is not reported.
    Memory,
    /// An SSE register: nothing is delivered.
    Lane,
}

const EXPONENT_ADJUSTMENT: i32 = 24576;

/// Rounds `value` to `precision` bits and encodes it, raising overflow, underflow and precision.
#[inline(always)]
pub(crate) fn round<F: Format>(value: Exact, precision: u32, destination: Destination, ctx: &mut Context) -> F {
    let step = Step::take(value.significand, precision, value.negative, ctx.rounding);
    let exponent = value.exponent + i32::from(step.carried);
    if exponent > F::MAX_EXPONENT {
        return overflow(
            value,
            Rounded { negative: value.negative, exponent, significand: step.significand },
            step,
            precision,
            destination,
            ctx,
        );
    }
    if exponent < 1 - F::MAX_EXPONENT {
        return underflow(value, exponent, step, precision, destination, ctx);
    }
    step.report(ctx);
    F::pack_finite(Rounded { negative: value.negative, exponent, significand: step.significand })
}

#[cold]
fn overflow<F: Format>(
    value: Exact,
    rounded: Rounded,
    step: Step,
    precision: u32,
    destination: Destination,
    ctx: &mut Context,
) -> F {
    ctx.raise(Flags::OVERFLOW);
    let negative = value.negative;
    if !ctx.is_masked(Flags::OVERFLOW) {
        let exponent = rounded.exponent - EXPONENT_ADJUSTMENT;
        if destination != Destination::Register {
            return dropped(negative, step, destination, ctx);
        }
        if exponent <= F::MAX_EXPONENT {
            step.report(ctx);
            return F::pack_finite(Rounded { exponent, ..rounded });
        }
        // FSCALE can overshoot even the adjusted range; the processor then gives infinity.
        Step { inexact: true, up: true, ..step }.report(ctx);
        return F::pack_infinity(negative);
    }
    ctx.raise(Flags::PRECISION);
    let to_infinity = match ctx.rounding {
        Rounding::Nearest => true,
        Rounding::Down => negative,
        Rounding::Up => !negative,
        Rounding::Zero => false,
    };
    ctx.rounded_up = to_infinity;
    if to_infinity {
        return F::pack_infinity(negative);
    }
    let significand = u64::MAX << (64 - precision);
    F::pack_finite(Rounded { negative, exponent: F::MAX_EXPONENT, significand })
}

#[cold]
fn underflow<F: Format>(
    value: Exact,
    exponent: i32,
    unbounded: Step,
    precision: u32,
    destination: Destination,
    ctx: &mut Context,
) -> F {
    let negative = value.negative;
    let lowest = 1 - F::MAX_EXPONENT;
    if !ctx.is_masked(Flags::UNDERFLOW) {
        ctx.raise(Flags::UNDERFLOW);
        if destination != Destination::Register {
            return dropped(negative, unbounded, destination, ctx);
        }
        let exponent = exponent + EXPONENT_ADJUSTMENT;
        if exponent >= lowest {
            unbounded.report(ctx);
            return F::pack_finite(Rounded { negative, exponent, significand: unbounded.significand });
        }
        Step { inexact: true, up: false, ..unbounded }.report(ctx);
        return F::pack_zero(negative);
    }
    if ctx.flush_to_zero {
        ctx.raise(Flags::UNDERFLOW | Flags::PRECISION);
        return F::pack_zero(negative);
    }
    let shifted = shift_right_sticky(value.significand, (lowest - value.exponent) as u32);
    let step = Step::take(shifted, precision, negative, ctx.rounding);
    if step.inexact {
        ctx.raise(Flags::UNDERFLOW);
    }
    step.report(ctx);
    if step.significand == 0 {
        return F::pack_zero(negative);
    }
    F::pack_finite(Rounded { negative, exponent: lowest, significand: step.significand })
}

/// A result nobody gets to see, because its unmasked exception keeps it back.
fn dropped<F: Format>(negative: bool, step: Step, destination: Destination, ctx: &mut Context) -> F {
    if destination == Destination::Lane {
        step.report(ctx);
    }
    F::pack_zero(negative)
}

/// One rounding of a 128-bit significand.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The kept bits, left-aligned.
    pub significand: u64,
    /// The increment carried out of the top; the significand is then a single top bit of the next exponent.
    pub carried: bool,
    pub inexact: bool,
    pub up: bool,
}

impl Step {
    /// Keeps the top `precision` bits (1 to 64) of `significand`.
    #[inline(always)]
    pub fn take(significand: u128, precision: u32, negative: bool, rounding: Rounding) -> Step {
        let (high, low) = ((significand >> 64) as u64, significand as u64);
        let unit = 1u64 << (64 - precision);
        let rest = (high & (unit - 1), low);
        let half = if unit == 1 { (0, 1 << 63) } else { (unit >> 1, 0) };
        let inexact = rest != (0, 0);
        let up = match rounding {
            Rounding::Nearest => rest > half || (rest == half && high & unit != 0),
            Rounding::Down => negative && inexact,
            Rounding::Up => !negative && inexact,
            Rounding::Zero => false,
        };
        let kept = high & !(unit - 1);
        let (sum, carried) = kept.overflowing_add(if up { unit } else { 0 });
        Step { significand: if carried { 1 << 63 } else { sum }, carried, inexact, up }
    }

    #[inline(always)]
    pub fn report(self, ctx: &mut Context) {
        if self.inexact {
            ctx.raise(Flags::PRECISION);
        }
        ctx.rounded_up = self.up;
    }
}

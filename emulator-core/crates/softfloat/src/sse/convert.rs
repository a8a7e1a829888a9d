//! CVT* and ROUND*.

use super::{deliver, quiet_nan, unpack};
use crate::arith::{self, Outcome};
use crate::binary::Binary;
use crate::context::{Context, Flags};
use crate::round::{Destination, Exact, round};
use crate::unpacked::Unpacked;

/// Between single and double (CVTSS2SD, CVTSD2SS and their packed forms).
pub fn resize<From: Binary, To: Binary>(value: From, ctx: &mut Context) -> To {
    let operand = unpack(value, ctx);
    if let Some(nan) = quiet_nan(operand, ctx) {
        return nan;
    }
    let outcome = if operand.is_zero() {
        Outcome::Zero { negative: operand.negative }
    } else if operand.is_infinite() {
        Outcome::Infinity { negative: operand.negative }
    } else {
        Outcome::Finite(operand.into())
    };
    deliver(outcome, operand.is_denormal(), ctx)
}

/// From a 64-bit integer (CVTSI2SS, CVTSI2SD with a 64-bit source).
pub fn from_i64<B: Binary>(value: i64, ctx: &mut Context) -> B {
    if value == 0 {
        return B::pack_zero(false);
    }
    round(Exact::from(Unpacked::from_integer(value)), B::PRECISION, Destination::Lane, ctx)
}

/// From a 32-bit integer (CVTSI2SS, CVTSI2SD, CVTDQ2PS, CVTDQ2PD).
pub fn from_i32<B: Binary>(value: i32, ctx: &mut Context) -> B {
    from_i64(i64::from(value), ctx)
}

/// To a 32-bit integer; what does not fit becomes `i32::MIN`. The CVTT forms set the context's rounding toward zero.
pub fn to_i32<B: Binary>(value: B, ctx: &mut Context) -> i32 {
    to_integer(value, 32, ctx) as i32
}

/// To a 64-bit integer; what does not fit becomes `i64::MIN`. The CVTT forms set the context's rounding toward zero.
pub fn to_i64<B: Binary>(value: B, ctx: &mut Context) -> i64 {
    to_integer(value, 64, ctx)
}

fn to_integer<B: Binary>(value: B, bits: u32, ctx: &mut Context) -> i64 {
    let operand = unpack(value, ctx);
    let limit = (1u128 << (bits - 1)) - u128::from(!operand.negative);
    match arith::to_integer(operand, ctx.rounding) {
        Some(integer) if integer.magnitude <= limit => {
            if integer.inexact {
                ctx.raise(Flags::PRECISION);
            }
            let magnitude = integer.magnitude as i64;
            if operand.negative { magnitude.wrapping_neg() } else { magnitude }
        }
        _ => {
            ctx.raise(Flags::INVALID);
            i64::MIN >> (64 - bits)
        }
    }
}

/// Rounds to an integer in floating-point format (ROUNDPS and its family), in the context's rounding mode.
/// `report_inexact` is the inverse of the immediate's bit 3. Denormals do not raise #D here (SDM volume 2, ROUNDPD).
pub fn round_to_integral<B: Binary>(value: B, report_inexact: bool, ctx: &mut Context) -> B {
    let operand = unpack(value, ctx);
    if let Some(nan) = quiet_nan(operand, ctx) {
        return nan;
    }
    if operand.is_zero() {
        return B::pack_zero(operand.negative);
    }
    if operand.is_infinite() || operand.exponent >= B::FRACTION_BITS as i32 {
        return value;
    }
    let Some(integer) = arith::to_integer(operand, ctx.rounding) else { return value };
    if integer.inexact && report_inexact {
        ctx.raise(Flags::PRECISION);
    }
    if integer.magnitude == 0 {
        return B::pack_zero(operand.negative);
    }
    // An integer of at most PRECISION bits: rounding it to the format changes nothing and raises nothing.
    let exact = Exact::normalised(operand.negative, 127, integer.magnitude);
    round(exact, B::PRECISION, Destination::Lane, ctx)
}

//! Operations on single and double precision as SSE does them (SDM volume 1, chapters 10 and 11; flags: section 11.5).
//!
//! All functions are generic over [`Binary`], so one lane loop serves PS and PD forms. A packed instruction runs all its lanes
//! with one [`Context`] and looks at [`Context::unmasked`] afterwards.

mod compare;
mod convert;
mod fast;
mod fused;
mod half;

pub use compare::{compare, max, min};
pub use convert::{from_i32, from_i64, resize, round_to_integral, to_i32, to_i64};
pub use fused::fused;
pub use half::{F16, from_half, to_half};

use crate::arith::{self, Outcome};
use crate::binary::Binary;
use crate::context::{Context, Flags};
use crate::round::{Destination, Format, round};
use crate::unpacked::{Class, Unpacked};

/// `a + b`.
pub fn add<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    if let Some(sum) = fast::add(a, b, ctx) {
        return sum;
    }
    let rounding = ctx.rounding;
    binary(a, b, ctx, |a, b| arith::add(a, b, rounding))
}

/// `a - b`.
pub fn sub<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    if let Some(difference) = fast::add(a, b.negated(), ctx) {
        return difference;
    }
    let rounding = ctx.rounding;
    binary(a, b, ctx, |a, b| arith::add(a, b.negated(), rounding))
}

/// `a * b`.
pub fn mul<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    match fast::mul(a, b, ctx) {
        Some(product) => product,
        None => binary(a, b, ctx, arith::mul),
    }
}

/// `a / b`.
pub fn div<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    match fast::div(a, b, ctx) {
        Some(quotient) => quotient,
        None => binary(a, b, ctx, arith::div),
    }
}

/// The square root of `a`.
pub fn sqrt<B: Binary>(a: B, ctx: &mut Context) -> B {
    if let Some(root) = fast::sqrt(a, ctx) {
        return root;
    }
    let operand = unpack(a, ctx);
    match quiet_nan(operand, ctx) {
        Some(nan) => nan,
        None => deliver(arith::sqrt(operand), operand.is_denormal(), ctx),
    }
}

fn binary<B: Binary>(a: B, b: B, ctx: &mut Context, operation: impl FnOnce(Unpacked, Unpacked) -> Outcome) -> B {
    let (a, b) = (unpack(a, ctx), unpack(b, ctx));
    if a.is_nan() || b.is_nan() {
        // The first operand's NaN wins, whichever of them signals (SDM volume 1, table 4-7).
        if a.class == Class::SignalingNan || b.class == Class::SignalingNan {
            ctx.raise(Flags::INVALID);
        }
        return B::pack_quieted(if a.is_nan() { a } else { b });
    }
    deliver(operation(a, b), a.is_denormal() || b.is_denormal(), ctx)
}

/// Unpacks an operand; with DAZ a denormal is a zero of its sign.
fn unpack<B: Binary>(value: B, ctx: &Context) -> Unpacked {
    let unpacked: Unpacked = value.into();
    if ctx.denormals_are_zero && unpacked.is_denormal() { Unpacked::zero(unpacked.negative) } else { unpacked }
}

/// The result of a one-operand operation on a NaN.
fn quiet_nan<B: Format>(operand: Unpacked, ctx: &mut Context) -> Option<B> {
    if operand.class == Class::SignalingNan {
        ctx.raise(Flags::INVALID);
    }
    operand.is_nan().then(|| B::pack_quieted(operand))
}

fn deliver<B: Format>(outcome: Outcome, denormal_operand: bool, ctx: &mut Context) -> B {
    let flags = match outcome {
        Outcome::Invalid => Flags::INVALID,
        Outcome::DivideByZero { .. } => Flags::ZERO_DIVIDE,
        _ if denormal_operand => Flags::DENORMAL,
        _ => Flags::empty(),
    };
    ctx.raise(flags);
    match outcome {
        Outcome::Finite(value) => round(value, B::PRECISION, Destination::Lane, ctx),
        Outcome::Zero { negative } => B::pack_zero(negative),
        Outcome::Infinity { negative } | Outcome::DivideByZero { negative } => B::pack_infinity(negative),
        Outcome::Invalid => B::INDEFINITE,
    }
}

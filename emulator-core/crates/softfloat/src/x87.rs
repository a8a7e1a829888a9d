//! Operations on the x87 register format (SDM volume 1, chapter 8).
//!
//! Operands are anything that unpacks: [`F80`], [`crate::F32`] and [`crate::F64`] memory operands, and integers. That keeps what
//! a memory operand is (a denormal single is a normal extended number, yet raises #D; a signaling NaN stays signaling).

mod bcd;
mod compare;
mod constants;
mod convert;
mod integral;
mod nan;
pub mod nearest;
mod remainder;
mod transcendental;

pub use bcd::{load_bcd, store_bcd};
pub use compare::compare;
pub use constants::{Constant, constant};
pub use convert::{load, store, store_i16, store_i32, store_i64};
pub use integral::{extract, round_to_integral, scale};
pub use remainder::{Quotient, Remainder, remainder};
pub use transcendental::{atan2, cos, exp2_minus_1, sin, sin_cos, tan, y_log2_x, y_log2_x_plus_1};

use crate::arith::{self, Outcome};
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::{Class, Unpacked};

/// `a + b`.
pub fn add(a: impl Into<Unpacked>, b: impl Into<Unpacked>, ctx: &mut Context) -> F80 {
    let rounding = ctx.rounding;
    binary(a.into(), b.into(), ctx, |a, b| arith::add(a, b, rounding))
}

/// `a - b`.
pub fn sub(a: impl Into<Unpacked>, b: impl Into<Unpacked>, ctx: &mut Context) -> F80 {
    let rounding = ctx.rounding;
    binary(a.into(), b.into(), ctx, |a, b| arith::add(a, b.negated(), rounding))
}

/// `a * b`.
pub fn mul(a: impl Into<Unpacked>, b: impl Into<Unpacked>, ctx: &mut Context) -> F80 {
    binary(a.into(), b.into(), ctx, arith::mul)
}

/// `a / b`.
pub fn div(a: impl Into<Unpacked>, b: impl Into<Unpacked>, ctx: &mut Context) -> F80 {
    binary(a.into(), b.into(), ctx, arith::div)
}

/// The square root of `a`.
pub fn sqrt(a: F80, ctx: &mut Context) -> F80 {
    let a = Unpacked::from(a);
    if let Some(nan) = nan::unary(a, ctx) {
        return nan;
    }
    let precision = ctx.precision.bits();
    deliver(arith::sqrt(a), a.is_denormal(), precision, ctx)
}

#[inline(always)]
fn binary(a: Unpacked, b: Unpacked, ctx: &mut Context, operation: impl FnOnce(Unpacked, Unpacked) -> Outcome) -> F80 {
    let precision = ctx.precision.bits();
    if a.class == Class::Normal && b.class == Class::Normal {
        return match operation(a, b) {
            Outcome::Finite(value) => round(value, precision, Destination::Register, ctx),
            outcome => deliver(outcome, false, precision, ctx),
        };
    }
    match nan::binary(a, b, ctx) {
        Some(nan) => nan,
        None => deliver(operation(a, b), a.is_denormal() || b.is_denormal(), precision, ctx),
    }
}

/// Encodes an outcome, raising what it and the operands call for.
#[inline(never)]
fn deliver(outcome: Outcome, denormal_operand: bool, precision: u32, ctx: &mut Context) -> F80 {
    let flags = match outcome {
        Outcome::Invalid => Flags::INVALID,
        Outcome::DivideByZero { .. } => Flags::ZERO_DIVIDE,
        _ if denormal_operand => Flags::DENORMAL,
        _ => Flags::empty(),
    };
    ctx.raise(flags);
    match outcome {
        Outcome::Finite(value) => round(value, precision, Destination::Register, ctx),
        Outcome::Zero { negative } => F80::zero(negative),
        Outcome::Infinity { negative } | Outcome::DivideByZero { negative } => F80::infinity(negative),
        Outcome::Invalid => F80::INDEFINITE,
    }
}

/// The masked response to an invalid operation.
fn invalid(ctx: &mut Context) -> F80 {
    ctx.raise(Flags::INVALID);
    F80::INDEFINITE
}

/// The number itself, in its usual encoding: an operand that comes back raises no underflow, even an unmasked one.
fn unchanged(operand: Unpacked) -> F80 {
    let mut masked = Context::x87(0x37f);
    round(Exact::from(operand), 64, Destination::Register, &mut masked)
}

fn raise_if_denormal(operand: Unpacked, ctx: &mut Context) {
    if operand.class == Class::Denormal {
        ctx.raise(Flags::DENORMAL);
    }
}

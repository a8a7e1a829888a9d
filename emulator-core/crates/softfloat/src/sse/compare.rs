//! COMIS, UCOMIS, CMP, MIN, MAX.

use crate::Relation;
use crate::binary::Binary;
use crate::context::{Context, Flags};
use std::cmp::Ordering;

fn is_nan<B: Binary>(value: B) -> bool {
    value.exponent_field() == B::EXPONENT_MASK && fraction(value) != 0
}

fn is_signaling<B: Binary>(value: B) -> bool {
    is_nan(value) && fraction(value) >> (B::FRACTION_BITS - 1) == 0
}

fn fraction<B: Binary>(value: B) -> u64 {
    value.bits() & ((1 << B::FRACTION_BITS) - 1)
}

fn is_denormal<B: Binary>(value: B) -> bool {
    value.exponent_field() == 0 && fraction(value) != 0
}

/// The operand as comparisons see it: with DAZ a denormal is a zero, without it raises #D.
fn examine<B: Binary>(value: B, ctx: &mut Context) -> B {
    if !is_denormal(value) {
        return value;
    }
    if ctx.denormals_are_zero {
        return B::from_bits(value.bits() & B::SIGN);
    }
    ctx.raise(Flags::DENORMAL);
    value
}

/// Numbers in order: sign-magnitude bit patterns order like integers, and both zeros fall together.
fn order<B: Binary>(a: B, b: B) -> Ordering {
    let key = |x: B| {
        let magnitude = (x.bits() & !B::SIGN) as i64;
        if x.bits() & B::SIGN != 0 { -magnitude } else { magnitude }
    };
    key(a).cmp(&key(b))
}

/// Compares `a` with `b`. `quiet` comparisons (UCOMIS, and the EQ, NEQ, ORD and UNORD predicates) raise invalid operation for
/// signaling NaNs only, the others (COMIS, LT, LE, NLT, NLE) for every NaN.
pub fn compare<B: Binary>(a: B, b: B, quiet: bool, ctx: &mut Context) -> Relation {
    if is_nan(a) || is_nan(b) {
        if !quiet || is_signaling(a) || is_signaling(b) {
            ctx.raise(Flags::INVALID);
        }
        return Relation::Unordered;
    }
    let (a, b) = (examine(a, ctx), examine(b, ctx));
    match order(a, b) {
        Ordering::Less => Relation::Less,
        Ordering::Equal => Relation::Equal,
        Ordering::Greater => Relation::Greater,
    }
}

/// MIN: `a` if it is less than `b`, in every other case, NaNs and equal zeros among them, `b`.
pub fn min<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    pick(a, b, Ordering::Less, ctx)
}

/// MAX: `a` if it is greater than `b`, in every other case `b`.
pub fn max<B: Binary>(a: B, b: B, ctx: &mut Context) -> B {
    pick(a, b, Ordering::Greater, ctx)
}

fn pick<B: Binary>(a: B, b: B, first_if: Ordering, ctx: &mut Context) -> B {
    if is_nan(a) || is_nan(b) {
        ctx.raise(Flags::INVALID);
        // Comparing with a NaN comes before looking for denormals, but DAZ still reaches the operand returned.
        return if ctx.denormals_are_zero { examine(b, ctx) } else { b };
    }
    let (a, b) = (examine(a, ctx), examine(b, ctx));
    if order(a, b) == first_if { a } else { b }
}

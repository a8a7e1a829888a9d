//! The host's arithmetic, where it provably gives the same result and flags.
//!
//! While rounding is to nearest and inexact results are masked, an operation on normal numbers (or zeros) with a normal result
//! can only raise precision. That flag is usually set already ([`Context::sticky`]); where it is not, sums and
//! products tell cheaply whether they are exact. Everything else returns `None` and takes the exact path.

use crate::binary::Binary;
use crate::context::{Context, Flags, Rounding};

fn applies(ctx: &Context) -> bool {
    ctx.rounding == Rounding::Nearest && ctx.is_masked(Flags::PRECISION)
}

fn inexact_is_known(ctx: &Context) -> bool {
    (ctx.sticky | ctx.flags).contains(Flags::PRECISION)
}

fn is_zero<B: Binary>(value: B) -> bool {
    value.bits() & !B::SIGN == 0
}

fn is_normal<B: Binary>(value: B) -> bool {
    (1..B::EXPONENT_MASK).contains(&value.exponent_field())
}

/// A result far enough from both ends of the range: the smallest normal binade may hold results that were tiny before
/// rounding, and next to overflow the error term of a sum could overflow.
fn is_safe_result<B: Binary>(value: B) -> bool {
    (2..B::EXPONENT_MASK - 2).contains(&value.exponent_field())
}

pub(super) fn add<B: Binary>(a: B, b: B, ctx: &mut Context) -> Option<B> {
    if !applies(ctx) || !(is_normal(a) || is_zero(a)) || !(is_normal(b) || is_zero(b)) {
        return None;
    }
    let sum = B::host_add(a, b);
    if is_zero(sum) {
        return Some(sum);
    }
    if !is_safe_result(sum) {
        return None;
    }
    if !inexact_is_known(ctx) && !is_zero(rounding_error(a, b, sum)) {
        ctx.raise(Flags::PRECISION);
    }
    Some(sum)
}

/// What rounding took off `a + b`, exactly (Knuth's TwoSum, TAOCP volume 2, section 4.2.2, theorem B).
fn rounding_error<B: Binary>(a: B, b: B, sum: B) -> B {
    let b_part = B::host_add(sum, a.negated());
    let a_part = B::host_add(sum, b_part.negated());
    B::host_add(B::host_add(a, a_part.negated()), B::host_add(b, b_part.negated()))
}

pub(super) fn mul<B: Binary>(a: B, b: B, ctx: &mut Context) -> Option<B> {
    if !applies(ctx) || !is_normal(a) || !is_normal(b) {
        return None;
    }
    let product = B::host_mul(a, b);
    if !is_safe_result(product) {
        return None;
    }
    if !inexact_is_known(ctx) && !product_is_exact(a, b, product) {
        ctx.raise(Flags::PRECISION);
    }
    Some(product)
}

/// Significands of p bits have a product of 2p - 1 or 2p bits, as the exponent shows; it is exact when all but p of them
/// are trailing zeros.
fn product_is_exact<B: Binary>(a: B, b: B, product: B) -> bool {
    let trailing_zeros = |x: B| (x.bits() | 1 << B::FRACTION_BITS).trailing_zeros();
    let zeros = trailing_zeros(a) + trailing_zeros(b);
    let short = product.exponent_field() + (B::EXPONENT_MASK >> 1) == a.exponent_field() + b.exponent_field();
    zeros >= B::PRECISION || (zeros == B::PRECISION - 1 && short)
}

pub(super) fn div<B: Binary>(a: B, b: B, ctx: &mut Context) -> Option<B> {
    if !applies(ctx) || !inexact_is_known(ctx) || !is_normal(a) || !is_normal(b) {
        return None;
    }
    let quotient = B::host_div(a, b);
    is_safe_result(quotient).then_some(quotient)
}

pub(super) fn sqrt<B: Binary>(a: B, ctx: &mut Context) -> Option<B> {
    let usable = applies(ctx) && inexact_is_known(ctx) && is_normal(a) && a.bits() & B::SIGN == 0;
    usable.then(|| B::host_sqrt(a))
}

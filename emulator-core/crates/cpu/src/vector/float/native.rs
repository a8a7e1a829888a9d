//! The host's arithmetic in the usual environment. There a result can only raise the precision exception, whose flag is set already, so
//! that operands and results well inside the normal range need no second look. `softfloat` decides more finely; this is
//! the short way for nearly all of what programs compute.

use softfloat::{Binary, F32, F64};
use x86::instructions::simd::{FloatOp, FpOp, Lanes};

use super::{fill, lane};

/// Rounding to nearest, all exceptions masked, DAZ and FTZ off, and PE set; the other flags do not matter.
pub(in crate::vector) fn is_usual(mxcsr: u32) -> bool {
    const OTHER_FLAGS: u32 = 0x1f;
    const ALL_MASKED_AND_PE: u32 = 0x1fa0;
    mxcsr & !OTHER_FLAGS == ALL_MASKED_AND_PE
}

/// [`operate`] of all parts, where it does all of them.
#[inline]
pub(in crate::vector) fn operate_all<const PARTS: usize>(
    op: FloatOp,
    a: [u128; PARTS],
    b: [u128; PARTS],
) -> Option<[u128; PARTS]> {
    let mut value = [0; PARTS];
    for part in 0..PARTS {
        value[part] = operate(op, a[part], b[part])?;
    }
    Some(value)
}

/// `op` where it is one of the four basic operations and no lane is out of the ordinary.
#[inline]
fn operate(op: FloatOp, a: u128, b: u128) -> Option<u128> {
    match op.lanes() {
        Lanes::Ps => basic::<F32>(op.op(), 4, a, b),
        Lanes::Pd => basic::<F64>(op.op(), 2, a, b),
        Lanes::Ss => basic::<F32>(op.op(), 1, a, b),
        Lanes::Sd => basic::<F64>(op.op(), 1, a, b),
    }
}

#[inline(always)]
fn basic<B: Binary>(op: FpOp, count: u32, a: u128, b: u128) -> Option<u128> {
    match op {
        FpOp::Add => each::<B>(count, a, b, B::host_add),
        FpOp::Sub => each::<B>(count, a, b, |x, y| B::host_add(x, y.negated())),
        FpOp::Mul => each::<B>(count, a, b, B::host_mul),
        FpOp::Div => each::<B>(count, a, b, B::host_div),
        _ => None,
    }
}

#[inline(always)]
fn each<B: Binary>(count: u32, a: u128, b: u128, f: impl Fn(B, B) -> B) -> Option<u128> {
    let mut all_ordinary = true;
    let value = fill(a, count, |n| {
        let (x, y) = (lane(a, n), lane(b, n));
        let result = f(x, y);
        all_ordinary &= is_ordinary(x) && is_ordinary(y) && is_ordinary(result);
        result
    });
    all_ordinary.then_some(value)
}

/// Not zero, and neither the smallest normal binade, where a result may have been tiny before rounding, nor the largest.
#[inline(always)]
fn is_ordinary<B: Binary>(value: B) -> bool {
    (2..B::EXPONENT_MASK - 1).contains(&value.exponent_field())
}

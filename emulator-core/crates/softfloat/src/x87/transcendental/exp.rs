//! F2XM1.

use super::deliver_inexact;
use super::wide::{self, ONE};
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::round::Exact;
use crate::unpacked::Unpacked;
use crate::x87::constants::LN_OF_2;
use crate::x87::{nan, raise_if_denormal};

const TERMS: usize = 26;

/// 1/2!, 1/3!, 1/4!, ... in Q127.
const INVERSE_FACTORIALS: [u128; TERMS] = {
    let mut terms = [0; TERMS];
    let mut value = ONE;
    let mut i = 0;
    while i < TERMS {
        value /= i as u128 + 2;
        terms[i] = value;
        i += 1;
    }
    terms
};

/// `2^x - 1` (F2XM1), for x from -1 to 1. Beyond, where the manual leaves the result undefined, the operand comes back.
pub fn exp2_minus_1(value: F80, ctx: &mut Context) -> F80 {
    let x = Unpacked::from(value);
    if let Some(nan) = nan::unary(x, ctx) {
        return nan;
    }
    if x.is_infinite() {
        return if x.negative { F80::ONE.negated() } else { value };
    }
    if x.is_zero() || x.exponent > 0 {
        return value;
    }
    if x.exponent == 0 {
        // Inexact to processors, though 2^1 - 1 = 1 and 2^-1 - 1 = -1/2.
        ctx.raise(Flags::PRECISION);
        let is_one = x.significand == 1 << 63;
        return if is_one && x.negative { F80::new(0xBFFE, 1 << 63) } else { value };
    }
    raise_if_denormal(x, ctx);
    let ln_2 = Exact { negative: false, exponent: -1, significand: LN_OF_2 };
    let t = wide::mul(x.into(), ln_2);
    // (e^t - 1) / t = 1 + t/2! + t^2/3! + ...
    let quotient = wide::series(wide::to_fixed(t), &INVERSE_FACTORIALS, x.negative);
    deliver_inexact(wide::mul(t, wide::from_fixed(false, quotient, 127)), ctx)
}

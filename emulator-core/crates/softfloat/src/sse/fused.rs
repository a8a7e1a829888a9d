//! VFMADD and its family: one rounding for product and sum (SDM volume 1, section 14.5).

use super::{deliver, unpack};
use crate::arith;
use crate::binary::Binary;
use crate::context::{Context, Flags};
use crate::unpacked::Class;

/// `a * b + c` with signs of the product and of the addend flipped as asked. Of several NaNs the first operand's wins, and the signs of
/// NaNs stay as they are.
pub fn fused<B: Binary>(a: B, b: B, c: B, negate_product: bool, negate_addend: bool, ctx: &mut Context) -> B {
    let operands = [a, b, c].map(|operand| unpack(operand, ctx));
    if let Some(nan) = operands.iter().find(|operand| operand.is_nan()) {
        if operands.iter().any(|operand| operand.class == Class::SignalingNan) {
            ctx.raise(Flags::INVALID);
        }
        return B::pack_quieted(*nan);
    }
    let [a, b, c] = operands;
    let a = if negate_product { a.negated() } else { a };
    let c = if negate_addend { c.negated() } else { c };
    let outcome = arith::mul_add(a, b, c, ctx.rounding);
    deliver(outcome, operands.iter().any(|operand| operand.is_denormal()), ctx)
}

//! Which NaN an x87 operation returns (SDM volume 1, table 4-7 and section 8.5.1.2).

use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::unpacked::{Class, Unpacked};

/// The result when the operand is a NaN or an unsupported encoding.
pub(super) fn unary(a: Unpacked, ctx: &mut Context) -> Option<F80> {
    match a.class {
        Class::Unsupported => Some(super::invalid(ctx)),
        Class::SignalingNan => {
            ctx.raise(Flags::INVALID);
            Some(F80::quieted(a))
        }
        Class::QuietNan => Some(F80::quieted(a)),
        _ => None,
    }
}

/// The result when one of the operands is a NaN or an unsupported encoding.
pub(super) fn binary(a: Unpacked, b: Unpacked, ctx: &mut Context) -> Option<F80> {
    let is_number = |x: Unpacked| !x.is_nan() && x.class != Class::Unsupported;
    if is_number(a) && is_number(b) {
        return None;
    }
    if a.class == Class::Unsupported || b.class == Class::Unsupported {
        return Some(super::invalid(ctx));
    }
    let signaling = |x: Unpacked| x.class == Class::SignalingNan;
    if signaling(a) || signaling(b) {
        ctx.raise(Flags::INVALID);
    }
    Some(F80::quieted(match (a.is_nan(), b.is_nan()) {
        (true, false) => a,
        (false, _) => b,
        // A quiet NaN wins over a signaling one.
        _ if signaling(a) != signaling(b) => {
            if signaling(a) {
                b
            } else {
                a
            }
        }
        _ => larger(a, b),
    }))
}

/// The NaN with the larger significand; of equals, the positive one.
fn larger(a: Unpacked, b: Unpacked) -> Unpacked {
    if (a.significand, b.negative) >= (b.significand, a.negative) { a } else { b }
}

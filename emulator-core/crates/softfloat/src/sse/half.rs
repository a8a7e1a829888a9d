//! VCVTPH2PS and VCVTPS2PH: half precision, which is only for storage (SDM volume 1, section 14.4).

use super::{deliver, quiet_nan, unpack};
use crate::arith::Outcome;
use crate::binary::F32;
use crate::context::{Context, Flags};
use crate::round::{Format, Rounded};
use crate::unpacked::{Class, Unpacked};

/// Half precision, as its bit pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct F16(pub u16);

const FRACTION_BITS: u32 = 10;
const EXPONENT_MASK: u16 = 0x1f;
const SIGN: u16 = 1 << 15;

impl From<F16> for Unpacked {
    fn from(F16(bits): F16) -> Self {
        let negative = bits & SIGN != 0;
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        let field = bits >> FRACTION_BITS & EXPONENT_MASK;
        let aligned = u64::from(fraction) << (63 - FRACTION_BITS);
        let class = match field {
            0 if fraction == 0 => return Unpacked::zero(negative),
            0 => return Unpacked::finite(Class::Denormal, negative, 1 - F16::MAX_EXPONENT, aligned),
            EXPONENT_MASK if fraction == 0 => Class::Infinity,
            EXPONENT_MASK if fraction >> (FRACTION_BITS - 1) != 0 => Class::QuietNan,
            EXPONENT_MASK => Class::SignalingNan,
            _ => Class::Normal,
        };
        Unpacked { class, negative, exponent: i32::from(field) - F16::MAX_EXPONENT, significand: 1 << 63 | aligned }
    }
}

fn pack(negative: bool, field: u16, significand: u64) -> F16 {
    let fraction = (significand << 1 >> (64 - FRACTION_BITS)) as u16;
    F16(if negative { SIGN } else { 0 } | field << FRACTION_BITS | fraction)
}

impl Format for F16 {
    const PRECISION: u32 = FRACTION_BITS + 1;
    const MAX_EXPONENT: i32 = 15;
    const INDEFINITE: Self = F16(0xfe00);

    fn pack_finite(value: Rounded) -> Self {
        let normal = value.significand >> 63 != 0;
        pack(value.negative, if normal { (value.exponent + Self::MAX_EXPONENT) as u16 } else { 0 }, value.significand)
    }
    fn pack_zero(negative: bool) -> Self {
        pack(negative, 0, 0)
    }
    fn pack_infinity(negative: bool) -> Self {
        pack(negative, EXPONENT_MASK, 0)
    }
    fn pack_quieted(nan: Unpacked) -> Self {
        pack(nan.negative, EXPONENT_MASK, nan.significand | 1 << 62)
    }
}

fn exact(operand: Unpacked) -> Outcome {
    let negative = operand.is_negative();
    match operand.class() {
        Class::Zero => Outcome::Zero { negative },
        Class::Infinity => Outcome::Infinity { negative },
        _ => Outcome::Finite(operand.into()),
    }
}

/// To single precision. Every number fits; denormals are neither reported nor taken for zero.
pub fn from_half(value: F16, ctx: &mut Context) -> F32 {
    let operand = Unpacked::from(value);
    match quiet_nan(operand, ctx) {
        Some(nan) => nan,
        None => deliver(exact(operand), false, ctx),
    }
}

/// From single precision, in the context's rounding mode. MXCSR.FTZ has no say.
pub fn to_half(value: F32, ctx: &mut Context) -> F16 {
    let operand = unpack(value, ctx);
    ctx.flush_to_zero = false;
    if let Some(nan) = quiet_nan(operand, ctx) {
        return nan;
    }
    let half = deliver(exact(operand), operand.is_denormal(), ctx);
    if operand.is_denormal() && ctx.unmasked().contains(Flags::UNDERFLOW) {
        // Of a denormal number, the host also tells that the result nobody gets is inexact.
        ctx.raise(Flags::PRECISION);
    }
    half
}

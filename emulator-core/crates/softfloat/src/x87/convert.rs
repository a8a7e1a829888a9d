//! Between registers and the memory formats: FLD, FST, FILD, FIST, FISTTP.

use crate::arith;
use crate::binary::Binary;
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::{Class, Unpacked};

impl From<i64> for F80 {
    /// Exact: every 64-bit integer fits the significand.
    fn from(value: i64) -> Self {
        if value == 0 {
            return F80::ZERO;
        }
        let unpacked = Unpacked::from_integer(value);
        F80::new((unpacked.exponent + 16383) as u16 | u16::from(value < 0) << 15, unpacked.significand)
    }
}

/// Loads a single or double (FLD m32fp, FLD m64fp): exact, but denormals raise #D and signaling NaNs #I.
pub fn load<B: Binary>(value: B, ctx: &mut Context) -> F80 {
    let value: Unpacked = value.into();
    match value.class {
        Class::Zero => F80::zero(value.negative),
        Class::Infinity => F80::infinity(value.negative),
        Class::Normal | Class::Denormal => {
            super::raise_if_denormal(value, ctx);
            F80::new(F80::zero(value.negative).sign_exponent | (value.exponent + 16383) as u16, value.significand)
        }
        Class::QuietNan | Class::SignalingNan | Class::Unsupported => {
            super::nan::unary(value, ctx).unwrap_or(F80::INDEFINITE)
        }
    }
}

/// Stores as single or double (FST m32fp, FST m64fp). Unmasked overflow or underflow leaves the value meaningless: the
/// instruction then stores nothing.
pub fn store<B: Binary>(value: F80, ctx: &mut Context) -> B {
    let value = Unpacked::from(value);
    match value.class {
        Class::Zero => B::pack_zero(value.negative),
        Class::Infinity => B::pack_infinity(value.negative),
        Class::Normal | Class::Denormal => round(Exact::from(value), B::PRECISION, Destination::Memory, ctx),
        Class::QuietNan => B::pack_quieted(value),
        Class::SignalingNan => {
            ctx.raise(Flags::INVALID);
            B::pack_quieted(value)
        }
        Class::Unsupported => {
            ctx.raise(Flags::INVALID);
            B::INDEFINITE
        }
    }
}

/// Rounds to an integer of `bits` bits; what does not fit becomes the integer indefinite, the most negative one.
fn store_integer(value: F80, bits: u32, ctx: &mut Context) -> i64 {
    let value = Unpacked::from(value);
    let limit = (1u128 << (bits - 1)) - u128::from(!value.negative);
    match arith::to_integer(value, ctx.rounding) {
        Some(integer) if integer.magnitude <= limit => {
            if integer.inexact {
                ctx.raise(Flags::PRECISION);
            }
            ctx.rounded_up = integer.up;
            let magnitude = integer.magnitude as i64;
            if value.negative { magnitude.wrapping_neg() } else { magnitude }
        }
        _ => {
            ctx.raise(Flags::INVALID);
            i64::MIN >> (64 - bits)
        }
    }
}

/// Stores as a 16-bit integer (FIST m16int; FISTTP with rounding toward zero).
pub fn store_i16(value: F80, ctx: &mut Context) -> i16 {
    store_integer(value, 16, ctx) as i16
}

/// Stores as a 32-bit integer (FIST m32int; FISTTP with rounding toward zero).
pub fn store_i32(value: F80, ctx: &mut Context) -> i32 {
    store_integer(value, 32, ctx) as i32
}

/// Stores as a 64-bit integer (FISTP m64int; FISTTP with rounding toward zero).
pub fn store_i64(value: F80, ctx: &mut Context) -> i64 {
    store_integer(value, 64, ctx)
}

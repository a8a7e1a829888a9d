//! The IEEE interchange formats binary32 and binary64 as bit patterns.

use crate::round::{Format, Rounded};
use crate::unpacked::{Class, Unpacked};
use serde::{Deserialize, Serialize};

/// Single precision, as its bit pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(transparent)]
pub struct F32(pub u32);

/// Double precision, as its bit pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(transparent)]
pub struct F64(pub u64);

/// [`F32`] or [`F64`]: what the SSE operations are generic over.
pub trait Binary: Format + Copy + Into<Unpacked> + PartialEq {
    /// Bits of the stored fraction.
    const FRACTION_BITS: u32;

    /// The bit pattern, zero-extended.
    fn bits(self) -> u64;
    /// From a bit pattern; bits beyond the format's width must be clear.
    fn from_bits(bits: u64) -> Self;

    /// `a + b` by the host, rounded to nearest.
    fn host_add(a: Self, b: Self) -> Self;
    /// `a * b` by the host, rounded to nearest.
    fn host_mul(a: Self, b: Self) -> Self;
    /// `a / b` by the host, rounded to nearest.
    fn host_div(a: Self, b: Self) -> Self;
    /// The square root by the host, rounded to nearest.
    fn host_sqrt(a: Self) -> Self;

    /// The exponent field.
    fn exponent_field(self) -> u32 {
        (self.bits() >> Self::FRACTION_BITS) as u32 & Self::EXPONENT_MASK
    }

    /// The exponent field of infinities and NaNs.
    const EXPONENT_MASK: u32;
    /// The sign bit.
    const SIGN: u64;

    /// The same encoding with the sign flipped.
    fn negated(self) -> Self {
        Self::from_bits(self.bits() ^ Self::SIGN)
    }
}

fn unpack<B: Binary>(value: B) -> Unpacked {
    let bits = value.bits();
    let negative = bits & B::SIGN != 0;
    let fraction = bits & ((1 << B::FRACTION_BITS) - 1);
    let aligned = fraction << (63 - B::FRACTION_BITS);
    let field = value.exponent_field();
    let exponent = field as i32 - B::MAX_EXPONENT;
    let class = match field {
        0 if fraction == 0 => return Unpacked::zero(negative),
        0 => return Unpacked::finite(Class::Denormal, negative, 1 - B::MAX_EXPONENT, aligned),
        field if field != B::EXPONENT_MASK => Class::Normal,
        _ if fraction == 0 => Class::Infinity,
        _ if fraction >> (B::FRACTION_BITS - 1) != 0 => Class::QuietNan,
        _ => Class::SignalingNan,
    };
    Unpacked { class, negative, exponent, significand: 1 << 63 | aligned }
}

fn pack<B: Binary>(negative: bool, field: u32, significand: u64) -> B {
    let fraction = significand << 1 >> (64 - B::FRACTION_BITS);
    let sign = if negative { B::SIGN } else { 0 };
    B::from_bits(sign | u64::from(field) << B::FRACTION_BITS | fraction)
}

macro_rules! binary_format {
    ($name:ident, $bits:ty, $host:ty, $exponent_mask:expr) => {
        impl Binary for $name {
            const FRACTION_BITS: u32 = <$host>::MANTISSA_DIGITS - 1;
            const EXPONENT_MASK: u32 = $exponent_mask;
            const SIGN: u64 = 1 << (<$bits>::BITS - 1);

            fn bits(self) -> u64 {
                u64::from(self.0)
            }
            fn from_bits(bits: u64) -> Self {
                $name(bits as $bits)
            }
            fn host_add(a: Self, b: Self) -> Self {
                $name((<$host>::from_bits(a.0) + <$host>::from_bits(b.0)).to_bits())
            }
            fn host_mul(a: Self, b: Self) -> Self {
                $name((<$host>::from_bits(a.0) * <$host>::from_bits(b.0)).to_bits())
            }
            fn host_div(a: Self, b: Self) -> Self {
                $name((<$host>::from_bits(a.0) / <$host>::from_bits(b.0)).to_bits())
            }
            fn host_sqrt(a: Self) -> Self {
                $name(<$host>::from_bits(a.0).sqrt().to_bits())
            }
        }

        impl From<$name> for Unpacked {
            fn from(value: $name) -> Self {
                unpack(value)
            }
        }

        impl Format for $name {
            const PRECISION: u32 = <$host>::MANTISSA_DIGITS;
            const MAX_EXPONENT: i32 = $exponent_mask >> 1;
            const INDEFINITE: Self = $name(<$bits>::MAX << (<$host>::MANTISSA_DIGITS - 2));

            fn pack_finite(value: Rounded) -> Self {
                let normal = value.significand >> 63 != 0;
                let field = if normal { (value.exponent + Self::MAX_EXPONENT) as u32 } else { 0 };
                pack(value.negative, field, value.significand)
            }
            fn pack_zero(negative: bool) -> Self {
                pack(negative, 0, 0)
            }
            fn pack_infinity(negative: bool) -> Self {
                pack(negative, $exponent_mask, 0)
            }
            fn pack_quieted(nan: Unpacked) -> Self {
                pack(nan.negative, $exponent_mask, nan.significand | 1 << 62)
            }
        }
    };
}

binary_format!(F32, u32, f32, 0xFF);
binary_format!(F64, u64, f64, 0x7FF);

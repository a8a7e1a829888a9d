//! The x87's double extended format.

use crate::round::{Format, Rounded};
use crate::unpacked::{Class, Unpacked};
use serde::{Deserialize, Serialize};

const EXPONENT_MASK: u16 = 0x7FFF;
const SIGN: u16 = 0x8000;
const BIAS: i32 = 16383;
const INTEGER_BIT: u64 = 1 << 63;
const QUIET_BIT: u64 = 1 << 62;

/// A number in double extended format (SDM volume 1, section 4.2.2): 1 sign bit, 15 exponent bits biased by 16383, and
/// 64 significand bits with an explicit integer bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct F80 {
    /// Sign in bit 15, biased exponent below.
    pub sign_exponent: u16,
    /// Integer bit (63) and fraction.
    pub significand: u64,
}

impl F80 {
    /// +0.0
    pub const ZERO: F80 = F80::new(0, 0);
    /// +1.0
    pub const ONE: F80 = F80::new(0x3FFF, INTEGER_BIT);
    /// The default NaN, "real indefinite": the masked response to an invalid operation.
    pub const INDEFINITE: F80 = F80::new(0xFFFF, INTEGER_BIT | QUIET_BIT);

    /// From the two words of the encoding.
    pub const fn new(sign_exponent: u16, significand: u64) -> Self {
        F80 { sign_exponent, significand }
    }

    /// From the ten bytes in memory, little-endian.
    pub fn from_le_bytes(bytes: [u8; 10]) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, e0, e1] = bytes;
        F80 {
            sign_exponent: u16::from_le_bytes([e0, e1]),
            significand: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        }
    }

    /// The ten bytes in memory, little-endian.
    pub fn to_le_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.significand.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sign_exponent.to_le_bytes());
        bytes
    }

    /// Whether the sign bit is set, in any class.
    pub fn is_negative(self) -> bool {
        self.sign_exponent & SIGN != 0
    }

    /// The same encoding with the sign flipped (FCHS).
    pub fn negated(self) -> Self {
        F80 { sign_exponent: self.sign_exponent ^ SIGN, ..self }
    }

    /// The same encoding with the sign clear (FABS).
    pub fn magnitude(self) -> Self {
        F80 { sign_exponent: self.sign_exponent & EXPONENT_MASK, ..self }
    }

    /// What kind of value this encodes.
    pub fn class(self) -> Class {
        let fraction = self.significand & !INTEGER_BIT;
        let integer_bit = self.significand & INTEGER_BIT != 0;
        match self.sign_exponent & EXPONENT_MASK {
            0 if self.significand == 0 => Class::Zero,
            0 => Class::Denormal,
            _ if !integer_bit => Class::Unsupported,
            EXPONENT_MASK if fraction == 0 => Class::Infinity,
            EXPONENT_MASK if self.significand & QUIET_BIT != 0 => Class::QuietNan,
            EXPONENT_MASK => Class::SignalingNan,
            _ => Class::Normal,
        }
    }

    pub(crate) fn zero(negative: bool) -> Self {
        F80::new(if negative { SIGN } else { 0 }, 0)
    }

    pub(crate) fn infinity(negative: bool) -> Self {
        F80::new(if negative { SIGN | EXPONENT_MASK } else { EXPONENT_MASK }, INTEGER_BIT)
    }

    /// The quiet NaN carrying the payload of `nan`.
    pub(crate) fn quieted(nan: Unpacked) -> Self {
        F80::new(F80::infinity(nan.negative).sign_exponent, nan.significand | INTEGER_BIT | QUIET_BIT)
    }
}

impl From<F80> for Unpacked {
    #[inline(always)]
    fn from(value: F80) -> Self {
        let field = value.sign_exponent & EXPONENT_MASK;
        let is_normal = field.wrapping_sub(1) < EXPONENT_MASK - 1 && value.significand & INTEGER_BIT != 0;
        if is_normal {
            return Unpacked {
                class: Class::Normal,
                negative: value.is_negative(),
                exponent: i32::from(field) - BIAS,
                significand: value.significand,
            };
        }
        unpack_special(value)
    }
}

/// Takes apart an encoding that is not a normal number.
#[inline(never)]
fn unpack_special(value: F80) -> Unpacked {
    let (class, negative) = (value.class(), value.is_negative());
    if class == Class::Denormal {
        // Exponent field 0 has the weight of 1; a pseudo-denormal's significand is already normalised.
        return Unpacked::finite(class, negative, 1 - BIAS, value.significand);
    }
    Unpacked { class, negative, exponent: BIAS + 1, significand: value.significand }
}

impl Format for F80 {
    const PRECISION: u32 = 64;
    const MAX_EXPONENT: i32 = BIAS;
    const INDEFINITE: Self = F80::INDEFINITE;

    #[inline(always)]
    fn pack_finite(value: Rounded) -> Self {
        // A significand without its integer bit only occurs at the lowest exponent, where the field is 0.
        let biased = if value.significand & INTEGER_BIT == 0 { 0 } else { (value.exponent + BIAS) as u16 };
        F80::new(F80::zero(value.negative).sign_exponent | biased, value.significand)
    }

    fn pack_zero(negative: bool) -> Self {
        F80::zero(negative)
    }

    fn pack_infinity(negative: bool) -> Self {
        F80::infinity(negative)
    }

    fn pack_quieted(nan: Unpacked) -> Self {
        F80::quieted(nan)
    }
}

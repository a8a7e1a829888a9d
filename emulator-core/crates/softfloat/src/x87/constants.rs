//! FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ.

use crate::context::Rounding;
use crate::f80::F80;
use crate::round::Step;

/// The constants the x87 can load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// 1.0
    One,
    /// log2(10)
    Log2Of10,
    /// log2(e)
    Log2OfE,
    /// pi
    Pi,
    /// log10(2)
    Log10Of2,
    /// ln(2)
    LnOf2,
    /// 0.0
    Zero,
}

/// The constant rounded to 64 bits in the given mode (SDM volume 2, FLD1: the internal constants have 66 bits).
/// No flags are raised and C1 is cleared.
pub fn constant(constant: Constant, rounding: Rounding) -> F80 {
    // The first 128 bits of each number, and its exponent.
    let (exponent, significand): (u16, u128) = match constant {
        Constant::One => return F80::ONE,
        Constant::Zero => return F80::ZERO,
        Constant::Log2Of10 => (1, LOG2_OF_10),
        Constant::Log2OfE => (0, LOG2_OF_E),
        Constant::Pi => (1, PI),
        Constant::Log10Of2 => (0u16.wrapping_sub(2), LOG10_OF_2),
        Constant::LnOf2 => (0u16.wrapping_sub(1), LN_OF_2),
    };
    let step = Step::take(significand, 64, false, rounding);
    F80::new(0x3FFFu16.wrapping_add(exponent), step.significand)
}

/// pi / 2, times 2^127.
pub(super) const PI: u128 = 0xC90FDAA2_2168C234_C4C6628B_80DC1CD1;

/// log2(10) / 2, times 2^127.
pub(super) const LOG2_OF_10: u128 = 0xD49A784B_CD1B8AFE_492BF6FF_4DAFDB4C;

/// log2(e), times 2^127.
pub(super) const LOG2_OF_E: u128 = 0xB8AA3B29_5C17F0BB_BE87FED0_691D3E88;

/// log10(2) * 4, times 2^127.
pub(super) const LOG10_OF_2: u128 = 0x9A209A84_FBCFF798_8F8959AC_0B7C9178;

/// ln(2) * 2, times 2^127.
pub(super) const LN_OF_2: u128 = 0xB17217F7_D1CF79AB_C9E3B398_03F2F6AF;

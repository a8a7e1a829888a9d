//! An operand taken apart: the common view of all formats.

use std::cmp::Ordering;

/// What kind of value an encoding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Zero of either sign.
    Zero,
    /// A finite number that is not zero, encoded normally.
    Normal,
    /// A finite number that is not zero, encoded with the reserved exponent 0 (for [`crate::F80`] also pseudo-denormals).
    Denormal,
    /// Infinity of either sign.
    Infinity,
    /// A NaN that passes through operations silently.
    QuietNan,
    /// A NaN that raises invalid operation.
    SignalingNan,
    /// An [`crate::F80`] encoding the x87 refuses: unnormal, pseudo-infinity, pseudo-NaN (SDM volume 1, table 8-3).
    Unsupported,
}

/// A number of any format: `significand / 2^63 * 2^exponent`, the significand with its top bit set.
/// For NaNs the significand is the payload, left-aligned behind a set top bit; for zeros and infinities it is unused.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked {
    pub(crate) class: Class,
    pub(crate) negative: bool,
    pub(crate) exponent: i32,
    pub(crate) significand: u64,
}

impl Unpacked {
    /// What kind of value this is.
    pub fn class(self) -> Class {
        self.class
    }

    /// Whether the sign bit is set.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    pub(crate) fn zero(negative: bool) -> Self {
        Unpacked { class: Class::Zero, negative, exponent: 0, significand: 0 }
    }

    /// A finite non-zero number from a significand that may have leading zeros.
    pub(crate) fn finite(class: Class, negative: bool, exponent: i32, significand: u64) -> Self {
        let shift = significand.leading_zeros();
        Unpacked { class, negative, exponent: exponent - shift as i32, significand: significand << shift }
    }

    pub(crate) fn from_integer(value: i64) -> Self {
        if value == 0 {
            return Unpacked::zero(false);
        }
        Unpacked::finite(Class::Normal, value < 0, 63, value.unsigned_abs())
    }

    pub(crate) fn is_nan(self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignalingNan)
    }

    pub(crate) fn is_finite_nonzero(self) -> bool {
        matches!(self.class, Class::Normal | Class::Denormal)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.class == Class::Zero
    }

    pub(crate) fn is_infinite(self) -> bool {
        self.class == Class::Infinity
    }

    pub(crate) fn is_denormal(self) -> bool {
        self.class == Class::Denormal
    }

    pub(crate) fn negated(self) -> Self {
        Unpacked { negative: !self.negative, ..self }
    }
}

/// Integers as x87 operands (FIADD and its family).
macro_rules! integer_operand {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Unpacked {
            fn from(value: $integer) -> Self {
                Unpacked::from_integer(i64::from(value))
            }
        }
    )*};
}
integer_operand!(i16, i32, i64);

/// Orders two operands that are not NaNs.
pub(crate) fn order(a: Unpacked, b: Unpacked) -> Ordering {
    if a.is_zero() && b.is_zero() {
        return Ordering::Equal;
    }
    let magnitude = |x: Unpacked| match x.class {
        Class::Zero => (i32::MIN, 0),
        Class::Infinity => (i32::MAX, 0),
        _ => (x.exponent, x.significand),
    };
    match (a.negative, b.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => magnitude(a).cmp(&magnitude(b)),
        (true, true) => magnitude(b).cmp(&magnitude(a)),
    }
}

//! Numbers of the unit, as values.

use crate::emitter::Emitter;
use crate::emitter::range::Range;
use crate::ir::{Binary, Value};

/// The sign, beside the exponent.
pub(super) const SIGN: u64 = 0x8000;
/// Of the exponent.
pub(super) const BIAS: i32 = 16383;

/// What a register holds.
#[derive(Clone, Copy)]
pub(in crate::emitter) struct Number {
    pub(super) significand: Value,
    pub(super) sign_exponent: Value,
    pub(super) known: Known,
}

/// What is known of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// It is made of what was in registers when the block began to look at them.
    Found,
    /// It is zero, or normal with an exponent of these.
    Range(Range),
}

impl Known {
    /// Of one of two numbers; which one may be known late.
    pub(super) fn either(self, other: Known) -> Known {
        match (self, other) {
            (Known::Range(a), Known::Range(b)) => Known::Range(a.union(b)),
            _ => Known::Nothing,
        }
    }
}

impl Number {
    /// One of which nothing is known.
    pub(super) fn unknown([significand, sign_exponent]: [Value; 2]) -> Number {
        Number { significand, sign_exponent, known: Known::Nothing }
    }

    /// The same bits.
    pub(super) fn is(self, other: Number) -> bool {
        (self.significand, self.sign_exponent) == (other.significand, other.sign_exponent)
    }
}

impl Emitter {
    /// A constant with this exponent, which is zero without a significand.
    pub(super) fn x87_constant(&mut self, significand: u64, sign_exponent: u64) -> Number {
        let [significand, sign_exponent] = [significand, sign_exponent].map(|part| self.graph.constant(part));
        Number { significand, sign_exponent, known: Known::Range(Range { low: 0, high: 0 }) }
    }

    /// The biased exponent.
    pub(super) fn x87_exponent(&mut self, number: Number) -> Value {
        let magnitude = self.graph.constant(SIGN - 1);
        self.number(Binary::And, number.sign_exponent, magnitude)
    }

    /// 1 unless `number` is normal and its exponent in `range`.
    pub(super) fn x87_is_outside(&mut self, number: Number, range: Range) -> Value {
        let [least, span, top, one] = [(range.low + BIAS) as u64, (range.high - range.low + 1) as u64, 63, 1]
            .map(|part| self.graph.constant(part));
        let exponent = self.x87_exponent(number);
        let above = self.number(Binary::Sub, exponent, least);
        let outside = self.number(Binary::BelowOrEqual, span, above);
        let integer_bit = self.number(Binary::ShrUnsigned, number.significand, top);
        let denormal = self.number(Binary::Xor, integer_bit, one);
        self.number(Binary::Or, outside, denormal)
    }
}

//! Numbers of the unit, as values.

use crate::emitter::Emitter;
use crate::emitter::range::Range;
use crate::ir::{Binary, Value, X87_NOT_NORMAL, X87_SIGN};

/// Of the exponent.
pub(super) const BIAS: i32 = 16383;

/// What a register holds.
#[derive(Clone, Copy)]
pub(in crate::emitter) struct Number {
    pub(super) significand: Value,
    /// Biased; with [`X87_NOT_NORMAL`] where it is none of a normal number or of zero, so that one look at it tells.
    pub(super) exponent: Value,
    /// [`X87_SIGN`] or 0.
    pub(super) sign: Value,
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

impl Emitter {
    /// One of which nothing is known.
    pub(super) fn x87_unknown(&mut self, significand: Value, sign_exponent: Value) -> Number {
        let [exponent, sign, zero, not_normal] =
            [X87_SIGN - 1, X87_SIGN, 0, X87_NOT_NORMAL].map(|part| self.graph.constant(part));
        let exponent = self.number(Binary::And, sign_exponent, exponent);
        let sign = self.number(Binary::And, sign_exponent, sign);
        // Below those with an integer bit, above zero.
        let both = self.number(Binary::Or, significand, exponent);
        let below = self.number(Binary::Less, zero, both);
        let marked = self.number(Binary::Or, exponent, not_normal);
        Number { significand, exponent: self.graph.select(below, marked, exponent), sign, known: Known::Nothing }
    }

    /// A constant that is not negative, and has this exponent; it is zero without a significand.
    pub(super) fn x87_constant(&mut self, significand: u64, exponent: u64) -> Number {
        let [significand, exponent, sign] = [significand, exponent, 0].map(|part| self.graph.constant(part));
        Number { significand, exponent, sign, known: Known::Range(Range { low: 0, high: 0 }) }
    }

    /// 1 unless `number` is normal and its exponent in `range`.
    pub(super) fn x87_is_outside(&mut self, number: Number, range: Range) -> Value {
        let [least, span] =
            [(range.low + BIAS) as u64, (range.high - range.low + 1) as u64].map(|part| self.graph.constant(part));
        let above = self.number(Binary::Sub, number.exponent, least);
        self.number(Binary::BelowOrEqual, span, above)
    }

    /// Sign and exponent as memory has them.
    pub(super) fn x87_sign_exponent(&mut self, number: Number) -> Value {
        let exponent = self.graph.constant(X87_SIGN - 1);
        let exponent = self.number(Binary::And, number.exponent, exponent);
        self.number(Binary::Or, exponent, number.sign)
    }
}

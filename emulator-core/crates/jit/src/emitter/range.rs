//! How large numbers may be: what is known of a sum or a product spares a look at it.
//!
//! The fewer bits of the range of its format a number takes, the more operations can follow before one of them might overflow or underflow. So whoever looks at
//! a number looks for more than its being normal.

use x86::instructions::simd::Lanes;

/// The exponents a number may have, which is zero otherwise. Below the format's lowest it may be denormal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(super) low: i32,
    pub(super) high: i32,
}

impl Range {
    /// All normal numbers.
    pub(super) fn normal(lanes: Lanes) -> Range {
        if lanes.is_single() { Range { low: -126, high: 127 } } else { Range { low: -1022, high: 1023 } }
    }

    /// What operands are looked for to be: sums of some singles are finite, and products of three doubles and their sums are normal. Others are left to the
    /// interpreter; programs that calculate with them for long would be slow.
    pub(super) fn moderate(lanes: Lanes) -> Range {
        if lanes.is_single() { Range { low: -100, high: 120 } } else { Range { low: -255, high: 256 } }
    }

    pub(super) fn union(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Of the sum or difference: where nearly all cancels, the last place of the smaller is left. Rounding may make it a power of two.
    pub(super) fn sum(self, other: Range, lanes: Lanes) -> Range {
        let places = if lanes.is_single() { 23 } else { 52 };
        let both = self.union(other);
        Range { low: both.low - places, high: both.high + 2 }
    }

    pub(super) fn product(self, other: Range) -> Range {
        Range { low: self.low + other.low, high: self.high + other.high + 2 }
    }

    /// No denormal is among these.
    pub(super) fn is_normal(self, lanes: Lanes) -> bool {
        self.low >= Range::normal(lanes).low
    }

    /// None of these overflows.
    pub(super) fn is_finite(self, lanes: Lanes) -> bool {
        self.high <= Range::normal(lanes).high
    }

    /// None of these was tiny before it was rounded.
    pub(super) fn is_large_enough(self, lanes: Lanes) -> bool {
        self.low > Range::normal(lanes).low
    }
}

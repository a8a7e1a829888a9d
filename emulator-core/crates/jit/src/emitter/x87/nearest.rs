//! What numbers in registers have to be for sums, products, stores and comparisons in the usual case, which need no helper: zeros and normal numbers, rounded to nearest in extended
//! precision.

use x86::{Engine, Width};

use super::number::{BIAS, Known, Number};
use crate::emitter::Emitter;
use crate::emitter::range::Range;
use crate::ir::{Nearest, Rounded, Step, Value, X87_LOST, X87_SIGN, X87_UP};

const W: Width = Width::W64;
const TOP: u64 = 1 << 63;

/// Exponents that sums and products of two numbers may have; others are looked for before. Zero, which has the exponent 0, is further off than numbers are moved.
const FORMAT: Range = Range { low: 64 - BIAS, high: 16382 };
/// What numbers are looked for to be: doubles, which can be stored as such.
const MODERATE: Range = Range { low: -1022, high: 1022 };

impl Emitter {
    /// Looks at two operands; the exponents of what is made of such.
    fn x87_operands(&mut self, numbers: [Number; 2], made: impl Fn(Range, Range) -> Range) -> Range {
        let [a, b] = numbers.map(|number| self.x87_require_number(number, MODERATE));
        let range = made(a, b);
        if FORMAT.union(range) == FORMAT {
            return range;
        }
        for (number, range) in numbers.into_iter().zip([a, b]) {
            if MODERATE.union(range) != MODERATE {
                self.x87_require_range(number, MODERATE);
            }
        }
        made(MODERATE, MODERATE)
    }

    /// `a` and `b` added, subtracted or multiplied; sets PE and C1.
    pub(super) fn x87_nearest(&mut self, operation: Nearest, a: Number, b: Number) -> Number {
        let range = self.x87_operands([a, b], |a, b| match operation {
            Nearest::Product => Range { low: a.low + b.low, high: a.high + b.high + 2 },
            _ => Range { low: a.low.min(b.low) - 64, high: a.high.max(b.high) + 2 },
        });
        let [significand, exponent, sign, lost, up] =
            [u64::MAX, X87_SIGN - 1, X87_SIGN, u64::MAX, u64::MAX].map(|bits| self.graph.product(bits));
        let result = Rounded { significand, exponent, sign, lost, up };
        let [a, b] = [a, b].map(|number| [number.significand, number.exponent, number.sign]);
        let operands = [a[0], a[1], a[2], b[0], b[1], b[2], self.cells[X87_LOST]];
        self.push(Step::X87Nearest { operation, operands, result });
        (self.cells[X87_LOST], self.cells[X87_UP]) = (lost, up);
        Number { significand, exponent, sign, known: Known::Range(range) }
    }

    /// Whether `low` is more than half of what `kept` counts by, or half of it beside an odd number.
    fn rounds_up(&mut self, kept: Value, low: Value) -> Value {
        let [one, top] = [1, TOP].map(|constant| self.imm(constant));
        let odd = self.and(kept, one);
        let low = self.or(low, odd);
        self.below(top, low)
    }

    /// The bits of `number` as a single or double; not zero where that is not exact, and 1 where it is further from zero.
    pub(super) fn x87_to_binary(&mut self, w: Width, number: Number) -> [Value; 3] {
        let (precision, highest, sign_up) = if w == Width::W32 { (24, 127, 16) } else { (53, 1023, 48) };
        let wanted = Range { low: 1 - highest, high: highest - 1 };
        let range = self.x87_require_number(number, wanted);
        if wanted.union(range) != wanted {
            self.x87_require_range(number, wanted);
        }
        let [dropped, precision_bits, bias, fraction_bits, sign_up] =
            [64 - precision, precision, (BIAS - highest + 1) as u64, precision - 1, sign_up]
                .map(|constant| self.imm(constant));
        let kept = self.shr(number.significand, dropped);
        let low = self.shl(W, number.significand, precision_bits);
        let up = self.rounds_up(kept, low);
        // The integer bit counts as one in the exponent, and so does a carry.
        let exponent = self.sub(W, number.exponent, bias);
        let magnitude = self.shl(W, exponent, fraction_bits);
        let magnitude = self.add(W, magnitude, kept);
        let magnitude = self.add(W, magnitude, up);
        let negative = self.shl(W, number.sign, sign_up);
        let value = self.or(magnitude, negative);
        let value = self.select(number.significand, value, negative);
        [self.graph.truncate(w, value), low, up]
    }

    /// `[a < b, a == b]`.
    pub(super) fn x87_relation(&mut self, a: Number, b: Number) -> [Value; 2] {
        for number in [a, b] {
            self.x87_require_number(number, MODERATE);
        }
        let [zero, fifteen, one] = [0, 15, 1].map(|constant| self.imm(constant));
        let equal_exponents = self.equal(a.exponent, b.exponent);
        let [less, more] = [(a, b), (b, a)].map(|(a, b)| {
            let shorter = self.below(a.exponent, b.exponent);
            let less = self.below(a.significand, b.significand);
            let less = self.and(equal_exponents, less);
            self.or(shorter, less)
        });
        let equal = self.equal(a.significand, b.significand);
        let equal = self.and(equal, equal_exponents);
        let [negative, negative_b] = [a, b].map(|number| self.shr(number.sign, fifteen));
        let differ = self.xor(negative, negative_b);
        let either = self.or(a.significand, b.significand);
        let both_zero = self.equal(either, zero);
        let not_zero = self.xor(both_zero, one);
        let below_zero = self.and(negative, not_zero);
        let less = self.select(negative, more, less);
        [self.select(differ, below_zero, less), self.select(differ, both_zero, equal)]
    }
}

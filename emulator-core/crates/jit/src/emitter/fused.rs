//! `VFMADD` and its family: one rounding for product and sum, though WebAssembly has no such operation that is the same everywhere.

use cpu::compiled::ENABLED_USUAL_ROUNDING;
use x86::instructions::simd::{ConvertOp, FmaKind, FmaOp, FpOp, Lanes, PackedOp};

use super::Emitter;
use super::look::Doubt;
use super::range::Range;
use crate::ir::{Relation, Value, Vector};

/// Exponents, biased, between which no product or error of double precision leaves the range: 2^-300 to 2^300.
const MODERATE: [u16; 2] = [1023 - 300, 1023 + 300];
/// Exponents of double precision of what is a normal number in single precision, but for the ends.
const NORMAL_SINGLE: [u16; 2] = [1023 - 125, 1023 + 127];

fn twice(lane: u64) -> u128 {
    u128::from(lane) << 64 | u128::from(lane)
}

fn signs(lanes: Lanes, [even, odd]: [bool; 2]) -> u128 {
    let sign = |set: bool, bit: u32| u128::from(set) << bit;
    if lanes == Lanes::Ps {
        let pair = sign(even, 31) | sign(odd, 63);
        pair << 64 | pair
    } else {
        sign(even, 63) | sign(odd, 127)
    }
}

impl Emitter {
    /// `operands` are two factors and an addend; of scalar forms, `first` has the lanes that stay.
    pub(super) fn fused_part(&mut self, op: FmaOp, first: Value, operands: [Value; 3]) -> Value {
        self.require(ENABLED_USUAL_ROUNDING);
        let (lanes, scalar) = match op.lanes() {
            Lanes::Ss => (Lanes::Ps, Some([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])),
            Lanes::Sd => (Lanes::Pd, Some([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7])),
            lanes => (lanes, None),
        };
        // All lanes of scalar forms are the lowest, so that a look at all of them is one at that.
        let spread = |emitter: &mut Emitter, operand| match scalar {
            Some(lowest) => emitter.graph.vector2(Vector::Shuffle(lowest), operand, operand),
            None => operand,
        };
        let [a, b, c] = operands.map(|operand| spread(self, operand));
        let (negate_product, negate_addend) = match op.kind() {
            FmaKind::Add => ([false; 2], [false; 2]),
            FmaKind::Sub => ([false; 2], [true; 2]),
            FmaKind::NegatedAdd => ([true; 2], [false; 2]),
            FmaKind::NegatedSub => ([true; 2], [true; 2]),
            FmaKind::AddSub => ([false; 2], [true, false]),
            FmaKind::SubAdd => ([false; 2], [false, true]),
        };
        let a = self.with_signs(lanes, a, negate_product);
        let c = self.with_signs(lanes, c, negate_addend);
        let value = if lanes == Lanes::Ps { self.fused_singles([a, b, c]) } else { self.fused_doubles([a, b, c]) };
        if scalar.is_none() {
            return value;
        }
        let replaced = if lanes == Lanes::Ps { 4 } else { 8 };
        let merged = core::array::from_fn(|at| at as u8 + if at < replaced { 16 } else { 0 });
        self.graph.vector2(Vector::Shuffle(merged), first, value)
    }

    fn with_signs(&mut self, lanes: Lanes, value: Value, flipped: [bool; 2]) -> Value {
        if flipped == [false; 2] {
            return value;
        }
        let signs = self.graph.vector_constant(signs(lanes, flipped));
        self.packed_pair(PackedOp::Pxor, value, signs)
    }

    fn doubles(&mut self, op: FpOp, a: Value, b: Value) -> Value {
        self.graph.vector2(Vector::Float(op, Lanes::Pd), a, b)
    }

    /// Leaves where a lane of doubles is not within these exponents, unless it is zero.
    fn check_within(&mut self, [least, end]: [u16; 2], value: Value) {
        let outside = self.graph.vector1(Vector::Outside(least, end, Lanes::Pd), value);
        let not_zero = self.not_zero(Lanes::Pd, value);
        let doubt = self.packed_pair(PackedOp::Pand, outside, not_zero);
        self.look_at(Lanes::Pd, value, Doubt { vector: Some(doubt), number: None });
    }

    /// In double precision products of singles are exact, so that sums are rounded once there and once more to singles. That is wrong only of a sum that the
    /// first rounding has put half-way between two singles.
    fn fused_singles(&mut self, operands: [Value; 3]) -> Value {
        for operand in operands {
            self.check_operand(Lanes::Ps, Range::normal(Lanes::Ps), operand);
        }
        let upper = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
        let high = operands.map(|operand| self.graph.vector2(Vector::Shuffle(upper), operand, operand));
        let [(low, low_doubt), (high, high_doubt)] = [operands, high].map(|half| self.fused_half(half));
        let joined = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
        let value = self.graph.vector2(Vector::Shuffle(joined), low, high);
        let doubt = self.packed_pair(PackedOp::Por, low_doubt, high_doubt);
        self.look_at(Lanes::Ps, value, Doubt { vector: Some(doubt), number: None });
        self.ranges.push((value, Lanes::Ps, Range::normal(Lanes::Ps)));
        value
    }

    /// Two of them as singles, and what is in doubt where one of these is unusual.
    fn fused_half(&mut self, operands: [Value; 3]) -> (Value, Value) {
        const BELOW_SINGLE: u64 = (1 << 29) - 1;
        const HALF_WAY: u64 = 1 << 28;
        let [a, b, c] =
            operands.map(|operand| self.graph.vector2(Vector::Convert(ConvertOp::Cvtps2pd), operand, operand));
        let product = self.doubles(FpOp::Mul, a, b);
        let sum = self.doubles(FpOp::Add, product, c);
        let [least, end] = NORMAL_SINGLE;
        let outside = self.graph.vector1(Vector::Outside(least, end, Lanes::Pd), sum);
        let not_zero = self.not_zero(Lanes::Pd, sum);
        let doubt = self.packed_pair(PackedOp::Pand, outside, not_zero);
        let [below, half_way] = [BELOW_SINGLE, HALF_WAY].map(|bits| self.graph.vector_constant(twice(bits)));
        let rest = self.packed_pair(PackedOp::Pand, sum, below);
        let in_doubt = self.packed_pair(PackedOp::Pcmpeqq, rest, half_way);
        self.look_for(in_doubt, Doubt { vector: Some(in_doubt), number: None });
        (self.graph.vector2(Vector::Convert(ConvertOp::Cvtpd2ps), sum, sum), doubt)
    }

    /// The product and its error by Dekker's and Veltkamp's algorithms ("A floating-point technique for extending the available precision", 1971), added to the
    /// addend with the smaller parts rounded to odd: S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.
    fn fused_doubles(&mut self, operands: [Value; 3]) -> Value {
        for operand in operands {
            self.check_within(MODERATE, operand);
        }
        let [a, b, c] = operands;
        let product = self.doubles(FpOp::Mul, a, b);
        let error = self.error_of_product(a, b, product);
        let [upper, lower] = self.two_sum(c, error);
        let [sum, rest] = self.two_sum(product, upper);
        let odd = self.sum_to_odd(lower, rest);
        let fused = self.doubles(FpOp::Add, sum, odd);
        // Of a sum that is zero, exactly then, the sign is that of the one that was rounded.
        let zero = self.graph.vector_constant(0);
        let rounded = self.doubles(FpOp::Add, product, c);
        let is_zero = self.graph.vector2(Vector::Compare(Relation::Equal, Lanes::Pd), fused, zero);
        self.graph.vector3(Vector::BitSelect, [rounded, fused, is_zero])
    }

    fn halves(&mut self, value: Value) -> [Value; 2] {
        const SPLITTER: f64 = ((1_u32 << 27) + 1) as f64;
        let splitter = self.graph.vector_constant(twice(SPLITTER.to_bits()));
        let scaled = self.doubles(FpOp::Mul, value, splitter);
        let above = self.doubles(FpOp::Sub, scaled, value);
        let high = self.doubles(FpOp::Sub, scaled, above);
        [high, self.doubles(FpOp::Sub, value, high)]
    }

    fn error_of_product(&mut self, a: Value, b: Value, product: Value) -> Value {
        let ([a_high, a_low], [b_high, b_low]) = (self.halves(a), self.halves(b));
        let highest = self.doubles(FpOp::Mul, a_high, b_high);
        let mut error = self.doubles(FpOp::Sub, highest, product);
        for [a, b] in [[a_high, b_low], [a_low, b_high], [a_low, b_low]] {
            let part = self.doubles(FpOp::Mul, a, b);
            error = self.doubles(FpOp::Add, error, part);
        }
        error
    }

    /// A sum, and what rounding has taken off it (Knuth, TAOCP volume 2, section 4.2.2, theorem B).
    fn two_sum(&mut self, a: Value, b: Value) -> [Value; 2] {
        let sum = self.doubles(FpOp::Add, a, b);
        let b_part = self.doubles(FpOp::Sub, sum, a);
        let a_part = self.doubles(FpOp::Sub, sum, b_part);
        let a_lost = self.doubles(FpOp::Sub, a, a_part);
        let b_lost = self.doubles(FpOp::Sub, b, b_part);
        [sum, self.doubles(FpOp::Add, a_lost, b_lost)]
    }

    /// `a + b`; where that is not exact, whichever neighbour of it has an odd significand.
    fn sum_to_odd(&mut self, a: Value, b: Value) -> Value {
        let [sum, lost] = self.two_sum(a, b);
        let [zero, one] = [0, 1].map(|lane| self.graph.vector_constant(twice(lane)));
        let lowest = self.packed_pair(PackedOp::Pand, sum, one);
        let is_even = self.packed_pair(PackedOp::Pcmpeqq, lowest, zero);
        let is_inexact = self.not_zero(Lanes::Pd, lost);
        let moves = self.packed_pair(PackedOp::Pand, is_even, is_inexact);
        // One further from zero, or one nearer where it was rounded away from zero.
        let differ = self.packed_pair(PackedOp::Pxor, sum, lost);
        let nearer = self.packed_pair(PackedOp::Pcmpgtq, zero, differ);
        let step = self.packed_pair(PackedOp::Por, nearer, one);
        let step = self.packed_pair(PackedOp::Pand, step, moves);
        self.packed_pair(PackedOp::Paddq, sum, step)
    }
}

//! Floating point in the usual environment ([`ENABLED_USUAL_ROUNDING`]): there an operation can only raise the precision exception, whose
//! flag is set already, unless an operand or the result is out of the ordinary. That is looked at, and then the interpreter computes it.
//!
//! Denormal operands raise DE, NaNs IE (or their payloads matter); infinite results may be overflows, and tiny ones underflows. What cannot be any of these, by what is known
//! of its operands ([`Range`]), needs no look.

use cpu::compiled::ENABLED_USUAL_ROUNDING;
use x86::Width;
use x86::instructions::simd::{ConvertOp, FloatOp, FpOp, Lanes, PackedOp};

use super::Emitter;
use super::look::Doubt;
use super::range::Range;
use crate::ir::{Binary, Float, Relation, Scalar, Step, Value, Vector};

fn width(lanes: Lanes) -> Width {
    if lanes.is_single() { Width::W32 } else { Width::W64 }
}

/// The packed form of scalar lanes.
fn whole(lanes: Lanes) -> Lanes {
    if lanes.is_single() { Lanes::Ps } else { Lanes::Pd }
}

/// Where a number may be zero.
#[derive(Clone, Copy)]
enum Zero {
    Anywhere,
    /// Where one of these is: a product.
    OfFactors(Value, Value),
    /// Where this is: a quotient.
    OfDividend(Value),
}

impl Emitter {
    pub(super) fn float_part(&mut self, op: FloatOp, a: Value, b: Value, imm: u8) -> Value {
        let lanes = op.lanes();
        match op.op() {
            FpOp::Compare => return self.compare_lanes(lanes, a, b, imm),
            FpOp::Add | FpOp::Sub | FpOp::Mul | FpOp::Div | FpOp::Sqrt | FpOp::Min | FpOp::Max => {}
            _ => return self.unsupported(a),
        }
        self.require(ENABLED_USUAL_ROUNDING);
        let wanted = match op.op() {
            FpOp::Min | FpOp::Max => Range::normal(lanes),
            _ => Range::moderate(lanes),
        };
        let by_product = op.op() == FpOp::Mul && self.shows_in_product(lanes, [a, b]);
        let second = self.check_operand(lanes, wanted, b);
        let first = match op.op() {
            FpOp::Sqrt => second,
            FpOp::Mul if by_product => Range::normal(lanes),
            _ => self.check_operand(lanes, wanted, a),
        };
        let value = if self.are_alone(op.op(), lanes, [a, b]) {
            let value = self.graph.vector2(Vector::Float(op.op(), whole(lanes)), a, b);
            self.alone.push((value, lanes));
            value
        } else if lanes.is_scalar() && !matches!(op.op(), FpOp::Min | FpOp::Max) {
            let operands = if op.op() == FpOp::Sqrt { [b, b] } else { [a, b] };
            let operands = operands.map(|vector| self.graph.lowest(lanes, vector));
            let float = self.graph.float(Float::Operation(op.op()), lanes, operands);
            self.graph.insert(lanes, a, float)
        } else {
            self.graph.vector2(Vector::Float(op.op(), lanes), a, b)
        };
        let (range, zero) = match op.op() {
            FpOp::Add | FpOp::Sub => {
                // What is denormal is exact.
                let range = first.sum(second, lanes);
                (Some(range).filter(|range| range.is_finite(lanes)), Zero::Anywhere)
            }
            FpOp::Mul if by_product => {
                self.check_product(lanes, value, [a, b]);
                (Some(Range::moderate(lanes)), Zero::OfFactors(a, b))
            }
            FpOp::Mul => {
                let range = first.product(second);
                let is_safe = range.is_finite(lanes) && range.is_large_enough(lanes);
                (Some(range).filter(|_| is_safe), Zero::OfFactors(a, b))
            }
            FpOp::Div => (None, Zero::OfDividend(a)),
            FpOp::Sqrt => (None, Zero::Anywhere),
            _ => (Some(first.union(second)), Zero::Anywhere),
        };
        let range = range.unwrap_or_else(|| {
            self.check_range(lanes, Range::moderate(lanes), value, zero);
            Range::moderate(lanes)
        });
        self.ranges.push((value, lanes, range));
        value
    }

    /// Whether the packed operation does the same: what is above the lowest lane stays zero.
    fn are_alone(&self, op: FpOp, lanes: Lanes, operands: [Value; 2]) -> bool {
        let is_alone = |&operand: &Value| self.alone.contains(&(operand, lanes));
        matches!(op, FpOp::Add | FpOp::Sub | FpOp::Mul) && operands.iter().all(is_alone)
    }

    /// Whether a look at the second factor and one at the product tell of the first, too: of singles the product has to be looked at anyway.
    fn shows_in_product(&mut self, lanes: Lanes, factors: [Value; 2]) -> bool {
        let is_known = |factor| self.ranges.iter().any(|&(value, in_lanes, _)| (value, in_lanes) == (factor, lanes));
        let shows = lanes.is_single() && factors[0] != factors[1] && !factors.into_iter().any(is_known);
        if shows {
            self.make_room(2);
        }
        shows
    }

    /// The same as [`Emitter::check_range`] of a product of singles, in the same look as its second factor: a usual one of those is below 2^65, so that the first is normal where the
    /// product is 2^-61 at least.
    fn check_product(&mut self, lanes: Lanes, product: Value, [a, b]: [Value; 2]) {
        let of_product = self.doubt(lanes, Range::moderate(lanes), product, Zero::OfFactors(a, b));
        let of_factor = self.doubt(lanes, Range::normal(lanes), a, Zero::Anywhere);
        let doubt = self.either_doubt(of_product, of_factor);
        self.look_above(lanes, 2, product, doubt);
        self.ranges.push((a, lanes, Range::normal(lanes)));
    }

    fn either_doubt(&mut self, a: Doubt, b: Doubt) -> Doubt {
        let vector = a.vector.zip(b.vector).map(|(a, b)| self.packed_pair(PackedOp::Por, a, b));
        let number = a.number.zip(b.number).map(|(a, b)| self.number(Binary::Or, a, b));
        Doubt { vector, number }
    }

    /// The lowest lane.
    fn lowest(&mut self, lanes: Lanes, vector: Value) -> Value {
        if lanes.is_single() { self.graph.doubleword(vector) } else { self.graph.quadword(0, vector) }
    }

    /// A number without its sign, at the top of 64 bits.
    pub(super) fn magnitude(&mut self, w: Width, bits: Value) -> Value {
        let unused = self.graph.constant(65 - u64::from(w.bits()));
        self.number(Binary::Shl, bits, unused)
    }

    /// 32 bits of a number, from the top of its exponent down.
    pub(super) fn exponent(&mut self, w: Width, bits: Value) -> Value {
        let (moves, count) = if w == Width::W32 { (Binary::Shl, 1) } else { (Binary::ShrUnsigned, 31) };
        let count = self.graph.constant(count);
        let moved = self.number(moves, bits, count);
        self.graph.truncate(Width::W32, moved)
    }

    /// The range of an operand; where it may be a denormal, an infinity or a NaN, this looks for it to be in the one that is wanted.
    pub(super) fn check_operand(&mut self, lanes: Lanes, wanted: Range, vector: Value) -> Range {
        let known = self.ranges.iter().rev().find(|&&(value, in_lanes, _)| (value, in_lanes) == (vector, lanes));
        if let Some(&(_, _, range)) = known
            && range.is_normal(lanes)
        {
            return range;
        }
        self.check_range(lanes, wanted, vector, Zero::Anywhere);
        self.ranges.push((vector, lanes, wanted));
        wanted
    }

    /// Leaves to the interpreter where a number's exponent is not in `range`, unless it is zero where it may be that.
    fn check_range(&mut self, lanes: Lanes, range: Range, value: Value, zero: Zero) {
        let doubt = self.doubt(lanes, range, value, zero);
        if lanes == Lanes::Sd {
            let bits = self.lowest(lanes, value);
            self.look_at_double(bits, doubt);
        } else {
            self.look_at(lanes, value, doubt);
        }
    }

    /// What decides that.
    fn doubt(&mut self, lanes: Lanes, range: Range, value: Value, zero: Zero) -> Doubt {
        if !lanes.is_scalar() {
            return Doubt { vector: Some(self.doubt_of_lanes(lanes, range, value, zero)), number: None };
        }
        let w = width(lanes);
        let bits = self.lowest(lanes, value);
        let outside = self.is_outside(w, range, bits);
        let mut number = self.magnitude(w, bits);
        let factors = match zero {
            Zero::Anywhere => None,
            Zero::OfDividend(dividend) => Some(self.lowest_magnitude(lanes, dividend)),
            Zero::OfFactors(a, b) => {
                let [a, b] = [a, b].map(|factor| self.lowest_magnitude(lanes, factor));
                let smaller = self.number(Binary::Below, a, b);
                Some(self.graph.select(smaller, a, b))
            }
        };
        if let Some(factors) = factors {
            number = self.number(Binary::Or, number, factors);
        }
        let none = self.graph.constant(0);
        let is_number = self.number(Binary::NotEqual, number, none);
        Doubt { number: Some(self.number(Binary::And, outside, is_number)), vector: None }
    }

    fn lowest_magnitude(&mut self, lanes: Lanes, vector: Value) -> Value {
        let bits = self.lowest(lanes, vector);
        self.magnitude(width(lanes), bits)
    }

    /// Leaves to the interpreter where a number is a denormal, an infinity or a NaN.
    pub(super) fn check_ordinary(&mut self, w: Width, bits: Value) {
        let lanes = if w == Width::W32 { Lanes::Ss } else { Lanes::Sd };
        let outside = self.is_outside(w, Range::normal(lanes), bits);
        let magnitude = self.magnitude(w, bits);
        self.interpret_where_both(outside, magnitude);
    }

    /// Leaves to the interpreter where `unusual` is not zero, and neither is `number`, which is asked for only then.
    pub(super) fn interpret_where_both(&mut self, unusual: Value, number: Value) {
        let zero = self.graph.constant(0);
        let doubt = self.number(Binary::NotEqual, number, zero);
        if [unusual, doubt].iter().any(|&part| self.graph.constant_of(part) == Some(0)) {
            return;
        }
        let stop = self.stop_before();
        self.stops[stop].doubt = Some(doubt);
        self.push(Step::Guard { condition: unusual, stop });
    }

    /// The same of all lanes.
    fn doubt_of_lanes(&mut self, lanes: Lanes, range: Range, value: Value, zero: Zero) -> Value {
        let bias = if lanes.is_single() { 127 } else { 1023 };
        let (least, end) = ((range.low + bias) as u16, (range.high + 1 + bias) as u16);
        let outside = self.graph.vector1(Vector::Outside(least, end, lanes), value);
        let mut doubt = self.not_zero(lanes, value);
        let factors = match zero {
            Zero::Anywhere => None,
            Zero::OfDividend(dividend) => Some(self.not_zero(lanes, dividend)),
            Zero::OfFactors(a, b) => {
                let [a, b] = [a, b].map(|factor| self.not_zero(lanes, factor));
                Some(self.packed_pair(PackedOp::Pand, a, b))
            }
        };
        if let Some(factors) = factors {
            doubt = self.packed_pair(PackedOp::Por, doubt, factors);
        }
        self.packed_pair(PackedOp::Pand, outside, doubt)
    }

    /// All ones in lanes that are not zero.
    pub(super) fn not_zero(&mut self, lanes: Lanes, value: Value) -> Value {
        let zero = self.graph.vector_constant(0);
        self.graph.vector2(Vector::Compare(Relation::NotEqual, lanes), value, zero)
    }

    pub(super) fn packed_pair(&mut self, op: PackedOp, a: Value, b: Value) -> Value {
        self.graph.vector2(Vector::Packed(op), a, b)
    }

    /// 1 where the exponent is not in `range`.
    fn is_outside(&mut self, w: Width, range: Range, bits: Value) -> Value {
        // At the top of 32 bits.
        let (bias, place) = if w == Width::W32 { (127, 24) } else { (1023, 21) };
        let exponent = self.exponent(w, bits);
        let least = self.graph.constant(((range.low + bias) as u64) << place);
        let span = self.graph.constant(((range.high + 1 - range.low) as u64) << place);
        let above = self.number(Binary::Sub, exponent, least);
        let above = self.graph.truncate(Width::W32, above);
        self.number(Binary::BelowOrEqual, span, above)
    }

    /// ZF and CF in their places: neither operand is a NaN.
    pub(super) fn compare_to_eflags(&mut self, lanes: Lanes, a: Value, b: Value) -> Value {
        self.check_operand(lanes, Range::normal(lanes), a);
        self.check_operand(lanes, Range::normal(lanes), b);
        let [a, b] = [a, b].map(|vector| self.graph.lowest(lanes, vector));
        let equal = self.graph.scalar2(Scalar::Holds(Relation::Equal, lanes), a, b);
        let less = self.graph.scalar2(Scalar::Holds(Relation::Less, lanes), a, b);
        let zero_flag = self.graph.constant(6);
        let equal = self.number(Binary::Shl, equal, zero_flag);
        self.number(Binary::Or, equal, less)
    }

    /// `CMPccPS` and its family.
    fn compare_lanes(&mut self, lanes: Lanes, a: Value, b: Value, imm: u8) -> Value {
        let relation = match imm {
            0 => Relation::Equal,
            1 => Relation::Less,
            2 => Relation::LessOrEqual,
            4 => Relation::NotEqual,
            5 => Relation::NotLess,
            6 => Relation::NotLessOrEqual,
            _ => return self.unsupported(a),
        };
        self.check_operand(lanes, Range::normal(lanes), a);
        self.check_operand(lanes, Range::normal(lanes), b);
        self.graph.vector2(Vector::Compare(relation, lanes), a, b)
    }

    pub(super) fn convert_part(&mut self, op: ConvertOp, a: Value, b: Value) -> Value {
        match op {
            ConvertOp::Cvtdq2pd => {}
            ConvertOp::Cvtdq2ps => self.require(ENABLED_USUAL_ROUNDING),
            ConvertOp::Cvttps2dq => {
                self.require(ENABLED_USUAL_ROUNDING);
                // NaNs, and what is 2^31 or more.
                const END: u16 = 127 + 31;
                let outside = self.graph.vector1(Vector::Outside(0, END, Lanes::Ps), b);
                self.look_for(outside, Doubt { vector: Some(outside), number: None });
            }
            ConvertOp::Cvtss2sd => {
                self.check_operand(Lanes::Ss, Range::normal(Lanes::Ss), b);
                let float = self.graph.lowest(Lanes::Ss, b);
                let float = self.graph.float(Float::Converted, Lanes::Sd, [float; 2]);
                return self.graph.insert(Lanes::Sd, a, float);
            }
            ConvertOp::Cvtsd2ss => return self.narrowed(a, b),
            _ => return self.unsupported(a),
        }
        self.graph.vector2(Vector::Convert(op), a, b)
    }

    fn narrowed(&mut self, a: Value, b: Value) -> Value {
        self.require(ENABLED_USUAL_ROUNDING);
        let float = self.graph.lowest(Lanes::Sd, b);
        let float = self.graph.float(Float::Converted, Lanes::Ss, [float; 2]);
        let value = self.graph.insert(Lanes::Ss, a, float);
        let [narrow, wide] = [(Lanes::Ss, value), (Lanes::Sd, b)].map(|(lanes, vector)| self.lowest(lanes, vector));
        let range = Range { low: Range::normal(Lanes::Ss).low + 1, ..Range::normal(Lanes::Ss) };
        let outside = self.is_outside(Width::W32, range, narrow);
        let magnitude = self.magnitude(Width::W64, wide);
        self.interpret_where_both(outside, magnitude);
        self.ranges.push((value, Lanes::Ss, range));
        value
    }

    /// The lowest lane as an integer; what does not fit is left to the interpreter.
    pub(super) fn lowest_as_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: Value) -> Value {
        self.require(ENABLED_USUAL_ROUNDING);
        let bits = self.lowest(lanes, a);
        let magnitude = self.magnitude(width(lanes), bits);
        // 2^31 or 2^63, less one binade where rounding might still reach it.
        let exponent = u64::from(w.bits()) - 1 - u64::from(!truncate);
        let (bias, exponent_at) = if lanes.is_single() { (127, 56) } else { (1023, 53) };
        let limit = self.graph.constant((bias + exponent) << exponent_at);
        let too_large = self.number(Binary::BelowOrEqual, limit, magnitude);
        self.interpret_where(too_large);
        let float = self.graph.lowest(lanes, a);
        let value = self.graph.scalar1(Scalar::ToInteger(lanes, truncate), float);
        self.graph.truncate(w, value)
    }
}

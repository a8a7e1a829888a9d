//! Floating point in the usual environment ([`ENABLED_USUAL_ROUNDING`]): there an operation can only raise the precision exception, whose
//! flag is set already, unless an operand or the result is out of the ordinary. That is looked at, and then the interpreter computes it.
//!
//! Denormal operands raise DE, NaNs IE (or their payloads matter); infinite results may be overflows, and tiny ones underflows. Results are never denormal here, so
//! that operands that are results need no look.

use cpu::compiled::ENABLED_USUAL_ROUNDING;
use x86::Width;
use x86::instructions::simd::{ConvertOp, FloatOp, FpOp, Lanes, PackedOp};

use super::Emitter;
use crate::ir::{Binary, Node, Relation, Scalar, Step, Value, Vector};

/// Exponents at the top of 32 bits: constants to compare with.
struct Format {
    /// Of the smallest normal number, of the next binade, and of infinity.
    least_normal: u64,
    next_binade: u64,
    infinity: u64,
}

const SINGLE: Format = Format { least_normal: 1 << 24, next_binade: 2 << 24, infinity: 0xff << 24 };
const DOUBLE: Format = Format { least_normal: 1 << 21, next_binade: 2 << 21, infinity: 0x7ff << 21 };

fn is_single(lanes: Lanes) -> bool {
    matches!(lanes, Lanes::Ps | Lanes::Ss)
}

fn is_scalar(lanes: Lanes) -> bool {
    matches!(lanes, Lanes::Ss | Lanes::Sd)
}

fn width(lanes: Lanes) -> Width {
    if is_single(lanes) { Width::W32 } else { Width::W64 }
}

/// What about a number would raise more than the precision exception, or is not worth deciding here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// A denormal, an infinity or a NaN as an operand.
    Operand,
    /// The same as a result.
    Result,
    /// The same, or zero though both operands are not, or a number of the least binade: it may have been tiny before it was rounded.
    Product,
    /// The same, or zero though the first operand is not.
    Quotient,
}

impl Emitter {
    pub(super) fn float_part(&mut self, op: FloatOp, a: Value, b: Value, imm: u8) -> Value {
        let lanes = op.lanes();
        let check = match op.op() {
            FpOp::Add | FpOp::Sub => Check::Result,
            FpOp::Mul => Check::Product,
            FpOp::Div => Check::Quotient,
            FpOp::Sqrt => Check::Result,
            FpOp::Min | FpOp::Max => Check::Operand,
            FpOp::Compare => return self.compare_lanes(lanes, a, b, imm),
            _ => return self.unsupported(a),
        };
        self.require(ENABLED_USUAL_ROUNDING);
        if op.op() != FpOp::Sqrt {
            self.check_operand(lanes, a);
        }
        self.check_operand(lanes, b);
        let value = self.graph.vector2(Vector::Float(op.op(), lanes), a, b);
        if check != Check::Operand {
            self.check_result(check, lanes, value, a, b);
        }
        self.ordinary.push((value, lanes));
        value
    }

    /// Leaves to the interpreter where `condition` is not zero.
    pub(super) fn interpret_where(&mut self, condition: Value) {
        if self.graph.constant_of(condition) != Some(0) {
            let stop = self.stop_before(None);
            self.steps.push(Step::Guard { condition, stop });
        }
    }

    /// The lowest lane.
    fn lowest(&mut self, lanes: Lanes, vector: Value) -> Value {
        if is_single(lanes) { self.graph.scalar1(Scalar::Doubleword, vector) } else { self.graph.quadword(0, vector) }
    }

    /// A number without its sign, at the top of 64 bits.
    pub(super) fn magnitude(&mut self, w: Width, bits: Value) -> Value {
        let unused = self.graph.constant(65 - u64::from(w.bits()));
        self.number(Binary::Shl, bits, unused)
    }

    /// 32 bits of a number, from the top of its exponent down.
    fn exponent(&mut self, w: Width, bits: Value) -> Value {
        let (moves, count) = if w == Width::W32 { (Binary::Shl, 1) } else { (Binary::ShrUnsigned, 31) };
        let count = self.graph.constant(count);
        let moved = self.number(moves, bits, count);
        self.graph.truncate(Width::W32, moved)
    }

    /// No denormal, infinity or NaN.
    pub(super) fn check_operand(&mut self, lanes: Lanes, vector: Value) {
        if self.ordinary.contains(&(vector, lanes)) {
            return;
        }
        if is_scalar(lanes) {
            let bits = self.lowest(lanes, vector);
            self.check_ordinary(width(lanes), bits);
        } else {
            self.check_lanes(Check::Operand, lanes, [vector; 3]);
        }
        self.ordinary.push((vector, lanes));
    }

    /// Leaves to the interpreter where a number is a denormal, an infinity or a NaN.
    pub(super) fn check_ordinary(&mut self, w: Width, bits: Value) {
        let format = if w == Width::W32 { &SINGLE } else { &DOUBLE };
        let not_within = self.is_not_within(format.least_normal, format.infinity, w, bits);
        let magnitude = self.magnitude(w, bits);
        self.interpret_where_both(not_within, magnitude);
    }

    /// Leaves to the interpreter where `unusual` is not zero, and neither is `number`, which is asked for only then.
    fn interpret_where_both(&mut self, unusual: Value, number: Value) {
        let zero = self.graph.constant(0);
        let doubt = self.number(Binary::NotEqual, number, zero);
        if [unusual, doubt].iter().any(|&part| self.graph.constant_of(part) == Some(0)) {
            return;
        }
        let stop = self.stop_before(None);
        self.stops[stop].doubt = Some(doubt);
        self.steps.push(Step::Guard { condition: unusual, stop });
    }

    /// The same as [`Emitter::check_operand`] or [`Emitter::check_result`], of all lanes.
    fn check_lanes(&mut self, check: Check, lanes: Lanes, [value, a, b]: [Value; 3]) {
        let least = if matches!(check, Check::Product | Check::Quotient) { 2 } else { 1 };
        let end = if is_single(lanes) { 0xff } else { 0x7ff };
        let outside = self.graph.vector1(Vector::Outside(least, end, lanes), value);
        let mut doubt = self.not_zero(lanes, value);
        if matches!(check, Check::Product | Check::Quotient) {
            let mut factors = self.not_zero(lanes, a);
            if check == Check::Product {
                let other = self.not_zero(lanes, b);
                factors = self.packed_pair(PackedOp::Pand, factors, other);
            }
            doubt = self.packed_pair(PackedOp::Por, doubt, factors);
        }
        self.check_where(outside, doubt);
    }

    /// All ones in lanes that are not zero.
    pub(super) fn not_zero(&mut self, lanes: Lanes, value: Value) -> Value {
        let zero = self.graph.vector_constant(0);
        self.graph.vector2(Vector::Compare(Relation::NotEqual, lanes), value, zero)
    }

    pub(super) fn packed_pair(&mut self, op: PackedOp, a: Value, b: Value) -> Value {
        self.graph.vector2(Vector::Packed(op), a, b)
    }

    /// Leaves to the interpreter where a bit of `unusual` is one, and so it is of `doubt`, which is asked for only then. If nothing has happened since the last such
    /// look, that one looks at both.
    pub(super) fn check_where(&mut self, unusual: Value, doubt: Value) {
        let doubt = self.packed_pair(PackedOp::Pand, unusual, doubt);
        let any = |emitter: &mut Emitter, vector| emitter.graph.scalar1(Scalar::Any, vector);
        if let Some(&Step::Guard { condition, stop }) = self.steps.last()
            && let Node::Scalar(Scalar::Any, [others, ..]) = self.graph.node(condition)
            && let Some(others_doubt) = self.stops[stop].doubt
            && let Node::Scalar(Scalar::Any, [others_doubt, ..]) = self.graph.node(others_doubt)
        {
            let unusual = self.packed_pair(PackedOp::Por, others, unusual);
            let doubt = self.packed_pair(PackedOp::Por, others_doubt, doubt);
            self.stops[stop].doubt = Some(any(self, doubt));
            let condition = any(self, unusual);
            self.steps.pop();
            self.steps.push(Step::Guard { condition, stop });
            return;
        }
        let stop = self.stop_before(None);
        self.stops[stop].doubt = Some(any(self, doubt));
        let condition = any(self, unusual);
        self.steps.push(Step::Guard { condition, stop });
    }

    /// 1 where the exponent is below `least`, or not below `end`.
    fn is_not_within(&mut self, least: u64, end: u64, w: Width, bits: Value) -> Value {
        let exponent = self.exponent(w, bits);
        let (least, span) = (self.graph.constant(least), self.graph.constant(end - least));
        let above = self.number(Binary::Sub, exponent, least);
        let above = self.graph.truncate(Width::W32, above);
        self.number(Binary::BelowOrEqual, span, above)
    }

    fn check_result(&mut self, check: Check, lanes: Lanes, value: Value, a: Value, b: Value) {
        if !is_scalar(lanes) {
            self.check_lanes(check, lanes, [value, a, b]);
            return;
        }
        let w = width(lanes);
        let bits = self.lowest(lanes, value);
        if check == Check::Result {
            self.check_ordinary(w, bits);
            return;
        }
        // Zero is right where an operand is: of a quotient, the dividend.
        let [first, second] = [a, b].map(|operand| self.lowest(lanes, operand));
        let mut factors = self.magnitude(w, first);
        if check == Check::Product {
            let other = self.magnitude(w, second);
            let smaller = self.number(Binary::Below, factors, other);
            factors = self.graph.select(smaller, factors, other);
        }
        let format = if w == Width::W32 { &SINGLE } else { &DOUBLE };
        let not_within = self.is_not_within(format.next_binade, format.infinity, w, bits);
        let magnitude = self.magnitude(w, bits);
        let any = self.number(Binary::Or, magnitude, factors);
        self.interpret_where_both(not_within, any);
    }

    /// ZF and CF in their places: neither operand is a NaN.
    pub(super) fn compare_to_eflags(&mut self, lanes: Lanes, a: Value, b: Value) -> Value {
        self.check_operand(lanes, a);
        self.check_operand(lanes, b);
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
        self.check_operand(lanes, a);
        self.check_operand(lanes, b);
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
                self.check_where(outside, outside);
            }
            ConvertOp::Cvtss2sd => self.check_operand(Lanes::Ss, b),
            ConvertOp::Cvtsd2ss => return self.narrowed(a, b),
            _ => return self.unsupported(a),
        }
        self.graph.vector2(Vector::Convert(op), a, b)
    }

    fn narrowed(&mut self, a: Value, b: Value) -> Value {
        self.require(ENABLED_USUAL_ROUNDING);
        let value = self.graph.vector2(Vector::Convert(ConvertOp::Cvtsd2ss), a, b);
        let [narrow, wide] = [(Lanes::Ss, value), (Lanes::Sd, b)].map(|(lanes, vector)| self.lowest(lanes, vector));
        let not_within = self.is_not_within(SINGLE.next_binade, SINGLE.infinity, Width::W32, narrow);
        let magnitude = self.magnitude(Width::W64, wide);
        self.interpret_where_both(not_within, magnitude);
        value
    }

    /// The lowest lane as an integer; what does not fit is left to the interpreter.
    pub(super) fn lowest_as_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: Value) -> Value {
        self.require(ENABLED_USUAL_ROUNDING);
        let bits = self.lowest(lanes, a);
        let magnitude = self.magnitude(width(lanes), bits);
        // 2^31 or 2^63, less one binade where rounding might still reach it.
        let exponent = u64::from(w.bits()) - 1 - u64::from(!truncate);
        let (bias, exponent_at) = if is_single(lanes) { (127, 56) } else { (1023, 53) };
        let limit = self.graph.constant((bias + exponent) << exponent_at);
        let too_large = self.number(Binary::BelowOrEqual, limit, magnitude);
        self.interpret_where(too_large);
        let value = self.graph.scalar1(Scalar::ToInteger(lanes, truncate), a);
        self.graph.truncate(w, value)
    }
}

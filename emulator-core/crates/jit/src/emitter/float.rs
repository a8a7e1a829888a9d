//! Floating point in the usual environment ([`Need::UsualRounding`]): there an operation can only raise the precision exception, whose
//! flag is set already, unless an operand or the result is out of the ordinary. That is looked at, and then the interpreter computes it.
//!
//! Denormal operands raise DE, NaNs IE (or their payloads matter); infinite results may be overflows, and tiny ones underflows. Results are never denormal here, so
//! that operands that are results need no look.

use x86::Width;
use x86::instructions::simd::{ConvertOp, FloatOp, FpOp, Lanes};

use super::Emitter;
use crate::ir::{Binary, Check, Need, Relation, Scalar, Step, Value, Vector};

/// The bits of a lane without its sign, moved to the top of 64: constants to compare with.
pub(super) struct Format {
    /// The smallest normal number, and the least of the next binade.
    least_normal: u64,
    next_binade: u64,
    infinity: u64,
}

pub(super) const SINGLE: Format = Format { least_normal: 1 << 56, next_binade: 2 << 56, infinity: 0xff << 56 };
pub(super) const DOUBLE: Format = Format { least_normal: 1 << 53, next_binade: 2 << 53, infinity: 0x7ff << 53 };

fn is_single(lanes: Lanes) -> bool {
    matches!(lanes, Lanes::Ps | Lanes::Ss)
}

fn is_scalar(lanes: Lanes) -> bool {
    matches!(lanes, Lanes::Ss | Lanes::Sd)
}

fn format(lanes: Lanes) -> &'static Format {
    if is_single(lanes) { &SINGLE } else { &DOUBLE }
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
        self.require(Need::UsualRounding);
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

    /// The lowest lane without its sign, at the top of 64 bits.
    fn magnitude(&mut self, lanes: Lanes, vector: Value) -> Value {
        let (bits, unused) = if is_single(lanes) {
            (self.graph.scalar1(Scalar::Doubleword, vector), 33)
        } else {
            (self.graph.quadword(0, vector), 1)
        };
        let unused = self.graph.constant(unused);
        self.number(Binary::Shl, bits, unused)
    }

    /// No denormal, infinity or NaN.
    fn check_operand(&mut self, lanes: Lanes, vector: Value) {
        if self.ordinary.contains(&(vector, lanes)) {
            return;
        }
        let suspicious = if is_scalar(lanes) {
            let magnitude = self.magnitude(lanes, vector);
            self.is_not_normal_or_zero(format(lanes), magnitude)
        } else {
            self.graph.scalar1(Scalar::Suspicious(Check::Operand, lanes), vector)
        };
        self.interpret_where(suspicious);
        self.ordinary.push((vector, lanes));
    }

    /// 1 where a magnitude is that of a denormal, infinite, or a NaN.
    pub(super) fn is_not_normal_or_zero(&mut self, format: &Format, magnitude: Value) -> Value {
        let not_normal = self.is_not_within(format.least_normal, format.infinity, magnitude);
        let zero = self.graph.constant(0);
        let not_zero = self.number(Binary::NotEqual, magnitude, zero);
        self.number(Binary::And, not_normal, not_zero)
    }

    fn is_not_within(&mut self, least: u64, end: u64, magnitude: Value) -> Value {
        let (least, span) = (self.graph.constant(least), self.graph.constant(end - least));
        let above = self.number(Binary::Sub, magnitude, least);
        self.number(Binary::BelowOrEqual, span, above)
    }

    fn check_result(&mut self, check: Check, lanes: Lanes, value: Value, a: Value, b: Value) {
        if !is_scalar(lanes) {
            let suspicious = self.graph.scalar3(Scalar::Suspicious(check, lanes), [value, a, b]);
            self.interpret_where(suspicious);
            return;
        }
        let magnitude = self.magnitude(lanes, value);
        let Format { next_binade, infinity, .. } = *format(lanes);
        if check == Check::Result {
            let suspicious = self.is_not_normal_or_zero(format(lanes), magnitude);
            self.interpret_where(suspicious);
            return;
        }
        // Zero is right where an operand is: of a quotient, the dividend.
        let zero = self.graph.constant(0);
        let mut factors = self.magnitude(lanes, a);
        if check == Check::Product {
            let other = self.magnitude(lanes, b);
            let smaller = self.number(Binary::Below, factors, other);
            factors = self.graph.select(smaller, factors, other);
        }
        let not_within = self.is_not_within(next_binade, infinity, magnitude);
        let any = self.number(Binary::Or, magnitude, factors);
        let not_zero = self.number(Binary::NotEqual, any, zero);
        let suspicious = self.number(Binary::And, not_within, not_zero);
        self.interpret_where(suspicious);
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
            ConvertOp::Cvtdq2ps => self.require(Need::UsualRounding),
            ConvertOp::Cvttps2dq => {
                self.require(Need::UsualRounding);
                let suspicious = self.graph.scalar1(Scalar::Suspicious(Check::Range, Lanes::Ps), b);
                self.interpret_where(suspicious);
            }
            ConvertOp::Cvtss2sd => self.check_operand(Lanes::Ss, b),
            ConvertOp::Cvtsd2ss => return self.narrowed(a, b),
            _ => return self.unsupported(a),
        }
        self.graph.vector2(Vector::Convert(op), a, b)
    }

    fn narrowed(&mut self, a: Value, b: Value) -> Value {
        self.require(Need::UsualRounding);
        let value = self.graph.vector2(Vector::Convert(ConvertOp::Cvtsd2ss), a, b);
        let (narrow, wide) = (self.magnitude(Lanes::Ss, value), self.magnitude(Lanes::Sd, b));
        let not_within = self.is_not_within(SINGLE.next_binade, SINGLE.infinity, narrow);
        let zero = self.graph.constant(0);
        let not_zero = self.number(Binary::NotEqual, wide, zero);
        let suspicious = self.number(Binary::And, not_within, not_zero);
        self.interpret_where(suspicious);
        value
    }

    /// The lowest lane as an integer; what does not fit is left to the interpreter.
    pub(super) fn lowest_as_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: Value) -> Value {
        self.require(Need::UsualRounding);
        let magnitude = self.magnitude(lanes, a);
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

//! Simplifications, each local to one new value and its operands.
//!
//! They are what turns the semantics' general formulas into the code one would write by hand: a mask that
//! clears nothing, a shift by a constant, the write of AL read back, a chain of address additions.

use x86::Width;

use super::Graph;
use crate::ir::{Binary, Node, Scalar, Unary, Value};

/// The width of which `mask` is all bits.
fn width_of_mask(mask: u64) -> Option<Width> {
    [Width::W8, Width::W16, Width::W32].into_iter().find(|w| w.mask() == mask)
}

impl Graph {
    pub(crate) fn unary(&mut self, op: Unary, a: Value) -> Value {
        if let Some(constant) = self.constant_of(a) {
            return self.constant(match op {
                Unary::SignExtend(from) => from.sign_extend(constant),
                Unary::TrailingZeros => u64::from(constant.trailing_zeros()),
                Unary::LeadingZeros => u64::from(constant.leading_zeros()),
                Unary::Ones => u64::from(constant.count_ones()),
            });
        }
        if let Unary::SignExtend(from) = op {
            if self.possible(a) & !(from.mask() >> 1) == 0 {
                return a;
            }
            let inner = self.without_mask(a, from.mask());
            return self.intern(Node::Unary(op, inner));
        }
        self.intern(Node::Unary(op, a))
    }

    pub(crate) fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        if let Some(condition) = self.constant_of(condition) {
            return if condition != 0 { a } else { b };
        }
        if a == b {
            return a;
        }
        self.intern(Node::Select(condition, a, b))
    }

    pub(crate) fn binary(&mut self, op: Binary, a: Value, b: Value) -> Value {
        if let (Some(x), Some(y)) = (self.constant_of(a), self.constant_of(b))
            && let Some(constant) = compute(op, x, y)
        {
            return self.constant(constant);
        }
        let (a, b) = self.ordered(op, a, b);
        match op {
            Binary::Add => self.add(a, b),
            Binary::Sub => self.sub(a, b),
            Binary::Mul => self.mul(a, b),
            Binary::And => self.and(a, b),
            Binary::Or => self.or(a, b),
            Binary::Xor => self.xor(a, b),
            Binary::Shl | Binary::ShrUnsigned | Binary::ShrSigned => self.shift(op, a, b),
            _ if op.is_comparison() => self.comparison(op, a, b),
            _ => self.intern(Node::Binary(op, a, b)),
        }
    }

    /// Puts a constant operand of a commutative operation second, and the others in one order.
    fn ordered(&self, op: Binary, a: Value, b: Value) -> (Value, Value) {
        use Binary::{Add, And, Equal, Mul, MulHighSigned, MulHighUnsigned, NotEqual, Or, Xor};
        let commutes = matches!(op, Add | Mul | MulHighSigned | MulHighUnsigned | And | Or | Xor | Equal | NotEqual);
        let key = |v: Value| (self.constant_of(v).is_some(), v.0);
        if commutes && key(a) > key(b) { (b, a) } else { (a, b) }
    }

    fn add(&mut self, a: Value, b: Value) -> Value {
        let Some(y) = self.constant_of(b) else { return self.intern(Node::Binary(Binary::Add, a, b)) };
        if y == 0 {
            return a;
        }
        if let Some((inner, x)) = self.operands_of(a, Binary::Add)
            && let Some(x) = self.constant_of(x)
        {
            let sum = self.constant(x.wrapping_add(y));
            return self.binary(Binary::Add, inner, sum);
        }
        self.intern(Node::Binary(Binary::Add, a, b))
    }

    fn sub(&mut self, a: Value, b: Value) -> Value {
        if a == b {
            return self.constant(0);
        }
        if let Some(y) = self.constant_of(b) {
            let negated = self.constant(y.wrapping_neg());
            return self.binary(Binary::Add, a, negated);
        }
        self.intern(Node::Binary(Binary::Sub, a, b))
    }

    fn mul(&mut self, a: Value, b: Value) -> Value {
        match self.constant_of(b) {
            Some(0) => b,
            Some(y) if y.is_power_of_two() => {
                let count = self.constant(u64::from(y.trailing_zeros()));
                self.binary(Binary::Shl, a, count)
            }
            _ => self.intern(Node::Binary(Binary::Mul, a, b)),
        }
    }

    fn and(&mut self, a: Value, b: Value) -> Value {
        if a == b {
            return a;
        }
        if self.possible(a) & self.possible(b) == 0 || self.is_complement(a, b) {
            return self.constant(0);
        }
        let Some(mask) = self.constant_of(b) else { return self.intern(Node::Binary(Binary::And, a, b)) };
        if let Node::Scalar(Scalar::Quadword(0), [vector, ..]) = self.node(a)
            && mask == Width::W32.mask()
        {
            return self.doubleword(vector);
        }
        if self.possible(a) & !mask == 0 {
            return a;
        }
        if let Some((inner, other)) = self.operands_of(a, Binary::And)
            && let Some(other) = self.constant_of(other)
        {
            let both = self.constant(mask & other);
            return self.binary(Binary::And, inner, both);
        }
        if let Some((x, y)) = self.operands_of(a, Binary::Or) {
            for (kept, dropped) in [(x, y), (y, x)] {
                if self.possible(dropped) & mask == 0 {
                    return self.binary(Binary::And, kept, b);
                }
            }
        }
        let a = if width_of_mask(mask).is_some() { self.without_mask(a, mask) } else { a };
        self.intern(Node::Binary(Binary::And, a, b))
    }

    /// `a` or a simpler value with the same bits within `mask`, a low mask.
    fn without_mask(&mut self, a: Value, mask: u64) -> Value {
        match self.node(a) {
            Node::Unary(Unary::SignExtend(from), inner) if mask & !from.mask() == 0 => inner,
            Node::Binary(Binary::And, inner, other) if self.constant_of(other).is_some_and(|m| mask & !m == 0) => inner,
            // Carries only move up: bits above the mask have no part in what is kept.
            Node::Binary(Binary::Add, inner, offset) if self.constant_of(offset).is_some() => {
                let stripped = self.without_mask(inner, mask);
                if stripped == inner { a } else { self.binary(Binary::Add, stripped, offset) }
            }
            _ => a,
        }
    }

    fn is_complement(&self, a: Value, b: Value) -> bool {
        let inverts = |x: Value, y: Value| {
            self.operands_of(x, Binary::Xor)
                .is_some_and(|(inner, ones)| inner == y && self.constant_of(ones) == Some(u64::MAX))
        };
        inverts(a, b) || inverts(b, a)
    }

    fn or(&mut self, a: Value, b: Value) -> Value {
        if a == b || self.constant_of(b) == Some(0) {
            return a;
        }
        if self.constant_of(b) == Some(u64::MAX) {
            return b;
        }
        match self.or_equal(a, b).or_else(|| self.rotation(a, b)).or_else(|| self.rotation(b, a)) {
            Some(simpler) => simpler,
            None => self.intern(Node::Binary(Binary::Or, a, b)),
        }
    }

    /// The rotation that the high part `left` and the low part `right` make up.
    fn rotation(&mut self, left: Value, right: Value) -> Option<Value> {
        let (value, down) = self.operands_of(right, Binary::ShrUnsigned)?;
        let down = self.constant_of(down)?;
        let (shifted, mask) = self.operands_of(left, Binary::And).map_or((left, None), |(a, mask)| (a, Some(mask)));
        let (other, up) = self.operands_of(shifted, Binary::Shl)?;
        let narrow = mask.map(|mask| self.constant_of(mask));
        let op = match (narrow, self.possible(value) >> 32) {
            (Some(Some(0xffff_ffff)), 0) if self.constant_of(up)? + down == 32 => Binary::RotateLeft32,
            (None, _) if self.constant_of(up)? + down == 64 => Binary::RotateLeft64,
            _ => return None,
        };
        (other == value).then(|| self.intern(Node::Binary(op, value, up)))
    }

    fn xor(&mut self, a: Value, b: Value) -> Value {
        if a == b {
            return self.constant(0);
        }
        if let Some(y) = self.constant_of(b) {
            if y == 0 {
                return a;
            }
            if let Some((inner, x)) = self.operands_of(a, Binary::Xor)
                && let Some(x) = self.constant_of(x)
            {
                let both = self.constant(x ^ y);
                return self.binary(Binary::Xor, inner, both);
            }
            if y == 1
                && let Some(inverse) = self.inverse(a)
            {
                return inverse;
            }
        }
        match self.signed_less(a, b) {
            Some(less) => less,
            None => self.intern(Node::Binary(Binary::Xor, a, b)),
        }
    }

    fn shift(&mut self, op: Binary, a: Value, b: Value) -> Value {
        if self.possible(a) == 0 {
            return a;
        }
        let Some(count) = self.constant_of(b).map(|count| count & 63) else {
            return self.intern(Node::Binary(op, a, b));
        };
        if count == 0 {
            return a;
        }
        let b = self.constant(count);
        if op == Binary::ShrUnsigned {
            return self.shift_right(a, b, count);
        }
        self.intern(Node::Binary(op, a, b))
    }

    fn shift_right(&mut self, a: Value, b: Value, count: u64) -> Value {
        if self.possible(a) >> count == 0 {
            return self.constant(0);
        }
        if let Some(borrow) = self.borrow_out(a, count) {
            return borrow;
        }
        match self.node(a) {
            Node::FoundCarries(inputs) if count == 63 => self.intern(Node::FoundCarry(inputs)),
            Node::Unary(Unary::SignExtend(from), inner) if count == 63 && self.possible(inner) & !from.mask() == 0 => {
                let sign = self.constant(u64::from(from.bits() - 1));
                self.binary(Binary::ShrUnsigned, inner, sign)
            }
            Node::Binary(Binary::And, inner, mask)
                if self.constant_of(mask).is_some_and(|m| m >> count == u64::MAX >> count) =>
            {
                self.binary(Binary::ShrUnsigned, inner, b)
            }
            Node::Binary(Binary::Or, x, y) if self.possible(y) >> count == 0 => self.binary(Binary::ShrUnsigned, x, b),
            Node::Binary(Binary::Or, x, y) if self.possible(x) >> count == 0 => self.binary(Binary::ShrUnsigned, y, b),
            Node::Binary(Binary::Shl, inner, left) => self.shift_back(a, inner, left, b, count),
            _ => self.intern(Node::Binary(Binary::ShrUnsigned, a, b)),
        }
    }

    /// `a >> count` where `a` is `inner << left`, with nothing lost on the left.
    fn shift_back(&mut self, a: Value, inner: Value, left: Value, b: Value, count: u64) -> Value {
        match self.constant_of(left) {
            Some(left) if left <= count && self.possible(inner) << left >> left == self.possible(inner) => {
                let rest = self.constant(count - left);
                self.binary(Binary::ShrUnsigned, inner, rest)
            }
            _ => self.intern(Node::Binary(Binary::ShrUnsigned, a, b)),
        }
    }
}

/// `a op b`; none where WebAssembly would trap.
fn compute(op: Binary, a: u64, b: u64) -> Option<u64> {
    let (signed_a, signed_b) = (a as i64, b as i64);
    Some(match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::MulHighUnsigned => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        Binary::MulHighSigned => ((i128::from(signed_a) * i128::from(signed_b)) >> 64) as u64,
        Binary::DivUnsigned => a.checked_div(b)?,
        Binary::DivSigned => signed_a.checked_div(signed_b)? as u64,
        Binary::RemUnsigned => a.checked_rem(b)?,
        Binary::RemSigned => signed_a.checked_rem(signed_b)? as u64,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::RotateLeft32 => u64::from((a as u32).rotate_left(b as u32)),
        Binary::RotateLeft64 => a.rotate_left(b as u32),
        Binary::Shl => a << (b & 63),
        Binary::ShrUnsigned => a >> (b & 63),
        Binary::ShrSigned => (signed_a >> (b & 63)) as u64,
        Binary::Equal => u64::from(a == b),
        Binary::NotEqual => u64::from(a != b),
        Binary::Below => u64::from(a < b),
        Binary::BelowOrEqual => u64::from(a <= b),
        Binary::Less => u64::from(signed_a < signed_b),
        Binary::LessOrEqual => u64::from(signed_a <= signed_b),
    })
}

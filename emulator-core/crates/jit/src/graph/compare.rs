//! Recognises, in formulas over the lazy flags, the comparison the guest meant.
//!
//! After `CMP a, b` the semantics compute CF as the top bit of a borrow vector and SF != OF from that and the result
//! (`x86::flags`). Both are single WebAssembly comparisons of `a` and `b`; once they are, the vector has no user left.

use x86::Width;

use super::Graph;
use crate::ir::{Binary, Node, Unary, Value};

impl Graph {
    pub(super) fn comparison(&mut self, op: Binary, a: Value, b: Value) -> Value {
        if a == b {
            let holds = matches!(op, Binary::Equal | Binary::BelowOrEqual | Binary::LessOrEqual);
            return self.constant(u64::from(holds));
        }
        match op {
            Binary::Equal | Binary::NotEqual => self.equality(op, a, b),
            // 0 < b
            Binary::Below if self.constant_of(a) == Some(0) => self.comparison(Binary::NotEqual, b, a),
            Binary::Below if self.constant_of(b) == Some(0) => b,
            _ => self.intern(Node::Binary(op, a, b)),
        }
    }

    /// `a` (not) equal to `b`, a constant if one of them is.
    fn equality(&mut self, op: Binary, a: Value, b: Value) -> Value {
        let Some(wanted) = self.constant_of(b) else { return self.intern(Node::Binary(op, a, b)) };
        if wanted & !self.possible(a) != 0 {
            return self.constant(u64::from(op == Binary::NotEqual));
        }
        if self.possible(a) == 1 && matches!(self.node(a), Node::Binary(inner, ..) if inner.is_comparison()) {
            let same = (wanted == 1) == (op == Binary::Equal);
            return if same { a } else { self.inverse(a).unwrap_or(a) };
        }
        if wanted != 0 {
            return self.intern(Node::Binary(op, a, b));
        }
        match self.zero_difference(a) {
            Some((x, y)) => self.binary(op, x, y),
            None => self.intern(Node::Binary(op, a, b)),
        }
    }

    /// Two values that are equal where `a` is zero.
    fn zero_difference(&mut self, a: Value) -> Option<(Value, Value)> {
        match self.node(a) {
            Node::Unary(Unary::SignExtend(from), inner) if self.possible(inner) & !from.mask() == 0 => {
                let zero = self.constant(0);
                Some((inner, zero))
            }
            Node::Unary(Unary::SignExtend(from), inner) => {
                let zero = self.constant(0);
                Some((self.truncate(from, inner), zero))
            }
            Node::Binary(Binary::Xor, x, y) => Some((x, y)),
            Node::Binary(Binary::And, difference, mask) => {
                let mask = self.constant_of(mask)?;
                self.difference(difference, mask)
            }
            _ => self.difference(a, u64::MAX),
        }
    }

    /// `(x, y)`, both within `mask` (a low mask), where `value` is `x - y`.
    fn difference(&mut self, value: Value, mask: u64) -> Option<(Value, Value)> {
        if mask & mask.wrapping_add(1) != 0 {
            return None;
        }
        let (op, x, y) = self.binary_of(value)?;
        let y = match (op, self.constant_of(y)) {
            (Binary::Sub, _) => y,
            (Binary::Add, Some(offset)) => self.constant(offset.wrapping_neg() & mask),
            _ => return None,
        };
        let within = (self.possible(x) | self.possible(y)) & !mask == 0;
        within.then_some((x, y))
    }

    /// The comparison that holds where `comparison` does not.
    pub(super) fn inverse(&mut self, comparison: Value) -> Option<Value> {
        let (op, a, b) = self.binary_of(comparison)?;
        Some(match op {
            Binary::Equal => self.binary(Binary::NotEqual, a, b),
            Binary::NotEqual => self.binary(Binary::Equal, a, b),
            Binary::Below => self.binary(Binary::BelowOrEqual, b, a),
            Binary::BelowOrEqual => self.binary(Binary::Below, b, a),
            Binary::Less => self.binary(Binary::LessOrEqual, b, a),
            Binary::LessOrEqual => self.binary(Binary::Less, b, a),
            _ => return None,
        })
    }

    /// `vector >> count` as `a < b`, where `vector` is the borrow vector of `a - b` and `count` its top bit.
    pub(super) fn borrow_out(&mut self, vector: Value, count: u64) -> Option<Value> {
        let bits = count as u32 + 1;
        // 64-bit vectors have their two lowest bits cleared, narrower ones are moved up with AF below.
        let vector = match self.node(vector) {
            Node::Binary(Binary::And, inner, mask)
                if bits == 64 && self.constant_of(mask).is_some_and(|m| m >> 63 != 0) =>
            {
                inner
            }
            _ => vector,
        };
        let mask = u64::MAX >> (64 - bits);
        let (a, b) = self.borrow_operands(vector, mask)?;
        Some(self.binary(Binary::Below, a, b))
    }

    /// `(a, b)` where `vector` is `~a & b | (~a | b) & (a - b)`, all within `mask`.
    fn borrow_operands(&mut self, vector: Value, mask: u64) -> Option<(Value, Value)> {
        let (p, q) = self.operands_of(vector, Binary::Or)?;
        for (certain, kept) in [(p, q), (q, p)] {
            let (x, y) = self.operands_of(certain, Binary::And)?;
            for (not_a, b) in [(x, y), (y, x)] {
                let Some((a, ones)) = self.operands_of(not_a, Binary::Xor) else { continue };
                if self.constant_of(ones) != Some(u64::MAX) {
                    continue;
                }
                let either = self.binary(Binary::Or, not_a, b);
                let Some((x, y)) = self.operands_of(kept, Binary::And) else { continue };
                let Some(result) = (if x == either { Some(y) } else { (y == either).then_some(x) }) else { continue };
                let difference = self.binary(Binary::Sub, a, b);
                let mask_value = self.constant(mask);
                let within = (self.possible(a) | self.possible(b)) & !mask == 0;
                if within && result == self.binary(Binary::And, difference, mask_value) {
                    return Some((a, b));
                }
            }
        }
        None
    }

    /// `sign ^ overflow` as a signed comparison, where they are SF and OF after a subtraction.
    pub(super) fn signed_less(&mut self, sign: Value, overflow: Value) -> Option<Value> {
        for (sign, overflow) in [(sign, overflow), (overflow, sign)] {
            let Some((result, top)) = self.operands_of(sign, Binary::ShrUnsigned) else { continue };
            let Some(top) = self.constant_of(top) else { continue };
            let Some(w) =
                [Width::W8, Width::W16, Width::W32, Width::W64].into_iter().find(|w| u64::from(w.bits()) == top + 1)
            else {
                continue;
            };
            let Some((a, b)) = self.overflow_operands(overflow, w) else { continue };
            let difference = self.binary(Binary::Sub, a, b);
            if self.truncate(w, difference) != result {
                continue;
            }
            let (a, b) = (self.sign_extend(w, a), self.sign_extend(w, b));
            return Some(self.binary(Binary::Less, a, b));
        }
        None
    }

    /// `(a, b)` where `overflow` is OF of `a - b` in `w`: bits 63 and 62 of the borrow vector, moved to the top, differ.
    fn overflow_operands(&mut self, overflow: Value, w: Width) -> Option<(Value, Value)> {
        let (differ, top) = self.operands_of(overflow, Binary::ShrUnsigned)?;
        if self.constant_of(top) != Some(63) {
            return None;
        }
        let (x, y) = self.operands_of(differ, Binary::Xor)?;
        for (carries, moved) in [(x, y), (y, x)] {
            let one = self.constant(1);
            if self.binary(Binary::Shl, carries, one) != moved {
                continue;
            }
            let vector = self.unaligned(carries, w)?;
            return self.borrow_operands(vector, w.mask());
        }
        None
    }

    /// The carry vector that `x86::flags` moved to the top as `carries`.
    fn unaligned(&self, carries: Value, w: Width) -> Option<Value> {
        if w == Width::W64 {
            let (vector, mask) = self.operands_of(carries, Binary::And)?;
            return self.constant_of(mask).is_some_and(|m| m >> 62 == 3).then_some(vector);
        }
        let (x, y) = self.operands_of(carries, Binary::Or)?;
        [(x, y), (y, x)].into_iter().find_map(|(moved, auxiliary)| {
            let (vector, count) = self.operands_of(moved, Binary::Shl)?;
            let aligned = self.constant_of(count) == Some(u64::from(64 - w.bits()));
            (aligned && self.possible(auxiliary) >> 62 == 0).then_some(vector)
        })
    }

    /// `a | b` as one comparison where one is an ordering of the same operands and the other their equality.
    pub(super) fn or_equal(&mut self, a: Value, b: Value) -> Option<Value> {
        for (ordering, equality) in [(a, b), (b, a)] {
            let Some((x, y)) = self.operands_of(equality, Binary::Equal) else { continue };
            let (op, p, q) = self.binary_of(ordering)?;
            let widened = match op {
                Binary::Below => Binary::BelowOrEqual,
                Binary::Less => Binary::LessOrEqual,
                _ => continue,
            };
            let (x, y) = match (op, self.node(p), self.node(q)) {
                (Binary::Less, Node::Unary(Unary::SignExtend(w), _), _)
                | (Binary::Less, _, Node::Unary(Unary::SignExtend(w), _))
                    if (self.possible(x) | self.possible(y)) & !w.mask() == 0 =>
                {
                    (self.sign_extend(w, x), self.sign_extend(w, y))
                }
                _ => (x, y),
            };
            if (x, y) == (p, q) || (y, x) == (p, q) {
                return Some(self.binary(widened, p, q));
            }
        }
        None
    }
}

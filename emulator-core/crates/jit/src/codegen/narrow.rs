//! 32-bit arithmetic in 32 bits: on x86-64 and AArch64 that clears the upper halves of registers for nothing, where 64-bit arithmetic has to be
//! cut afterwards.

use x86::Width;

use super::{Codegen, I32_CONST};
use crate::ir::{Binary, Node, Unary, Value};

const LOW_HALF: u64 = Width::W32.mask();

impl Codegen<'_> {
    /// Whether `op` of `a` and `b` is cut to 32 bits, or is none but in 32 bits.
    pub(super) fn fits_narrow(&self, op: Binary, a: Value, b: Value) -> bool {
        let graph = &self.block.graph;
        let fits = |value: Value| graph.possible(value) & !LOW_HALF == 0;
        match op {
            Binary::RotateLeft32 => true,
            Binary::And => fits(a) && fits(b) || graph.constant_of(b) == Some(LOW_HALF),
            Binary::Or | Binary::Xor => fits(a) && fits(b),
            Binary::ShrUnsigned => fits(a) && graph.constant_of(b).is_some_and(|count| count < 32),
            _ => false,
        }
    }

    /// Pushes it, an i32.
    pub(super) fn narrow_binary(&mut self, op: Binary, a: Value, b: Value) {
        if op == Binary::And && self.block.graph.constant_of(b) == Some(LOW_HALF) {
            self.narrow(a);
            return;
        }
        self.narrow(a);
        self.narrow(b);
        let mut sink = self.sink();
        match op {
            Binary::Add => sink.i32_add(),
            Binary::Sub => sink.i32_sub(),
            Binary::Mul => sink.i32_mul(),
            Binary::And => sink.i32_and(),
            Binary::Or => sink.i32_or(),
            Binary::Xor => sink.i32_xor(),
            Binary::Shl => sink.i32_shl(),
            Binary::ShrUnsigned => sink.i32_shr_u(),
            _ => sink.i32_rotl(),
        };
    }

    /// Pushes the low half of `value`, an i32.
    fn narrow(&mut self, value: Value) {
        if let Some(constant) = self.block.graph.constant_of(value) {
            self.number(I32_CONST, i64::from(constant as i32));
            return;
        }
        if self.locals[value.index()].is_none() && self.uses(value) <= 1 {
            match self.block.graph.node(value) {
                Node::Binary(op, a, b) if self.narrows(op, a, b) => return self.narrow_binary(op, a, b),
                Node::Unary(Unary::SignExtend(Width::W32), a) => return self.narrow(a),
                Node::Unary(Unary::SignExtend(Width::W16), a) => {
                    self.narrow(a);
                    self.sink().i32_extend16_s();
                    return;
                }
                Node::Unary(Unary::SignExtend(Width::W8), a) => {
                    self.narrow(a);
                    self.sink().i32_extend8_s();
                    return;
                }
                _ => {}
            }
        }
        self.value(value);
        self.sink().i32_wrap_i64();
    }

    /// Whether the low half of `op` comes from the low halves of its operands.
    fn narrows(&self, op: Binary, a: Value, b: Value) -> bool {
        match op {
            Binary::Add | Binary::Sub | Binary::Mul | Binary::And | Binary::Or | Binary::Xor => true,
            Binary::Shl => self.block.graph.constant_of(b).is_some_and(|count| count < 32),
            _ => self.fits_narrow(op, a, b),
        }
    }

    /// Pushes a comparison of 32-bit numbers, or of such with their signs extended; false where the operands are none.
    pub(super) fn narrow_comparison(&mut self, op: Binary, a: Value, b: Value) -> bool {
        let graph = &self.block.graph;
        let unsigned = |value: Value| graph.possible(value) & !LOW_HALF == 0;
        let signed = |value: Value| match graph.node(value) {
            Node::Unary(Unary::SignExtend(_), _) => true,
            Node::Const(constant) => Width::W32.sign_extend(constant & LOW_HALF) == constant,
            _ => graph.possible(value) & !(LOW_HALF >> 1) == 0,
        };
        let fits = match op {
            Binary::Less | Binary::LessOrEqual => signed(a) && signed(b),
            Binary::Equal | Binary::NotEqual => unsigned(a) && unsigned(b) || signed(a) && signed(b),
            _ => unsigned(a) && unsigned(b),
        };
        if !fits {
            return false;
        }
        self.narrow(a);
        if op == Binary::Equal && self.block.graph.constant_of(b) == Some(0) {
            self.sink().i32_eqz();
            return true;
        }
        self.narrow(b);
        let mut sink = self.sink();
        match op {
            Binary::Equal => sink.i32_eq(),
            Binary::NotEqual => sink.i32_ne(),
            Binary::Below => sink.i32_lt_u(),
            Binary::BelowOrEqual => sink.i32_le_u(),
            Binary::Less => sink.i32_lt_s(),
            _ => sink.i32_le_s(),
        };
        true
    }
}

//! Floating-point numbers outside of vectors: a chain of scalar operations needs no vector in between.

use wasm_encoder::InstructionSink;
use x86::Width;
use x86::instructions::simd::{FpOp, Lanes};

use super::{Codegen, at};
use crate::ir::{Float, Node, Scalar, Value};

impl Codegen<'_> {
    /// Pushes one.
    pub(super) fn float(&mut self, float: Float, single: bool, [a, b]: [Value; 2]) {
        self.value(a);
        if let Float::Operation(op) = float {
            if op != FpOp::Sqrt {
                self.value(b);
            }
            operation(&mut self.sink(), op, single);
            return;
        }
        let mut sink = self.sink();
        match float {
            Float::Converted if single => sink.f32_demote_f64(),
            Float::Converted => sink.f64_promote_f32(),
            Float::FromInteger if single => sink.f32_convert_i64_s(),
            Float::FromInteger => sink.f64_convert_i64_s(),
            _ if single => sink.f32x4_extract_lane(0),
            _ => sink.f64x2_extract_lane(0),
        };
    }

    /// The floating-point number of which `value`, to be stored, is all the bits.
    pub(super) fn stored_float(&self, width: Width, value: Value) -> Option<(Lanes, Value)> {
        match self.block.graph.node(value) {
            Node::Scalar(Scalar::Bits(lanes), [float, ..])
                if self.locals[value.index()].is_none() && (width == Width::W32) == lanes.is_single() =>
            {
                Some((lanes, float))
            }
            _ => None,
        }
    }

    /// Stores it instead of `value`.
    pub(super) fn store_float(&mut self, value: Value, (lanes, float): (Lanes, Value), offset: u64) {
        self.value(float);
        if self.liveness.uses(value) == 1 {
            self.consumed.push(float);
        }
        if lanes.is_single() {
            self.sink().f32_store(at(offset));
        } else {
            self.sink().f64_store(at(offset));
        }
    }
}

fn operation(sink: &mut InstructionSink<'_>, op: FpOp, single: bool) {
    match (op, single) {
        (FpOp::Add, true) => sink.f32_add(),
        (FpOp::Add, false) => sink.f64_add(),
        (FpOp::Sub, true) => sink.f32_sub(),
        (FpOp::Sub, false) => sink.f64_sub(),
        (FpOp::Mul, true) => sink.f32_mul(),
        (FpOp::Mul, false) => sink.f64_mul(),
        (FpOp::Div, true) => sink.f32_div(),
        (FpOp::Div, false) => sink.f64_div(),
        (_, true) => sink.f32_sqrt(),
        (_, false) => sink.f64_sqrt(),
    };
}

//! Vectors: 128-bit values, one WebAssembly instruction each where there is one.

use wasm_encoder::{InstructionSink, Lane};
use x86::instructions::simd::{ConvertOp, FpOp, Lanes, PackedOp};

use super::{Codegen, Pool, at};
use crate::ir::{Relation, Scalar, Value, Vector};
use crate::layout::xmm_offset;

/// Whether `op` is one instruction here.
pub(crate) fn is_direct(op: PackedOp) -> bool {
    let mut code = Vec::new();
    packed(&mut InstructionSink::new(&mut code), op)
}

/// Writes `op` of two operands on the stack, if it is one instruction.
fn packed(sink: &mut InstructionSink<'_>, op: PackedOp) -> bool {
    use PackedOp as P;
    match op {
        P::Paddb => sink.i8x16_add(),
        P::Paddw => sink.i16x8_add(),
        P::Paddd => sink.i32x4_add(),
        P::Paddq => sink.i64x2_add(),
        P::Paddsb => sink.i8x16_add_sat_s(),
        P::Paddsw => sink.i16x8_add_sat_s(),
        P::Paddusb => sink.i8x16_add_sat_u(),
        P::Paddusw => sink.i16x8_add_sat_u(),
        P::Psubb => sink.i8x16_sub(),
        P::Psubw => sink.i16x8_sub(),
        P::Psubd => sink.i32x4_sub(),
        P::Psubq => sink.i64x2_sub(),
        P::Psubsb => sink.i8x16_sub_sat_s(),
        P::Psubsw => sink.i16x8_sub_sat_s(),
        P::Psubusb => sink.i8x16_sub_sat_u(),
        P::Psubusw => sink.i16x8_sub_sat_u(),
        P::Pavgb => sink.i8x16_avgr_u(),
        P::Pavgw => sink.i16x8_avgr_u(),
        P::Pmullw => sink.i16x8_mul(),
        P::Pmulld => sink.i32x4_mul(),
        P::Pmaddwd => sink.i32x4_dot_i16x8_s(),
        P::Pminub => sink.i8x16_min_u(),
        P::Pminsb => sink.i8x16_min_s(),
        P::Pminuw => sink.i16x8_min_u(),
        P::Pminsw => sink.i16x8_min_s(),
        P::Pminud => sink.i32x4_min_u(),
        P::Pminsd => sink.i32x4_min_s(),
        P::Pmaxub => sink.i8x16_max_u(),
        P::Pmaxsb => sink.i8x16_max_s(),
        P::Pmaxuw => sink.i16x8_max_u(),
        P::Pmaxsw => sink.i16x8_max_s(),
        P::Pmaxud => sink.i32x4_max_u(),
        P::Pmaxsd => sink.i32x4_max_s(),
        P::Pcmpeqb => sink.i8x16_eq(),
        P::Pcmpeqw => sink.i16x8_eq(),
        P::Pcmpeqd => sink.i32x4_eq(),
        P::Pcmpeqq => sink.i64x2_eq(),
        P::Pcmpgtb => sink.i8x16_gt_s(),
        P::Pcmpgtw => sink.i16x8_gt_s(),
        P::Pcmpgtd => sink.i32x4_gt_s(),
        P::Pcmpgtq => sink.i64x2_gt_s(),
        P::Pand => sink.v128_and(),
        P::Por => sink.v128_or(),
        P::Pxor => sink.v128_xor(),
        P::Packsswb => sink.i8x16_narrow_i16x8_s(),
        P::Packssdw => sink.i16x8_narrow_i32x4_s(),
        P::Packuswb => sink.i8x16_narrow_i16x8_u(),
        P::Packusdw => sink.i16x8_narrow_i32x4_u(),
        _ => return false,
    };
    true
}

fn shift(sink: &mut InstructionSink<'_>, op: PackedOp) {
    use PackedOp as P;
    match op {
        P::Psllw => sink.i16x8_shl(),
        P::Pslld => sink.i32x4_shl(),
        P::Psllq => sink.i64x2_shl(),
        P::Psrlw => sink.i16x8_shr_u(),
        P::Psrld => sink.i32x4_shr_u(),
        P::Psrlq => sink.i64x2_shr_u(),
        P::Psraw => sink.i16x8_shr_s(),
        _ => sink.i32x4_shr_s(),
    };
}

impl Codegen<'_> {
    pub(super) fn vector(&mut self, vector: Vector, operands: [Value; 3]) {
        let [a, b, c] = operands;
        match vector {
            Vector::Packed(op) => {
                self.value(a);
                self.value(b);
                packed(&mut self.sink(), op);
            }
            Vector::Shift(op, count) => {
                self.value(a);
                self.sink().i32_const(i32::from(count));
                shift(&mut self.sink(), op);
            }
            Vector::Shuffle(lanes) => {
                self.value(a);
                self.value(b);
                self.sink().i8x16_shuffle(lanes);
            }
            Vector::BitSelect => {
                self.value(a);
                self.value(b);
                self.value(c);
                self.sink().v128_bitselect();
            }
            Vector::Join => {
                self.value(a);
                self.sink().i64x2_splat();
                self.value(b);
                self.sink().i64x2_replace_lane(1);
            }
            Vector::Replace(lane) => {
                self.value(a);
                self.value(b);
                self.sink().i64x2_replace_lane(lane);
            }
            Vector::Insert(lanes) => {
                self.value(a);
                self.value(b);
                if lanes.is_single() {
                    self.sink().f32x4_replace_lane(0);
                } else {
                    self.sink().f64x2_replace_lane(0);
                }
            }
            Vector::Float(op, lanes) => self.vector_float(op, lanes, a, b),
            Vector::Compare(relation, lanes) => self.compare_lanes(relation, lanes, a, b),
            Vector::Convert(op) => self.convert(op, b),
            Vector::Outside(least, end, lanes) => self.outside(least, end, lanes, a),
        }
    }

    fn vector_float(&mut self, op: FpOp, lanes: Lanes, a: Value, b: Value) {
        if matches!(op, FpOp::Min | FpOp::Max) {
            // Scalar forms ask for it twice.
            self.settle(a);
            self.extreme(op, lanes, a, b);
            return;
        }
        if op != FpOp::Sqrt {
            self.value(a);
        }
        self.value(b);
        packed_float(&mut self.sink(), op, lanes.is_single());
    }

    /// `MIN` is the first operand where that is less, else the second, which is WebAssembly's `pmin` with operands exchanged.
    fn extreme(&mut self, op: FpOp, lanes: Lanes, a: Value, b: Value) {
        if lanes.is_scalar() {
            self.value(a);
        }
        self.value(b);
        self.value(a);
        let mut sink = self.sink();
        match (op, lanes.is_single()) {
            (FpOp::Min, true) => sink.f32x4_pmin(),
            (FpOp::Min, false) => sink.f64x2_pmin(),
            (_, true) => sink.f32x4_pmax(),
            (_, false) => sink.f64x2_pmax(),
        };
        if lanes.is_scalar() {
            self.merge_lowest(lanes);
        }
    }

    /// The second vector's lowest lane, and the rest of the first.
    fn merge_lowest(&mut self, lanes: Lanes) {
        let replaced = if lanes.is_single() { 4 } else { 8 };
        let lanes: [Lane; 16] = core::array::from_fn(|at| at as Lane + if at < replaced { 16 } else { 0 });
        self.sink().i8x16_shuffle(lanes);
    }

    fn compare_lanes(&mut self, relation: Relation, lanes: Lanes, a: Value, b: Value) {
        self.settle(a);
        if lanes.is_scalar() {
            self.value(a);
        }
        self.value(a);
        self.value(b);
        let mut sink = self.sink();
        match (relation, lanes.is_single()) {
            (Relation::Equal, true) => sink.f32x4_eq(),
            (Relation::Equal, false) => sink.f64x2_eq(),
            (Relation::Less, true) => sink.f32x4_lt(),
            (Relation::Less, false) => sink.f64x2_lt(),
            (Relation::LessOrEqual, true) => sink.f32x4_le(),
            (Relation::LessOrEqual, false) => sink.f64x2_le(),
            (Relation::NotEqual, true) => sink.f32x4_ne(),
            (Relation::NotEqual, false) => sink.f64x2_ne(),
            (Relation::NotLess, true) => sink.f32x4_ge(),
            (Relation::NotLess, false) => sink.f64x2_ge(),
            (Relation::NotLessOrEqual, true) => sink.f32x4_gt(),
            (Relation::NotLessOrEqual, false) => sink.f64x2_gt(),
        };
        if lanes.is_scalar() {
            self.merge_lowest(lanes);
        }
    }

    fn convert(&mut self, op: ConvertOp, b: Value) {
        self.value(b);
        let mut sink = self.sink();
        match op {
            ConvertOp::Cvtdq2ps => sink.f32x4_convert_i32x4_s(),
            ConvertOp::Cvtdq2pd => sink.f64x2_convert_low_i32x4_s(),
            ConvertOp::Cvtps2pd => sink.f64x2_promote_low_f32x4(),
            ConvertOp::Cvtpd2ps => sink.f32x4_demote_f64x2_zero(),
            _ => sink.i32x4_trunc_sat_f32x4_s(),
        };
    }

    /// Pushes a number, an i64.
    pub(super) fn scalar(&mut self, scalar: Scalar, operands: [Value; 3]) {
        let [a, b, _] = operands;
        match scalar {
            Scalar::Quadword(lane) => {
                self.value(a);
                self.sink().i64x2_extract_lane(lane);
            }
            Scalar::Doubleword => {
                self.value(a);
                self.sink().i32x4_extract_lane(0).i64_extend_i32_u();
            }
            Scalar::Signs(bits) => {
                self.value(a);
                let mut sink = self.sink();
                match bits {
                    8 => sink.i8x16_bitmask(),
                    32 => sink.i32x4_bitmask(),
                    _ => sink.i64x2_bitmask(),
                };
                sink.i64_extend_i32_u();
            }
            Scalar::Bits(lanes) => {
                self.value(a);
                if lanes.is_single() {
                    self.sink().i32_reinterpret_f32().i64_extend_i32_u();
                } else {
                    self.sink().i64_reinterpret_f64();
                }
            }
            Scalar::Holds(relation, lanes) => {
                self.value(a);
                self.value(b);
                let mut sink = self.sink();
                match (relation, lanes.is_single()) {
                    (Relation::Equal, true) => sink.f32_eq(),
                    (Relation::Equal, false) => sink.f64_eq(),
                    (_, true) => sink.f32_lt(),
                    (_, false) => sink.f64_lt(),
                };
                sink.i64_extend_i32_u();
            }
            Scalar::ToInteger(lanes, truncate) => {
                self.value(a);
                let mut sink = self.sink();
                match (lanes.is_single(), truncate) {
                    (true, true) => sink.i64_trunc_sat_f32_s(),
                    (true, false) => sink.f32_nearest().i64_trunc_sat_f32_s(),
                    (false, true) => sink.i64_trunc_sat_f64_s(),
                    (false, false) => sink.f64_nearest().i64_trunc_sat_f64_s(),
                };
            }
            Scalar::Any => {
                self.value(a);
                self.sink().v128_any_true().i64_extend_i32_u();
            }
        }
    }

    /// Pushes ones where the exponent of a lane is below `least` or not below `end`: moved so that those are the greatest signed numbers.
    fn outside(&mut self, least: u16, end: u16, lanes: Lanes, value: Value) {
        self.value(value);
        if lanes.is_single() {
            let [least, end] = [least, end].map(|exponent| u32::from(exponent) << 24);
            let moved = (1_u32 << 31).wrapping_sub(least);
            let greatest = (end - least - 1) ^ 1 << 31;
            self.sink().i32_const(1).i32x4_shl();
            self.vector_constant(splat(moved));
            self.sink().i32x4_add();
            self.vector_constant(splat(greatest));
            self.sink().i32x4_gt_s();
        } else {
            let [least, end] = [least, end].map(|exponent| u64::from(exponent) << 53);
            let moved = (1_u64 << 63).wrapping_sub(least);
            let greatest = (end - least - 1) ^ 1 << 63;
            self.sink().i32_const(1).i64x2_shl();
            self.vector_constant(splat64(moved));
            self.sink().i64x2_add();
            self.vector_constant(splat64(greatest));
            self.sink().i64x2_gt_s();
        }
    }

    /// Pushes a constant. On ways out it is written where it is used, and zero is one instruction anyway.
    pub(super) fn vector_constant(&mut self, constant: u128) {
        if constant == 0 || self.in_stop {
            self.sink().v128_const(constant as i128);
            return;
        }
        let known = self.constants.iter().find(|&&(other, _)| other == constant).map(|&(_, local)| local);
        let local = known.unwrap_or_else(|| {
            // Of its own: one that is free may be some block's again.
            let local = self.new_local(Pool::Vector);
            self.constants.push((constant, local));
            local
        });
        self.sink().local_get(local);
    }

    /// Pushes the lowest lane of the state's XMM register, with zeros above, and puts what is above there into a local.
    pub(super) fn load_scalar(&mut self, register: usize, lanes: Lanes) {
        let waiting = self.new_local(Pool::Vector);
        self.waiting.push((register, waiting));
        self.load_xmm(register);
        let address = at(self.source.shared.state as u64 + xmm_offset(register));
        if lanes.is_single() {
            self.sink().i32_const(0).i32x4_replace_lane(0).local_set(waiting);
            self.sink().i32_const(0).v128_load32_zero(address);
        } else {
            self.sink().i64_const(0).i64x2_replace_lane(0).local_set(waiting);
            self.sink().i32_const(0).v128_load64_zero(address);
        }
    }

    /// Pushes the state's XMM register.
    pub(super) fn load_xmm(&mut self, register: usize) {
        let state = self.source.shared.state as u64;
        self.sink().i32_const(0).v128_load(at(state + xmm_offset(register)));
    }
}

fn splat(lane: u32) -> u128 {
    splat64(u64::from(lane) << 32 | u64::from(lane))
}

fn splat64(lane: u64) -> u128 {
    u128::from(lane) << 64 | u128::from(lane)
}

fn packed_float(sink: &mut InstructionSink<'_>, op: FpOp, single: bool) {
    match (op, single) {
        (FpOp::Add, true) => sink.f32x4_add(),
        (FpOp::Add, false) => sink.f64x2_add(),
        (FpOp::Sub, true) => sink.f32x4_sub(),
        (FpOp::Sub, false) => sink.f64x2_sub(),
        (FpOp::Mul, true) => sink.f32x4_mul(),
        (FpOp::Mul, false) => sink.f64x2_mul(),
        (FpOp::Div, true) => sink.f32x4_div(),
        (FpOp::Div, false) => sink.f64x2_div(),
        (_, true) => sink.f32x4_sqrt(),
        (_, false) => sink.f64x2_sqrt(),
    };
}

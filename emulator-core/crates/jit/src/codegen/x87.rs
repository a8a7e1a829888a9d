//! Arithmetic of the x87.

use cpu::compiled::x87::X87Operation;
use wasm_encoder::BlockType;

use super::{Codegen, Pool};
use crate::ir::{Nearest, Rounded, Value};
use crate::layout::ANSWERS;
use crate::module::Callee;

const SIGN: i64 = 0x8000;
const MAGNITUDE: i64 = 0x7fff;
const BIAS: i64 = 16383;
const TOP: i64 = i64::MIN;
const LOW_HALF: i64 = 0xffff_ffff;

/// Locals of a result before it is rounded: 64 bits of a significand, the 64 below, exponent and sign.
struct Exact {
    high: u32,
    low: u32,
    exponent: u32,
    sign: u32,
}

impl Codegen<'_> {
    /// Has a helper compute.
    pub(super) fn x87(&mut self, operation: X87Operation, operands: [Value; 3], result: Value, rest: Value) {
        self.push_context();
        for operand in operands {
            self.value(operand);
        }
        let callee = match operation {
            X87Operation::ADD | X87Operation::SUB => Callee::X87Sum,
            X87Operation::MUL => Callee::X87Product,
            X87Operation::TO_DOUBLE => Callee::X87Double,
            _ => Callee::X87,
        };
        self.sink().call(callee as u32);
        if self.liveness.uses(result) > 0 {
            self.set_local(result);
        } else {
            self.sink().drop();
        }
        self.load_context(ANSWERS[0]);
        self.set_local(rest);
    }

    /// Sums and products of zeros and normal numbers, rounded to nearest in extended precision, as `softfloat::x87::nearest` has them: a helper would be a call into another
    /// instance. Branches are what can be foreseen; else there are choices, which put next to each other what would have to wait for one another.
    pub(super) fn x87_nearest(&mut self, operation: Nearest, operands: [Value; 4], result: Rounded) {
        operands.into_iter().for_each(|operand| self.settle(operand));
        let [high, low, exponent, sign] = [(); 4].map(|()| self.take_local(Pool::Number));
        let exact = Exact { high, low, exponent, sign };
        match operation {
            Nearest::Product => self.x87_product(operands, &exact),
            _ => self.x87_sum(operation == Nearest::Difference, operands, &exact),
        }
        self.x87_round(&exact, result);
        self.free[Pool::Number as usize].extend([high, low, exponent, sign]);
    }

    fn x87_sum(&mut self, subtracts: bool, [a, signed_a, b, signed_b]: [Value; 4], exact: &Exact) {
        let Exact { high, low, exponent, sign } = *exact;
        let [exponent_a, exponent_b, large, distance] = [(); 4].map(|()| self.take_local(Pool::Number));
        let choice = self.take_local(Pool::Host);
        for (signed, exponent) in [(signed_a, exponent_a), (signed_b, exponent_b)] {
            self.value(signed);
            self.sink().i64_const(MAGNITUDE).i64_and().local_set(exponent);
        }
        self.sink().local_get(exponent_a).local_get(exponent_b).i64_lt_u().local_set(choice);
        for ([first, second], to) in [([b, a], large), ([a, b], high)] {
            self.value(first);
            self.value(second);
            self.sink().local_get(choice).select().local_set(to);
        }
        self.value(signed_b);
        if subtracts {
            self.sink().i64_const(SIGN).i64_xor();
        }
        self.value(signed_a);
        let mut sink = self.sink();
        sink.local_get(choice).select().i64_const(SIGN).i64_and().local_set(sign);
        sink.local_get(exponent_b).local_get(exponent_a).local_get(choice).select().local_set(exponent);
        sink.local_get(exponent_b).local_get(exponent_a).i64_sub();
        sink.local_get(exponent_a).local_get(exponent_b).i64_sub();
        sink.local_get(choice).select().local_set(distance);
        self.x87_move_right(high, low, distance);
        self.value(signed_a);
        self.value(signed_b);
        self.sink().i64_xor().i64_const(SIGN).i64_and().i32_wrap_i64();
        if subtracts {
            self.sink().i32_eqz();
        }
        self.open_if(BlockType::Empty);
        self.x87_subtract(large, distance, choice, exact);
        self.sink().else_();
        self.x87_add(large, choice, exact);
        self.close();
        self.free[Pool::Number as usize].extend([exponent_a, exponent_b, large, distance]);
        self.free[Pool::Host as usize].push(choice);
    }

    /// Moves `high` right by `distance`, and into `low`, the last bit of which stands for all behind, too. Shifts are by the distance modulo 64.
    fn x87_move_right(&mut self, high: u32, low: u32, distance: u32) {
        let rest = |sink: &mut wasm_encoder::InstructionSink<'_>| {
            sink.local_get(high).i64_const(1).i64_shl();
            sink.local_get(distance).i64_const(63).i64_xor().i64_shl();
        };
        self.sink().local_get(distance).i64_const(63).i64_gt_u();
        self.open_if(BlockType::Empty);
        let mut sink = self.sink();
        sink.local_get(high).i64_const(0).i64_ne().i64_extend_i32_u();
        sink.local_get(high).local_get(distance).i64_shr_u();
        rest(&mut sink);
        sink.i64_const(0).i64_ne().i64_extend_i32_u().i64_or();
        sink.local_get(distance).i64_const(127).i64_gt_u().select().local_set(low);
        sink.i64_const(0).local_set(high).else_();
        rest(&mut sink);
        sink.local_set(low);
        sink.local_get(high).local_get(distance).i64_shr_u().local_set(high);
        self.close();
    }

    fn x87_add(&mut self, large: u32, carried: u32, &Exact { high, low, exponent, .. }: &Exact) {
        let mut sink = self.sink();
        sink.local_get(large).local_get(high).i64_add().local_tee(high).local_get(large).i64_lt_u().local_set(carried);
        sink.local_get(high).i64_const(63).i64_shl();
        sink.local_get(low).i64_const(1).i64_shr_u().i64_or().local_get(low).i64_const(1).i64_and().i64_or();
        sink.local_get(low).local_get(carried).select().local_set(low);
        sink.local_get(high).i64_const(1).i64_shr_u().i64_const(TOP).i64_or();
        sink.local_get(high).local_get(carried).select().local_set(high);
        sink.local_get(exponent).local_get(carried).i64_extend_i32_u().i64_add().local_set(exponent);
    }

    fn x87_subtract(&mut self, large: u32, distance: u32, less: u32, exact: &Exact) {
        let Exact { high, low, exponent, sign } = *exact;
        let mut sink = self.sink();
        // Of equal exponents the second operand may be the larger.
        sink.local_get(large).local_get(high).i64_lt_u().local_set(less);
        sink.local_get(large).local_get(high).i64_sub();
        // Not as "is zero" inverted, which V8 would make of `ne`.
        sink.local_get(low).i64_const(0).i64_gt_u().i64_extend_i32_u().i64_sub().local_set(high);
        sink.i64_const(0).local_get(low).i64_sub().local_set(low);
        sink.i64_const(0).local_get(high).i64_sub().local_get(high).local_get(less).select().local_set(high);
        sink.local_get(sign).local_get(less).i64_extend_i32_u().i64_const(15).i64_shl().i64_xor().local_set(sign);
        sink.local_get(high).i64_clz().local_set(distance);
        sink.local_get(exponent).local_get(distance).i64_sub().local_set(exponent);
        sink.local_get(high).i64_eqz();
        self.open_if(BlockType::Empty);
        // What is left is a power of two, or nothing, which is positive.
        let mut sink = self.sink();
        sink.local_get(low).local_set(high).i64_const(0).local_set(low);
        sink.local_get(sign).i64_const(0).local_get(high).i64_eqz().i32_eqz().select().local_set(sign);
        sink.else_();
        sink.local_get(high).local_get(distance).i64_shl();
        sink.local_get(low).i64_const(1).i64_shr_u();
        sink.local_get(distance).i64_const(63).i64_xor().i64_shr_u().i64_or().local_set(high);
        sink.local_get(low).local_get(distance).i64_shl().local_set(low);
        self.close();
    }

    fn x87_product(&mut self, [a, signed_a, b, signed_b]: [Value; 4], exact: &Exact) {
        let Exact { high, low, exponent, sign } = *exact;
        for signed in [signed_a, signed_b] {
            self.value(signed);
            self.sink().i64_const(MAGNITUDE).i64_and();
        }
        self.sink().i64_add().i64_const(BIAS).i64_sub().local_set(exponent);
        self.value(signed_a);
        self.value(signed_b);
        self.sink().i64_xor().i64_const(SIGN).i64_and().local_set(sign);
        self.product_high(a, b, high);
        self.value(a);
        self.value(b);
        let mut sink = self.sink();
        sink.i64_mul().local_set(low);
        sink.local_get(exponent).local_get(high).i64_const(63).i64_shr_u().i64_add().local_set(exponent);
        // Without a branch: whether the top bit is set is as good as random.
        sink.local_get(low);
        sink.local_get(low).i64_const(1).i64_shl();
        sink.local_get(high).i64_const(0).i64_lt_s().select();
        sink.local_get(high);
        sink.local_get(high).i64_const(1).i64_shl().local_get(low).i64_const(63).i64_shr_u().i64_add();
        sink.local_get(high).i64_const(0).i64_lt_s().select();
        sink.local_set(high).local_set(low);
    }

    /// The upper half of a product, of four of halves: as `mul_high_unsigned` in `module.rs` has it.
    fn product_high(&mut self, a: Value, b: Value, high: u32) {
        let [a0, b0, t] = [(); 3].map(|()| self.take_local(Pool::Number));
        for (whole, half) in [(a, a0), (b, b0)] {
            self.value(whole);
            self.sink().i64_const(LOW_HALF).i64_and().local_set(half);
        }
        let upper = |codegen: &mut Self, whole: Value| {
            codegen.value(whole);
            codegen.sink().i64_const(32).i64_shr_u();
        };
        upper(self, a);
        self.sink().local_get(b0).i64_mul();
        self.sink().local_get(a0).local_get(b0).i64_mul().i64_const(32).i64_shr_u().i64_add().local_set(t);
        upper(self, a);
        upper(self, b);
        self.sink().i64_mul().local_get(t).i64_const(32).i64_shr_u().i64_add();
        upper(self, b);
        self.sink().local_get(a0).i64_mul().local_get(t).i64_const(LOW_HALF).i64_and().i64_add();
        self.sink().i64_const(32).i64_shr_u().i64_add().local_set(high);
        self.free[Pool::Number as usize].extend([a0, b0, t]);
    }

    /// Rounds what has its top bit set, or is zero.
    fn x87_round(&mut self, &Exact { high, low, exponent, sign }: &Exact, result: Rounded) {
        let (up, rounded) = (self.take_local(Pool::Host), self.take_local(Pool::Number));
        let mut sink = self.sink();
        // More than half of what `high` counts by, or half of it beside an odd number.
        sink.local_get(high).i64_const(1).i64_and().local_get(low).i64_or().i64_const(TOP).i64_gt_u().local_set(up);
        sink.local_get(high).i64_const(1).i64_add().local_get(high).local_get(up).select().local_tee(rounded).i64_eqz();
        self.open_if(BlockType::Empty);
        let mut sink = self.sink();
        sink.i64_const(TOP).i64_const(0).local_get(up).select().local_set(rounded);
        sink.local_get(exponent).i64_const(1).i64_add().i64_const(0).local_get(up).select().local_set(exponent);
        self.close();
        let Rounded { significand, sign_exponent, lost, up: is_up } = result;
        for (value, local) in [(significand, rounded), (lost, low)] {
            if self.liveness.uses(value) > 0 {
                self.sink().local_get(local);
                self.set_local(value);
            }
        }
        if self.liveness.uses(sign_exponent) > 0 {
            self.sink().local_get(exponent).local_get(sign).i64_or();
            self.set_local(sign_exponent);
        }
        if self.liveness.uses(is_up) > 0 {
            // Not `up` itself, which the choice above takes right from a comparison's flags.
            self.sink().local_get(rounded).local_get(high).i64_xor().i64_const(1).i64_and();
            self.set_local(is_up);
        }
        self.free[Pool::Host as usize].push(up);
        self.free[Pool::Number as usize].push(rounded);
    }
}

//! Arithmetic of the x87.

mod state;

use cpu::compiled::x87::X87Operation;
use wasm_encoder::{BlockType, InstructionSink};

use super::{Codegen, Pool};
use crate::ir::{Nearest, Rounded, Value, X87_SIGN};
use crate::layout::ANSWERS;
use crate::module::Callee;

const BIAS: i64 = 16383;
const TOP: i64 = i64::MIN;
const LOW_HALF: i64 = 0xffff_ffff;
/// Bits of a significand.
const BITS: i64 = 64;
const SIGN_SHIFT: i64 = X87_SIGN.trailing_zeros() as i64;

/// Locals of a result: its parts, and what was not zero of what it does not hold, as a part of its last place times 2^64, if that is one half.
struct Exact {
    rounded: u32,
    exponent: u32,
    sign: u32,
    lost: u32,
}

/// A number, as values.
#[derive(Clone, Copy)]
struct Operand {
    significand: Value,
    exponent: Value,
    sign: Value,
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
    /// instance.
    ///
    /// Programs wait for one result after the other, so what counts is how many operations a result is away from its operands: both places where its highest bit
    /// may be are rounded in, and the one that it is is chosen. Half of the last place goes away from zero in products, which are put right behind a branch; in sums of numbers of
    /// about one size nobody could predict that.
    pub(super) fn x87_nearest(&mut self, operation: Nearest, operands: [Value; 7], result: Rounded) {
        operands.into_iter().for_each(|operand| self.settle(operand));
        let lost_before = operands[6];
        let [rounded, exponent, sign, lost] = self.take_numbers();
        let exact = Exact { rounded, exponent, sign, lost };
        let [a, b] = [0, 3].map(|first| {
            let [significand, exponent, sign] = [0, 1, 2].map(|part| operands[first + part]);
            Operand { significand, exponent, sign }
        });
        let is_up = self.liveness.uses(result.up) > 0;
        let kept = is_up.then(|| self.take_local(Pool::Number));
        match operation {
            Nearest::Product => self.x87_product([a, b], &exact, kept),
            _ => self.x87_sum(operation == Nearest::Difference, [a, b], &exact, kept),
        }
        if let Some(kept) = kept {
            self.sink().local_get(rounded).local_get(kept).i64_xor();
            self.set_local(result.up);
            self.free[Pool::Number as usize].push(kept);
        }
        if self.liveness.uses(result.lost) > 0 {
            self.value(lost_before);
            self.sink().local_get(lost).i64_or().local_set(lost);
        }
        let Rounded { significand, exponent: result_exponent, sign: result_sign, lost: result_lost, .. } = result;
        let parts = [(significand, rounded), (result_exponent, exponent), (result_sign, sign), (result_lost, lost)];
        for (value, local) in parts {
            if self.liveness.uses(value) > 0 {
                self.locals[value.index()] = Some(local);
            } else {
                self.free[Pool::Number as usize].push(local);
            }
        }
    }

    fn take_numbers<const N: usize>(&mut self) -> [u32; N] {
        [(); N].map(|()| self.take_local(Pool::Number))
    }

    fn x87_sum(&mut self, subtracts: bool, [a, b]: [Operand; 2], exact: &Exact, kept: Option<u32>) {
        let places = self.take_numbers();
        self.value(a.sign);
        self.value(b.sign);
        if subtracts {
            self.sink().i64_eq();
        } else {
            self.sink().i64_ne();
        }
        self.open_if(BlockType::Empty);
        self.value(a.exponent);
        self.value(b.exponent);
        self.sink().i64_eq();
        self.open_if(BlockType::Empty);
        self.x87_subtract_level([a, b], exact, kept);
        self.sink().else_();
        self.x87_order([a, b], subtracts, places, exact);
        self.x87_bring_near(places, true);
        self.x87_subtract(places, exact, kept);
        self.close();
        self.sink().else_();
        self.x87_order([a, b], subtracts, places, exact);
        self.x87_bring_near(places, false);
        self.x87_add(places, exact, kept);
        self.close();
        self.free[Pool::Number as usize].extend(places);
    }

    /// Puts two numbers into locals: the one with the larger exponent, the other one and how far their exponents are apart.
    fn x87_order(&mut self, [a, b]: [Operand; 2], subtracts: bool, places: [u32; 3], exact: &Exact) {
        self.value(a.exponent);
        self.value(b.exponent);
        self.sink().i64_lt_u();
        self.open_if(BlockType::Empty);
        self.x87_ordered([b, a], subtracts, places, exact);
        self.sink().else_();
        self.x87_ordered([a, b], false, places, exact);
        self.close();
    }

    /// Of two numbers, the first of which is the larger; its sign counts the other way where it is `negated`.
    fn x87_ordered(&mut self, [a, b]: [Operand; 2], negated: bool, [large, small, distance]: [u32; 3], exact: &Exact) {
        self.value(a.significand);
        self.sink().local_set(large);
        self.value(b.significand);
        self.sink().local_set(small);
        self.value(a.exponent);
        self.sink().local_tee(exact.exponent);
        self.value(b.exponent);
        self.sink().i64_sub().local_set(distance);
        self.value(a.sign);
        if negated {
            self.sink().i64_const(X87_SIGN as i64).i64_xor();
        }
        self.sink().local_set(exact.sign);
    }

    /// Where the smaller number is too far off for shifts, moves it to where all of it is below the last place of the larger. Its last bit stands for all behind, too.
    fn x87_bring_near(&mut self, [large, small, distance]: [u32; 3], subtracts: bool) {
        self.sink().local_get(distance).i64_const(BITS - 1).i64_gt_u();
        self.open_if(BlockType::Empty);
        let mut sink = self.sink();
        sink.local_get(small).local_get(distance).i64_shr_u().i64_const(1).i64_shr_u();
        sink.local_get(small).local_get(distance).i64_const(BITS - 1).i64_xor().i64_shl();
        sink.i64_const(0).i64_ne().i64_extend_i32_u().i64_or();
        sink.local_get(small).i64_const(0).i64_ne().i64_extend_i32_u();
        sink.local_get(distance).i64_const(2 * BITS).i64_lt_u().select().local_set(small);
        sink.i64_const(BITS - 1).local_set(distance);
        if subtracts {
            // To subtract nothing is to subtract one of one more.
            sink.local_get(small).i64_eqz();
            self.open_if(BlockType::Empty);
            let mut sink = self.sink();
            sink.local_get(large).i64_const(1).i64_add().local_set(large).i64_const(TOP).local_set(small);
            self.close();
        }
        self.close();
    }

    fn x87_add(&mut self, [large, small, distance]: [u32; 3], exact: &Exact, kept: Option<u32>) {
        let Exact { rounded, exponent, lost, .. } = *exact;
        let [sum, low] = self.take_numbers();
        let carried = self.take_local(Pool::Host);
        let mut sink = self.sink();
        sink.local_get(small).i64_const(1).i64_shl();
        sink.local_get(distance).i64_const(BITS - 1).i64_xor().i64_shl().local_set(low);
        sink.local_get(large).local_get(small).local_get(distance).i64_shr_u().i64_add().local_tee(sum);
        sink.local_get(large).i64_lt_u().local_set(carried);
        sink.local_get(sum).i64_const(1).i64_shr_u().i64_const(TOP).i64_or();
        sink.local_get(sum).i64_const(1).i64_and().i64_add();
        sink.local_get(sum).local_get(low).i64_const(BITS - 1).i64_shr_u().i64_add();
        sink.local_get(carried).select().local_set(rounded);
        sink.local_get(sum).i64_const(BITS - 1).i64_shl();
        sink.local_get(low).i64_const(1).i64_shr_u().i64_or().local_get(low).i64_const(1).i64_and().i64_or();
        sink.local_get(low).local_get(carried).select().local_set(lost);
        sink.local_get(exponent).local_get(carried).i64_extend_i32_u().i64_add().local_set(exponent);
        if let Some(kept) = kept {
            sink.local_get(sum).i64_const(1).i64_shr_u().i64_const(TOP).i64_or();
            sink.local_get(sum).local_get(carried).select().local_set(kept);
        }
        // Of numbers of about one size this is often so, and nobody could predict a branch.
        let mut sink = self.sink();
        sink.local_get(rounded).i64_const(-2).i64_const(-1).local_get(lost).i64_const(TOP).i64_eq().select();
        sink.i64_and().local_set(rounded);
        self.x87_carry(exact, Some(sum));
        self.free[Pool::Number as usize].extend([sum, low]);
        self.free[Pool::Host as usize].push(carried);
    }

    /// Subtracts where both have the same exponent: that is exact, and the second operand may be the larger.
    fn x87_subtract_level(&mut self, [a, b]: [Operand; 2], exact: &Exact, kept: Option<u32>) {
        let Exact { rounded, exponent, sign, lost } = *exact;
        let [negative] = self.take_numbers();
        let zeros = lost;
        self.value(a.significand);
        self.value(b.significand);
        self.sink().i64_lt_u().i64_extend_i32_u().local_set(negative);
        self.value(a.sign);
        self.sink().local_get(negative).i64_const(SIGN_SHIFT).i64_shl().i64_xor().local_set(sign);
        self.sink().i64_const(0).local_get(negative).i64_sub().local_set(negative);
        self.value(a.significand);
        self.value(b.significand);
        let mut sink = self.sink();
        sink.i64_sub().local_get(negative).i64_xor().local_get(negative).i64_sub().local_tee(rounded);
        sink.i64_clz().local_set(zeros);
        sink.local_get(rounded).local_get(zeros).i64_shl().local_set(rounded);
        self.value(a.exponent);
        let mut sink = self.sink();
        sink.local_get(zeros).i64_sub().local_set(exponent);
        sink.i64_const(0).local_set(lost);
        if let Some(kept) = kept {
            sink.local_get(rounded).local_set(kept);
        }
        sink.local_get(rounded).i64_eqz();
        self.open_if(BlockType::Empty);
        self.sink().i64_const(0).local_set(exponent).i64_const(0).local_set(sign);
        self.close();
        self.free[Pool::Number as usize].push(negative);
    }

    fn x87_subtract(&mut self, [large, small, distance]: [u32; 3], exact: &Exact, kept: Option<u32>) {
        let Exact { rounded, exponent, lost, .. } = *exact;
        let [high, low, zeros] = self.take_numbers();
        let mut sink = self.sink();
        // Both less one: what is below the last place borrows one more, and what is nothing there leaves the difference as it is.
        sink.local_get(large).i64_const(1).i64_sub();
        sink.local_get(small).i64_const(1).i64_sub().local_get(distance).i64_shr_u().i64_sub().local_set(high);
        sink.i64_const(0).local_get(small).i64_sub();
        sink.i64_const(0).local_get(distance).i64_sub().i64_shl().local_set(low);
        sink.local_get(high).i64_clz().local_set(zeros);
        let is_long = |sink: &mut InstructionSink<'_>| {
            sink.local_get(high).i64_const(0).i64_lt_s();
        };
        let normalized = |sink: &mut InstructionSink<'_>| {
            sink.local_get(high).i64_const(1).i64_shl().i64_add().local_get(zeros).i64_const(1).i64_sub().i64_shl();
        };
        // Half of the last place is away from zero beside an odd number, which is here seen before it is added: nobody could predict a branch.
        sink.local_get(low).local_get(high).i64_const(1).i64_and().i64_or();
        sink.i64_const(TOP).i64_gt_u().i64_extend_i32_u().local_get(high).i64_add();
        // Where more than one bit is missing at the top, there is no more than one below.
        sink.local_get(low).i64_const(BITS - 2).i64_shr_u();
        sink.local_get(low).i64_const(TOP >> 1 & i64::MAX).i64_ne().i64_extend_i32_u();
        sink.i64_add().i64_const(1).i64_shr_u();
        normalized(&mut sink);
        is_long(&mut sink);
        sink.select().local_set(rounded);
        sink.local_get(low).local_get(low).i64_const(1).i64_shl();
        is_long(&mut sink);
        sink.select().local_set(lost);
        sink.local_get(exponent).local_get(zeros).i64_sub().local_set(exponent);
        if let Some(kept) = kept {
            sink.local_get(high);
            sink.local_get(low).i64_const(BITS - 1).i64_shr_u();
            normalized(&mut sink);
            is_long(&mut sink);
            sink.select().local_set(kept);
        }
        self.x87_carry(exact, None);
        self.free[Pool::Number as usize].extend([high, low, zeros]);
    }

    fn x87_product(&mut self, [a, b]: [Operand; 2], exact: &Exact, kept: Option<u32>) {
        let Exact { rounded, exponent, sign, lost: low } = *exact;
        let [high] = self.take_numbers();
        self.value(a.significand);
        self.value(b.significand);
        self.sink().i64_mul().local_set(low);
        self.product_high(a.significand, b.significand, high);
        self.value(a.exponent);
        self.value(b.exponent);
        let mut sink = self.sink();
        sink.i64_add().i64_const(-BIAS).i64_add();
        sink.local_get(high).i64_const(BITS - 1).i64_shr_u().i64_add().local_set(exponent);
        // As a sign it would be tested, which takes V8's code one cycle more than this.
        let is_long = |sink: &mut InstructionSink<'_>| {
            sink.local_get(high).i64_const(TOP).i64_ge_u();
        };
        let doubled = |sink: &mut InstructionSink<'_>| {
            sink.local_get(high).i64_const(1).i64_shl().local_get(low).i64_const(BITS - 1).i64_shr_u();
        };
        sink.local_get(low).i64_const(BITS - 1).i64_shr_u().local_get(high).i64_add();
        doubled(&mut sink);
        sink.local_get(low).i64_const(BITS - 2).i64_shr_u().i64_const(1).i64_and().i64_add().i64_add();
        is_long(&mut sink);
        sink.select().local_set(rounded);
        if let Some(kept) = kept {
            sink.local_get(high);
            doubled(&mut sink);
            sink.i64_add();
            is_long(&mut sink);
            sink.select().local_set(kept);
        }
        // Nothing in the lower half: it may be exact, or half-way.
        sink.local_get(low).i32_wrap_i64().i32_eqz();
        self.open_if(BlockType::Empty);
        let mut sink = self.sink();
        sink.local_get(low);
        sink.local_get(low).i64_const(1).i64_shl();
        is_long(&mut sink);
        sink.select().local_set(low);
        self.x87_tie(rounded, low);
        self.close();
        self.x87_carry(exact, Some(high));
        self.value(a.sign);
        self.value(b.sign);
        self.sink().i64_xor().local_set(sign);
        self.free[Pool::Number as usize].push(high);
    }

    /// The upper half of a product, of four of halves.
    fn product_high(&mut self, a: Value, b: Value, into: u32) {
        let [a0, a1, b0, b1, least, t, u] = self.take_numbers();
        for (whole, low, high) in [(a, a0, a1), (b, b0, b1)] {
            self.value(whole);
            self.sink().i64_const(LOW_HALF).i64_and().local_set(low);
            self.value(whole);
            self.sink().i64_const(BITS / 2).i64_shr_u().local_set(high);
        }
        // Multiplied one after the other; what others wait for comes first.
        let mut sink = self.sink();
        sink.local_get(a0).local_get(b0).i64_mul().i64_const(BITS / 2).i64_shr_u().local_set(least);
        sink.local_get(a0).local_get(b1).i64_mul().local_set(t);
        sink.local_get(a1).local_get(b0).i64_mul().local_set(u);
        sink.local_get(a1).local_get(b1).i64_mul().local_set(into);
        sink.local_get(least).local_get(t).i64_const(LOW_HALF).i64_and().i64_add();
        sink.local_get(u).i64_const(LOW_HALF).i64_and().i64_add().i64_const(BITS / 2).i64_shr_u();
        sink.local_get(t).i64_const(BITS / 2).i64_shr_u().local_get(u).i64_const(BITS / 2).i64_shr_u().i64_add();
        sink.local_get(into).i64_add().i64_add().local_set(into);
        self.free[Pool::Number as usize].extend([a0, a1, b0, b1, least, t, u]);
    }

    /// Half-way between two numbers the even one is nearer.
    fn x87_tie(&mut self, rounded: u32, lost: u32) {
        self.sink().local_get(lost).i64_const(TOP).i64_eq();
        self.open_if(BlockType::Empty);
        self.sink().local_get(rounded).i64_const(-2).i64_and().local_set(rounded);
        self.close();
    }

    /// What has not its highest bit set has become the next power of two; or it is zero, where it was made of `nothing`.
    fn x87_carry(&mut self, exact: &Exact, nothing: Option<u32>) {
        let &Exact { rounded, exponent, .. } = exact;
        self.sink().local_get(rounded).i64_const(0).i64_ge_s();
        self.open_if(BlockType::Empty);
        if let Some(nothing) = nothing {
            self.sink().local_get(nothing).i64_eqz();
            self.open_if(BlockType::Empty);
            self.sink().i64_const(0).local_set(exponent);
            self.sink().else_();
        }
        let mut sink = self.sink();
        sink.i64_const(TOP).local_set(rounded);
        sink.local_get(exponent).i64_const(1).i64_add().local_set(exponent);
        if nothing.is_some() {
            self.close();
        }
        self.close();
    }
}

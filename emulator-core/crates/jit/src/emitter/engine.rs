//! [`Engine`], for the emitter: every question becomes a value, every effect a step.

use core::convert::Infallible;

use x86::instructions::{fpu::Fpu, system::Sys};
use x86::{Engine, Exception, Op, Width};

use super::Emitter;
use crate::ir::{Access, Binary, End, FLAG_CARRIES, FLAG_RESULT, RIP, Step, Unary, Value};
use cpu::compiled::FlagKind;
use cpu::eflags;

impl Emitter {
    fn truncated(&mut self, w: Width, op: Binary, a: Value, b: Value) -> Value {
        let value = self.graph.binary(op, a, b);
        self.graph.truncate(w, value)
    }

    /// 1 where the quotient of a signed division of width `w` does not fit.
    fn quotient_overflows(&mut self, w: Width, quotient: Value) -> Value {
        let extended = self.graph.sign_extend(w, quotient);
        self.graph.binary(Binary::NotEqual, extended, quotient)
    }
}

impl Engine for Emitter {
    type V = Value;
    type Place = Access;
    type Stop = Infallible;

    fn imm(&mut self, value: u64) -> Value {
        self.graph.constant(value)
    }

    fn add(&mut self, w: Width, a: Value, b: Value) -> Value {
        self.truncated(w, Binary::Add, a, b)
    }

    fn sub(&mut self, w: Width, a: Value, b: Value) -> Value {
        self.truncated(w, Binary::Sub, a, b)
    }

    fn mul(&mut self, w: Width, a: Value, b: Value) -> Value {
        self.truncated(w, Binary::Mul, a, b)
    }

    fn mul_high_unsigned(&mut self, w: Width, a: Value, b: Value) -> Value {
        if w == Width::W64 {
            return self.graph.binary(Binary::MulHighUnsigned, a, b);
        }
        let product = self.graph.binary(Binary::Mul, a, b);
        let bits = self.graph.constant(u64::from(w.bits()));
        self.truncated(w, Binary::ShrUnsigned, product, bits)
    }

    fn mul_high_signed(&mut self, w: Width, a: Value, b: Value) -> Value {
        if w == Width::W64 {
            return self.graph.binary(Binary::MulHighSigned, a, b);
        }
        let (a, b) = (self.graph.sign_extend(w, a), self.graph.sign_extend(w, b));
        let product = self.graph.binary(Binary::Mul, a, b);
        let bits = self.graph.constant(u64::from(w.bits()));
        self.truncated(w, Binary::ShrUnsigned, product, bits)
    }

    fn divide_unsigned(
        &mut self,
        w: Width,
        high: Value,
        low: Value,
        divisor: Value,
    ) -> Result<(Value, Value), Infallible> {
        let Some(dividend) = self.narrow_dividend(w, high, low, false) else {
            return Ok(self.divide_wide(false, [high, low, divisor]));
        };
        // Covers a divisor of zero: `high` is not below zero.
        let overflows = self.graph.binary(Binary::BelowOrEqual, divisor, high);
        self.interpret_where(overflows);
        let quotient = self.graph.binary(Binary::DivUnsigned, dividend, divisor);
        let remainder = self.graph.binary(Binary::RemUnsigned, dividend, divisor);
        Ok((quotient, remainder))
    }

    fn divide_signed(
        &mut self,
        w: Width,
        high: Value,
        low: Value,
        divisor: Value,
    ) -> Result<(Value, Value), Infallible> {
        let Some(dividend) = self.narrow_dividend(w, high, low, true) else {
            return Ok(self.divide_wide(true, [high, low, divisor]));
        };
        let divisor = self.graph.sign_extend(w, divisor);
        let zero = self.graph.constant(0);
        let by_zero = self.graph.binary(Binary::Equal, divisor, zero);
        self.interpret_where(by_zero);
        if w >= Width::W32 {
            // The one dividend whose quotient WebAssembly's own division refuses.
            let (least, minus_one) = (self.graph.constant(1 << 63), self.graph.constant(u64::MAX));
            let is_least = self.graph.binary(Binary::Equal, dividend, least);
            let by_minus_one = self.graph.binary(Binary::Equal, divisor, minus_one);
            let both = self.graph.binary(Binary::And, is_least, by_minus_one);
            self.interpret_where(both);
        }
        let quotient = self.graph.binary(Binary::DivSigned, dividend, divisor);
        if w < Width::W64 {
            let overflows = self.quotient_overflows(w, quotient);
            self.interpret_where(overflows);
        }
        let remainder = self.graph.binary(Binary::RemSigned, dividend, divisor);
        Ok((self.graph.truncate(w, quotient), self.graph.truncate(w, remainder)))
    }

    fn and(&mut self, a: Value, b: Value) -> Value {
        self.graph.binary(Binary::And, a, b)
    }

    fn or(&mut self, a: Value, b: Value) -> Value {
        self.graph.binary(Binary::Or, a, b)
    }

    fn xor(&mut self, a: Value, b: Value) -> Value {
        self.graph.binary(Binary::Xor, a, b)
    }

    fn not(&mut self, w: Width, a: Value) -> Value {
        let ones = self.graph.constant(u64::MAX);
        self.truncated(w, Binary::Xor, a, ones)
    }

    fn shl(&mut self, w: Width, a: Value, count: Value) -> Value {
        self.truncated(w, Binary::Shl, a, count)
    }

    fn shr(&mut self, a: Value, count: Value) -> Value {
        self.graph.binary(Binary::ShrUnsigned, a, count)
    }

    fn sar(&mut self, w: Width, a: Value, count: Value) -> Value {
        let extended = self.graph.sign_extend(w, a);
        self.truncated(w, Binary::ShrSigned, extended, count)
    }

    fn sign_extend(&mut self, from: Width, to: Width, a: Value) -> Value {
        let extended = self.graph.sign_extend(from, a);
        self.graph.truncate(to, extended)
    }

    fn truncate(&mut self, w: Width, a: Value) -> Value {
        self.graph.truncate(w, a)
    }

    fn count_trailing_zeros(&mut self, a: Value) -> Value {
        self.graph.unary(Unary::TrailingZeros, a)
    }

    fn count_leading_zeros(&mut self, a: Value) -> Value {
        self.graph.unary(Unary::LeadingZeros, a)
    }

    fn count_ones(&mut self, a: Value) -> Value {
        self.graph.unary(Unary::Ones, a)
    }

    fn equal(&mut self, a: Value, b: Value) -> Value {
        self.graph.binary(Binary::Equal, a, b)
    }

    fn below(&mut self, a: Value, b: Value) -> Value {
        self.graph.binary(Binary::Below, a, b)
    }

    fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        self.graph.select(condition, a, b)
    }

    fn register(&mut self, w: Width, slot: u8) -> Value {
        let whole = self.address_register(slot);
        let skipped = self.graph.constant(u64::from(slot % 8) * 8);
        self.truncated(w, Binary::ShrUnsigned, whole, skipped)
    }

    fn set_register(&mut self, w: Width, slot: u8, value: Value) {
        let cell = usize::from(slot / 8);
        self.cells[cell] = if w >= Width::W32 {
            value
        } else {
            let shift = u32::from(slot % 8) * 8;
            let kept = self.graph.constant(!(w.mask() << shift));
            let rest = self.graph.binary(Binary::And, self.cells[cell], kept);
            let shift = self.graph.constant(u64::from(shift));
            let moved = self.graph.binary(Binary::Shl, value, shift);
            self.graph.binary(Binary::Or, rest, moved)
        };
    }

    fn effective_address(&mut self, op: &Op) -> Value {
        let none = self.graph.constant(0);
        self.offset_of(op, none)
    }

    fn load(&mut self, w: Width, op: &Op) -> Result<Value, Infallible> {
        let none = self.graph.constant(0);
        self.load_at(w, op, none)
    }

    fn store(&mut self, w: Width, op: &Op, value: Value) -> Result<(), Infallible> {
        let none = self.graph.constant(0);
        let access = self.any_operand(w, op, none, true);
        self.store_access(access, value);
        Ok(())
    }

    fn load_rw(&mut self, w: Width, op: &Op) -> Result<(Value, Access), Infallible> {
        let none = self.graph.constant(0);
        self.load_rw_at(w, op, none)
    }

    fn store_rw(&mut self, _w: Width, access: Access, value: Value) {
        self.push(Step::StoreBack { width: access.width, value });
    }

    fn load_rw_at(&mut self, w: Width, op: &Op, displacement: Value) -> Result<(Value, Access), Infallible> {
        let access = self.any_operand(w, op, displacement, true);
        Ok(self.load_for_write(access))
    }

    fn load_at(&mut self, w: Width, op: &Op, displacement: Value) -> Result<Value, Infallible> {
        let access = self.any_operand(w, op, displacement, false);
        Ok(self.load_access(access))
    }

    fn stack_width(&mut self) -> Width {
        self.mode.stack
    }

    fn load_stack(&mut self, w: Width, pointer: Value) -> Result<Value, Infallible> {
        let access = self.stack_access(w, pointer, false);
        Ok(self.load_access(access))
    }

    fn store_stack(&mut self, w: Width, pointer: Value, value: Value) -> Result<(), Infallible> {
        let access = self.stack_access(w, pointer, true);
        self.store_access(access, value);
        Ok(())
    }

    fn flag_result(&mut self) -> Value {
        self.cells[FLAG_RESULT]
    }

    fn flag_carries(&mut self) -> Value {
        self.carries()
    }

    fn set_flags(&mut self, result: Value, carries: Value) {
        self.cells[FLAG_RESULT] = result;
        self.cells[FLAG_CARRIES] = carries;
        self.sum = None;
    }

    fn flags_of_sum(&mut self, w: Width, subtracted: bool, b: Value) {
        self.sum = Some((FlagKind::of_sum(w, subtracted), b));
    }

    fn flags_of_step(&mut self, w: Width, subtracted: bool, carry: Value) {
        self.sum = Some((FlagKind::of_step(w, subtracted), carry));
    }

    fn set_direction(&mut self, down: bool) {
        let (clear, set) = if down { (0, eflags::DF) } else { (eflags::DF, 0) };
        self.push(Step::SetFlags { clear, set });
        self.upwards = !down;
    }

    fn next_ip(&mut self, op: &Op) -> Value {
        self.code_address(op.next_offset())
    }

    fn jump(&mut self, _op: &Op, target: Value) -> Result<(), Infallible> {
        let always = self.graph.constant(1);
        self.check_target(always, target);
        self.cells[RIP] = target;
        self.end = Some(End::Dynamic);
        Ok(())
    }

    fn jump_relative(&mut self, op: &Op) -> Result<(), Infallible> {
        let Some(place) = self.static_target(op) else {
            let target = self.relative_target(op);
            return self.jump(op, target);
        };
        if !self.mode.flat {
            let (always, target) = (self.graph.constant(1), self.relative_target(op));
            self.check_target(always, target);
        }
        self.end = Some(End::Goto(place));
        Ok(())
    }

    fn branch(&mut self, op: &Op, condition: Value) -> Result<(), Infallible> {
        let next = self.start + op.next_offset() as i64;
        if !self.mode.flat {
            let (zero, target) = (self.graph.constant(0), self.relative_target(op));
            let taken = self.graph.binary(Binary::NotEqual, condition, zero);
            self.check_target(taken, target);
        }
        if let Some(place) = self.static_target(op) {
            self.end = Some(End::Branch(condition, [place, next]));
            return Ok(());
        }
        let (target, next) = (self.relative_target(op), self.region_address(next));
        self.cells[RIP] = self.graph.select(condition, target, next);
        self.end = Some(End::Dynamic);
        Ok(())
    }

    fn raise(&mut self, _exception: Exception) -> Result<(), Infallible> {
        let always = self.graph.constant(1);
        self.interpret_where(always);
        Ok(())
    }

    fn system(&mut self, _op: &Op, _sys: Sys) -> Result<(), Infallible> {
        unreachable!("not a general-purpose instruction: `effects`")
    }

    fn fpu(&mut self, _op: &Op, _fpu: Fpu) -> Result<(), Infallible> {
        unreachable!("not a general-purpose instruction: `effects`")
    }
}

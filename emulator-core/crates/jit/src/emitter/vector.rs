//! [`VectorEngine`], for the emitter. What WebAssembly has no short way for is left to the interpreter: `unsupported` says so, and the
//! instruction is taken back.

use core::convert::Infallible;

use cpu::compiled::{ENABLED_AVX, ENABLED_SSE, ENABLED_USUAL_ROUNDING};
use x86::instructions::simd::{
    ConvertOp, FloatOp, FmaOp, GatherOp, Lanes, PackedImmOp, PackedOp, StringOp, TernaryOp, VectorEngine,
};
use x86::{Engine, Op, Width};

use super::Emitter;
use super::range::Range;
use super::shuffle::{by_immediate, interleaved};
use crate::codegen::is_direct;
use crate::ir::{Binary, Float, Scalar, Step, Value, Vector, XMM};

impl Emitter {
    /// The instruction cannot be compiled.
    pub(super) fn unsupported<T>(&mut self, instead: T) -> T {
        self.unsupported = true;
        instead
    }

    /// Leaves where a bit of [`cpu::compiled::Context::disabled`] is set. What a block asks for is looked at together, where it asks first.
    pub(super) fn require(&mut self, enabled: u32) {
        if self.required & enabled == enabled {
            return;
        }
        self.required |= enabled;
        if let Some(Step::Require { enabled, .. }) = self.required_by.and_then(|step| self.steps.get_mut(step)) {
            *enabled = self.required;
            return;
        }
        let stop = self.stop_before();
        self.required_by = Some(self.steps.len());
        self.push(Step::Require { enabled, stop });
    }

    /// Linear address of the memory operand, `displacement` behind its start.
    fn linear(&mut self, op: &Op, displacement: u64) -> Value {
        let displacement = self.graph.constant(displacement);
        self.operand(Width::W64, op, displacement).address
    }

    fn load_16(&mut self, op: &Op, displacement: u64, aligned: bool) -> Value {
        let address = self.linear(op, displacement);
        let fault = self.stop_before();
        let value = self.graph.vector_product();
        self.push(Step::LoadVector { address, bytes: 16, aligned, value, fault });
        value
    }

    fn store_16(&mut self, op: &Op, displacement: u64, aligned: bool, value: Value) {
        let address = self.linear(op, displacement);
        let fault = self.stop_before();
        self.push(Step::StoreVector { address, aligned, value, fault });
    }

    /// Where the instruction at work has just loaded `low`, which nothing else has seen: the same into a vector.
    fn loaded_into_vector(&mut self, low: Value) -> Option<Value> {
        let &Step::Load { access, value, fault } = self.steps[self.steps_before..].last()? else { return None };
        if value != low || access.width < Width::W32 {
            return None;
        }
        let vector = self.graph.vector_product();
        let (address, bytes) = (access.address, access.width.bytes());
        self.steps.pop();
        self.push(Step::LoadVector { address, bytes, aligned: false, value: vector, fault });
        self.alone.push((vector, if bytes == 4 { Lanes::Ss } else { Lanes::Sd }));
        Some(vector)
    }
}

impl VectorEngine for Emitter {
    type X = Value;

    fn sse_enabled(&mut self) -> Result<(), Infallible> {
        self.require(ENABLED_SSE);
        Ok(())
    }

    fn mmx_enabled(&mut self) -> Result<(), Infallible> {
        self.unsupported(Ok(()))
    }

    fn avx_enabled(&mut self) -> Result<(), Infallible> {
        self.require(ENABLED_AVX);
        Ok(())
    }

    fn xmm(&mut self, register: u8) -> Value {
        self.cells[XMM + usize::from(register & 15)]
    }

    fn set_xmm(&mut self, register: u8, value: Value) {
        self.cells[XMM + usize::from(register & 15)] = value;
    }

    fn ymm_high(&mut self, register: u8) -> Value {
        let register = register & 15;
        if let Some(value) = self.highs[usize::from(register)] {
            return value;
        }
        let value = self.graph.vector_product();
        self.push(Step::LoadHigh { register, value });
        self.highs[usize::from(register)] = Some(value);
        value
    }

    fn set_ymm_high(&mut self, register: u8, value: Value) {
        let register = register & 15;
        if self.highs[usize::from(register)].replace(value) != Some(value) {
            self.push(Step::StoreHigh { register, value });
        }
    }

    fn clear_vectors(&mut self, whole: bool) {
        // The region may not have all XMM registers in locals.
        if whole {
            return self.unsupported(());
        }
        let zero = self.graph.vector_constant(0);
        let count = if self.mode.code == Width::W64 { 16 } else { 8 };
        for register in 0..count {
            self.set_ymm_high(register, zero);
        }
    }

    fn mmx(&mut self, _register: u8) -> Value {
        let none = self.graph.constant(0);
        self.unsupported(none)
    }

    fn set_mmx(&mut self, _register: u8, _value: Value) {
        self.unsupported(());
    }

    fn enter_mmx(&mut self) {
        self.unsupported(());
    }

    fn leave_mmx(&mut self) {
        self.unsupported(());
    }

    fn load_vector(&mut self, op: &Op, aligned: bool) -> Result<Value, Infallible> {
        Ok(self.load_16(op, 0, aligned))
    }

    fn store_vector(&mut self, op: &Op, aligned: bool, value: Value) -> Result<(), Infallible> {
        self.store_16(op, 0, aligned, value);
        Ok(())
    }

    fn store_masked(&mut self, _op: &Op, _bytes: u8, _value: Value, _mask: Value) -> Result<(), Infallible> {
        self.unsupported(Ok(()))
    }

    fn load_wide(&mut self, op: &Op, aligned: bool) -> Result<[Value; 2], Infallible> {
        self.check_wide_alignment(op, aligned);
        Ok([self.load_16(op, 0, false), self.load_16(op, 16, false)])
    }

    fn store_wide(&mut self, op: &Op, aligned: bool, value: [Value; 2]) -> Result<(), Infallible> {
        self.check_wide_alignment(op, aligned);
        // Nothing is written where the second half faults.
        let address = self.linear(op, 16);
        let fault = self.stop_before();
        self.push(Step::ProbeVector { address, fault });
        self.store_16(op, 0, false, value[0]);
        self.store_16(op, 16, false, value[1]);
        Ok(())
    }

    fn load_quadword(&mut self, op: &Op) -> Result<Value, Infallible> {
        self.load(Width::W64, op)
    }

    fn store_quadword(&mut self, op: &Op, value: Value) -> Result<(), Infallible> {
        self.store(Width::W64, op, value)
    }

    fn load_elements(&mut self, _op: &Op, _w: Width, mask: [Value; 2]) -> Result<[Value; 2], Infallible> {
        self.unsupported(Ok(mask))
    }

    fn store_elements(&mut self, _op: &Op, _w: Width, _mask: [Value; 2], _value: [Value; 2]) -> Result<(), Infallible> {
        self.unsupported(Ok(()))
    }

    fn gather(&mut self, _op: &Op, _kind: GatherOp) -> Result<(), Infallible> {
        self.unsupported(Ok(()))
    }

    fn join(&mut self, low: Value, high: Value) -> Value {
        if self.graph.constant_of(high) == Some(0)
            && let Some(loaded) = self.loaded_into_vector(low)
        {
            return loaded;
        }
        self.graph.join(low, high)
    }

    fn low(&mut self, value: Value) -> Value {
        self.graph.quadword(0, value)
    }

    fn high(&mut self, value: Value) -> Value {
        self.graph.quadword(1, value)
    }

    fn sign_mask(&mut self, bits: u8, value: Value) -> Value {
        self.graph.scalar1(Scalar::Signs(bits), value)
    }

    fn packed(&mut self, op: PackedOp, a: Value, b: Value) -> Value {
        if let Some(lanes) = interleaved(op) {
            return self.graph.vector2(Vector::Shuffle(lanes), a, b);
        }
        if a == b && op == PackedOp::Pxor {
            return self.graph.vector_constant(0);
        }
        if is_direct(op) {
            return self.graph.vector2(Vector::Packed(op), a, b);
        }
        match (super::shuffle::shifted_lanes(op), self.graph.shift_count(b)) {
            (Some(bits), Some(count)) => self.shift(op, bits, a, count),
            _ => self.unsupported(a),
        }
    }

    fn packed_imm(&mut self, op: PackedImmOp, a: Value, b: Value, imm: u8) -> Value {
        match by_immediate(op, imm) {
            Some((lanes, operands)) => {
                let zero = self.graph.vector_constant(0);
                let [first, second] = operands.choose(a, b, zero);
                self.graph.vector2(Vector::Shuffle(lanes), first, second)
            }
            None => self.unsupported(a),
        }
    }

    fn ternary(&mut self, op: TernaryOp, a: Value, b: Value, c: Value) -> Value {
        let (signs, bits) = match op {
            TernaryOp::Pblendvb => return self.blend_bytes(a, b, c),
            TernaryOp::Blendvps => (PackedOp::Psrad, 31),
            TernaryOp::Blendvpd | TernaryOp::Sha256rnds2 => return self.unsupported(a),
        };
        let mask = self.graph.vector1(Vector::Shift(signs, bits), c);
        self.graph.vector3(Vector::BitSelect, [b, a, mask])
    }

    fn permute_dwords(&mut self, index: [Value; 2], _value: [Value; 2]) -> [Value; 2] {
        self.unsupported(index)
    }

    fn string_compare(&mut self, _op: StringOp, a: (Value, Value), _b: (Value, Value), _imm: u8) -> (Value, Value) {
        self.unsupported(a)
    }

    fn float<const PARTS: usize>(
        &mut self,
        op: FloatOp,
        a: [Value; PARTS],
        b: [Value; PARTS],
        imm: u8,
    ) -> Result<[Value; PARTS], Infallible> {
        Ok(core::array::from_fn(|part| self.float_part(op, a[part], b[part], imm)))
    }

    fn fused<const PARTS: usize>(
        &mut self,
        op: FmaOp,
        first: [Value; PARTS],
        abc: [[Value; PARTS]; 3],
    ) -> Result<[Value; PARTS], Infallible> {
        Ok(core::array::from_fn(|part| self.fused_part(op, first[part], abc.map(|operand| operand[part]))))
    }

    fn half_to_single<const PARTS: usize>(&mut self, b: [Value; PARTS]) -> Result<[Value; PARTS], Infallible> {
        self.unsupported(Ok(b))
    }

    fn single_to_half<const PARTS: usize>(
        &mut self,
        b: [Value; PARTS],
        _imm: u8,
    ) -> Result<[Value; PARTS], Infallible> {
        self.unsupported(Ok(b))
    }

    fn compare(&mut self, lanes: Lanes, _quiet: bool, a: Value, b: Value) -> Result<Value, Infallible> {
        Ok(self.compare_to_eflags(lanes, a, b))
    }

    fn convert<const PARTS: usize>(
        &mut self,
        op: ConvertOp,
        a: [Value; PARTS],
        b: [Value; PARTS],
    ) -> Result<[Value; PARTS], Infallible> {
        Ok(core::array::from_fn(|part| self.convert_part(op, a[part], b[part])))
    }

    fn integer_to_lane(&mut self, lanes: Lanes, w: Width, a: Value, integer: Value) -> Result<Value, Infallible> {
        self.require(ENABLED_USUAL_ROUNDING);
        let integer = self.graph.sign_extend(w, integer);
        let float = self.graph.float(Float::FromInteger, lanes, [integer; 2]);
        let value = self.graph.insert(lanes, a, float);
        self.ranges.push((value, lanes, Range { low: 0, high: 63 }));
        Ok(value)
    }

    fn lane_to_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: Value) -> Result<Value, Infallible> {
        Ok(self.lowest_as_integer(lanes, w, truncate, a))
    }

    fn mxcsr(&mut self) -> Value {
        let none = self.graph.constant(0);
        self.unsupported(none)
    }

    fn set_mxcsr(&mut self, _value: Value) -> Result<(), Infallible> {
        self.unsupported(Ok(()))
    }
}

impl Emitter {
    /// Leaves where the memory operand of 32 bytes is not aligned but has to be.
    fn check_wide_alignment(&mut self, op: &Op, aligned: bool) {
        if aligned {
            let (address, below) = (self.linear(op, 0), self.graph.constant(31));
            let misplaced = self.number(Binary::And, address, below);
            self.interpret_where(misplaced);
        }
    }

    /// What bits 255:128 of a register have been given before the instruction at work is of no use if nothing could have left in between.
    pub(super) fn forget_overwritten_highs(&mut self) {
        let mut index = self.steps_before;
        while let Some(step) = self.steps.get(index) {
            if let Step::StoreHigh { register, .. } = *step
                && let Some(before) = self.last_store_high(register, index)
            {
                self.steps.remove(before);
                continue;
            }
            index += 1;
        }
    }

    /// The step before step `end` that stores to the register, where only others' are behind it.
    fn last_store_high(&self, register: u8, end: usize) -> Option<usize> {
        let is_other = |step: &Step| match step {
            Step::StoreHigh { register: other, .. } | Step::LoadHigh { register: other, .. } => *other != register,
            _ => false,
        };
        let others = self.steps[..end].iter().rev().take_while(|step| is_other(step)).count();
        let last = end.checked_sub(others + 1)?;
        matches!(self.steps[last], Step::StoreHigh { register: other, .. } if other == register).then_some(last)
    }

    /// Lanes of `bits` shifted by `count`: by all of them or more, nothing is left but signs.
    fn shift(&mut self, op: PackedOp, bits: u64, a: Value, count: u64) -> Value {
        let arithmetic = matches!(op, PackedOp::Psraw | PackedOp::Psrad);
        if count >= bits && !arithmetic {
            return self.graph.vector_constant(0);
        }
        self.graph.vector1(Vector::Shift(op, count.min(bits - 1) as u8), a)
    }

    /// Bytes of `b` where those of `c` are negative.
    fn blend_bytes(&mut self, a: Value, b: Value, c: Value) -> Value {
        let zero = self.graph.vector_constant(0);
        let mask = self.graph.vector2(Vector::Packed(PackedOp::Pcmpgtb), zero, c);
        self.graph.vector3(Vector::BitSelect, [b, a, mask])
    }

    /// `binary` of numbers.
    pub(super) fn number(&mut self, binary: Binary, a: Value, b: Value) -> Value {
        self.graph.binary(binary, a, b)
    }
}

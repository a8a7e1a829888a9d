//! MMX, SSE and AVX as the interpreter runs them: an engine whose vectors are `u128`.

mod elements;
mod float;
#[cfg(test)]
mod tests;

use softfloat::Context;
use x86::instructions::simd::{
    ConvertOp, FloatOp, FmaOp, FpOp, GatherOp, Lanes, PackedImmOp, PackedOp, StringOp, TernaryOp, VectorEngine, lanes,
};
use x86::{Engine, Exception, Op, Width};

use crate::exec::Exec;
use crate::state::control::{CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_OSXSAVE};
use crate::x87::MXCSR_MASK;
use crate::x87::xsave::{XCR0_AVX, XCR0_SSE};

/// Sign and exponent of an x87 register whose significand an MMX instruction wrote.
const MMX_EXPONENT: u16 = 0xffff;

impl Exec<'_> {
    /// Runs a floating-point operation in the environment MXCSR describes and reports what it raised there.
    fn with_mxcsr<T>(&mut self, operation: impl FnOnce(&mut Context) -> T) -> Result<T, Exception> {
        let state = &mut self.cpu.state;
        let mut ctx = Context::sse(state.mxcsr);
        let result = operation(&mut ctx);
        state.mxcsr |= u32::from(ctx.raised().bits());
        if ctx.unmasked().is_empty() {
            return Ok(result);
        }
        Err(if state.cr4 & CR4_OSXMMEXCPT != 0 { Exception::Simd } else { Exception::InvalidOpcode })
    }
}

impl VectorEngine for Exec<'_> {
    type X = u128;

    #[inline(always)]
    fn sse_enabled(&mut self) -> Result<(), Exception> {
        let state = &self.cpu.state;
        if state.cr0 & (CR0_EM | CR0_TS) == 0 && state.cr4 & CR4_OSFXSR != 0 {
            return Ok(());
        }
        let undefined = state.cr0 & CR0_EM != 0 || state.cr4 & CR4_OSFXSR == 0;
        Err(if undefined { Exception::InvalidOpcode } else { Exception::DeviceNotAvailable })
    }

    fn mmx_enabled(&mut self) -> Result<(), Exception> {
        match self.cpu.state.cr0 {
            cr0 if cr0 & CR0_EM != 0 => Err(Exception::InvalidOpcode),
            cr0 if cr0 & CR0_TS != 0 => Err(Exception::DeviceNotAvailable),
            _ => self.check_pending_x87(),
        }
    }

    #[inline(always)]
    fn avx_enabled(&mut self) -> Result<(), Exception> {
        let state = &self.cpu.state;
        if state.cr4 & CR4_OSXSAVE == 0 || state.xcr0 & (XCR0_SSE | XCR0_AVX) != XCR0_SSE | XCR0_AVX {
            return Err(Exception::InvalidOpcode);
        }
        if state.cr0 & CR0_TS != 0 { Err(Exception::DeviceNotAvailable) } else { Ok(()) }
    }

    #[inline(always)]
    fn xmm(&mut self, register: u8) -> u128 {
        self.cpu.state.xmm[usize::from(register & 15)]
    }

    #[inline(always)]
    fn set_xmm(&mut self, register: u8, value: u128) {
        self.cpu.state.xmm[usize::from(register & 15)] = value;
    }

    #[inline(always)]
    fn ymm_high(&mut self, register: u8) -> u128 {
        self.cpu.state.ymm_high[usize::from(register & 15)]
    }

    #[inline(always)]
    fn set_ymm_high(&mut self, register: u8, value: u128) {
        self.cpu.state.ymm_high[usize::from(register & 15)] = value;
    }

    fn clear_vectors(&mut self, whole: bool) {
        let count = if self.cpu.mode.code == Width::W64 { 16 } else { 8 };
        let state = &mut self.cpu.state;
        state.ymm_high[..count].fill(0);
        if whole {
            state.xmm[..count].fill(0);
        }
    }

    fn mmx(&mut self, register: u8) -> u64 {
        self.cpu.state.x87.registers[usize::from(register & 7)].0
    }

    fn set_mmx(&mut self, register: u8, value: u64) {
        self.cpu.state.x87.registers[usize::from(register & 7)] = (value, MMX_EXPONENT);
    }

    fn enter_mmx(&mut self) {
        self.cpu.state.x87.enter_mmx();
    }

    fn leave_mmx(&mut self) {
        self.cpu.state.x87.leave_mmx();
    }

    #[inline(always)]
    fn load_vector(&mut self, op: &Op, aligned: bool) -> Result<u128, Exception> {
        let linear = self.linear(op, 16, false)?;
        self.load128(linear, op.fault_segment(), aligned)
    }

    #[inline(always)]
    fn store_vector(&mut self, op: &Op, aligned: bool, value: u128) -> Result<(), Exception> {
        let linear = self.linear(op, 16, true)?;
        self.store128(linear, op.fault_segment(), aligned, value)
    }

    fn store_masked(&mut self, op: &Op, bytes: u8, value: u128, mask: u128) -> Result<(), Exception> {
        // With no byte selected faults are up to the implementation (SDM vol. 2, MASKMOVDQU). Intel's processors report them, and
        // those of the upper half first.
        let chosen = lanes::sign_mask(8, mask);
        for half in (0..bytes / 8).rev() {
            self.load_rw_at(Width::W64, op, 8 * u64::from(half))?;
        }
        for n in (0..bytes).filter(|n| chosen >> n & 1 != 0) {
            let (_, place) = self.load_rw_at(Width::W8, op, u64::from(n))?;
            self.store_rw(Width::W8, place, (value >> (8 * n)) as u64 & 0xff);
        }
        Ok(())
    }

    fn load_wide(&mut self, op: &Op, aligned: bool) -> Result<[u128; 2], Exception> {
        let linear = self.linear(op, 32, false)?;
        self.load256(linear, op.fault_segment(), aligned)
    }

    fn store_wide(&mut self, op: &Op, aligned: bool, value: [u128; 2]) -> Result<(), Exception> {
        let linear = self.linear(op, 32, true)?;
        self.store256(linear, op.fault_segment(), aligned, value)
    }

    fn load_quadword(&mut self, op: &Op) -> Result<u64, Exception> {
        let offset = self.effective_address(op);
        let linear = self.linear_unaligned(op, offset, 8, false)?;
        self.load_linear(Width::W64, linear, op.fault_segment())
    }

    fn store_quadword(&mut self, op: &Op, value: u64) -> Result<(), Exception> {
        let offset = self.effective_address(op);
        let linear = self.linear_unaligned(op, offset, 8, true)?;
        self.store_linear(Width::W64, linear, op.fault_segment(), value)
    }

    fn load_elements(&mut self, op: &Op, w: Width, mask: [u128; 2]) -> Result<[u128; 2], Exception> {
        self.load_chosen(op, w, mask)
    }

    fn store_elements(&mut self, op: &Op, w: Width, mask: [u128; 2], value: [u128; 2]) -> Result<(), Exception> {
        self.store_chosen(op, w, mask, value)
    }

    fn gather(&mut self, op: &Op, kind: GatherOp) -> Result<(), Exception> {
        self.gather_elements(op, kind)
    }

    #[inline(always)]
    fn join(&mut self, low: u64, high: u64) -> u128 {
        u128::from(high) << 64 | u128::from(low)
    }

    #[inline(always)]
    fn low(&mut self, value: u128) -> u64 {
        value as u64
    }

    #[inline(always)]
    fn high(&mut self, value: u128) -> u64 {
        (value >> 64) as u64
    }

    fn sign_mask(&mut self, bits: u8, value: u128) -> u64 {
        lanes::sign_mask(bits, value)
    }

    fn packed(&mut self, op: PackedOp, a: u128, b: u128) -> u128 {
        lanes::packed(op, a, b)
    }

    fn packed_imm(&mut self, op: PackedImmOp, a: u128, b: u128, imm: u8) -> u128 {
        lanes::packed_imm(op, a, b, imm)
    }

    fn ternary(&mut self, op: TernaryOp, a: u128, b: u128, c: u128) -> u128 {
        lanes::ternary(op, a, b, c)
    }

    fn permute_dwords(&mut self, index: [u128; 2], value: [u128; 2]) -> [u128; 2] {
        lanes::permute_dwords(index, value)
    }

    fn string_compare(&mut self, op: StringOp, a: (u128, u64), b: (u128, u64), imm: u8) -> (u128, u64) {
        lanes::string_compare(op, a, b, imm)
    }

    fn float<const PARTS: usize>(
        &mut self,
        op: FloatOp,
        a: [u128; PARTS],
        b: [u128; PARTS],
        imm: u8,
    ) -> Result<[u128; PARTS], Exception> {
        if float::native::is_usual(self.cpu.state.mxcsr)
            && let Some(value) = float::native::operate_all(op, a, b)
        {
            return Ok(value);
        }
        self.with_mxcsr(|ctx| {
            if op.op() == FpOp::DotProduct {
                return float::dot_products(op, a, b, imm, ctx);
            }
            core::array::from_fn(|part| float::operate(op, a[part], b[part], imm, ctx))
        })
    }

    fn fused<const PARTS: usize>(
        &mut self,
        op: FmaOp,
        first: [u128; PARTS],
        [a, b, c]: [[u128; PARTS]; 3],
    ) -> Result<[u128; PARTS], Exception> {
        self.with_mxcsr(|ctx| {
            core::array::from_fn(|part| float::fused(op, first[part], [a[part], b[part], c[part]], ctx))
        })
    }

    fn half_to_single<const PARTS: usize>(&mut self, b: [u128; PARTS]) -> Result<[u128; PARTS], Exception> {
        self.with_mxcsr(|ctx| b.map(|part| float::half_to_single(part, ctx)))
    }

    fn single_to_half<const PARTS: usize>(&mut self, b: [u128; PARTS], imm: u8) -> Result<[u128; PARTS], Exception> {
        self.with_mxcsr(|ctx| b.map(|part| float::single_to_half(part, imm, ctx)))
    }

    fn compare(&mut self, lanes: Lanes, quiet: bool, a: u128, b: u128) -> Result<u64, Exception> {
        self.with_mxcsr(|ctx| float::compare_to_eflags(lanes, quiet, a, b, ctx))
    }

    fn convert<const PARTS: usize>(
        &mut self,
        op: ConvertOp,
        a: [u128; PARTS],
        b: [u128; PARTS],
    ) -> Result<[u128; PARTS], Exception> {
        self.with_mxcsr(|ctx| core::array::from_fn(|part| float::convert(op, a[part], b[part], ctx)))
    }

    fn integer_to_lane(&mut self, lanes: Lanes, w: Width, a: u128, integer: u64) -> Result<u128, Exception> {
        let integer = w.sign_extend(integer) as i64;
        self.with_mxcsr(|ctx| float::from_integer(lanes, a, integer, ctx))
    }

    fn lane_to_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: u128) -> Result<u64, Exception> {
        self.with_mxcsr(|ctx| float::to_integer(lanes, w, truncate, a, ctx))
    }

    fn mxcsr(&mut self) -> u64 {
        u64::from(self.cpu.state.mxcsr)
    }

    fn set_mxcsr(&mut self, value: u64) -> Result<(), Exception> {
        if value & !u64::from(MXCSR_MASK) != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.mxcsr = value as u32;
        Ok(())
    }
}

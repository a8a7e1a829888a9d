//! A processor at work, as an [`Engine`] that computes: the processor and the bus it is attached to, for the length of a run.
//!
//! While an instruction runs, `state.rip` is already the address of the next block: an instruction that transfers control
//! overwrites it, and a fault puts the faulting instruction's address back ([`Exec::address_of`]).

use platform::{Bus, Nanos};
use x86::instructions::{fpu::Fpu, system::Sys};
use x86::{Engine, Exception, Op, RIP_SLOT, SEG_NONE, Width, flags, seg};

use crate::Cpu;
use crate::mmu::canonical;
use crate::state::eflags;
use crate::tlb::Use;

/// The processor with its bus. Everything that may touch memory or devices is a method of this.
pub(crate) struct Exec<'a> {
    pub(crate) cpu: &'a mut Cpu,
    pub(crate) bus: &'a mut dyn Bus,
}

impl Exec<'_> {
    /// The same processor and bus for a call that is not inlined: where the interpreter's own is, nobody else knows, so that it stays in registers.
    #[inline(always)]
    pub(crate) fn apart(&mut self) -> Exec<'_> {
        Exec { cpu: &mut *self.cpu, bus: &mut *self.bus }
    }

    /// Guest time now: the slice's start plus what the instructions retired since then take.
    pub(crate) fn now(&self) -> Nanos {
        self.cpu.clock.at(self.cpu.retired)
    }

    /// Offset in CS of `op`'s first byte.
    #[inline(always)]
    pub(crate) fn address_of(&self, op: &Op) -> u64 {
        let block = self.cpu.state.regs.get(usize::from(RIP_SLOT));
        self.cpu.mode.code.truncate(block.wrapping_add(u64::from(op.offset)))
    }

    #[inline(always)]
    fn offset(&self, op: &Op) -> u64 {
        let regs = &self.cpu.state.regs;
        let index = regs.read(Width::W64, op.index) << op.scale;
        let offset = regs.read(Width::W64, op.base).wrapping_add(index).wrapping_add(op.disp as u64);
        cut(op.address, offset)
    }

    /// Linear address of the memory operand, `bytes` long, with its segment checked where the mode wants that.
    #[inline(always)]
    pub(crate) fn linear(&mut self, op: &Op, bytes: u64, write: bool) -> Result<u64, Exception> {
        let offset = self.offset(op);
        self.linear_at(op, offset, bytes, write)
    }

    #[inline(always)]
    fn linear_at(&mut self, op: &Op, offset: u64, bytes: u64, write: bool) -> Result<u64, Exception> {
        if op.checked {
            // Taken apart and put together again: what a function returns by memory would have to be there on every other way, too.
            let linear = self.apart().aligned_linear(op, offset, bytes, write)?;
            return Ok(linear);
        }
        Ok(self.flat_linear(op, offset))
    }

    /// As [`Exec::checked_linear`], and aligned where that is checked. Apart from its callers, which are the hot ones.
    #[inline(never)]
    fn aligned_linear(&mut self, op: &Op, offset: u64, bytes: u64, write: bool) -> Result<u64, Exception> {
        let linear = self.checked_linear(op.seg, offset, bytes, write)?;
        self.check_alignment(linear, bytes, op.fault_segment())?;
        Ok(linear)
    }

    /// Linear address of an offset in the operand's segment, for the few instructions that never want it aligned.
    pub(crate) fn linear_unaligned(&mut self, op: &Op, offset: u64, bytes: u64, write: bool) -> Result<u64, Exception> {
        if op.checked {
            return self.checked_linear(op.seg, offset, bytes, write);
        }
        Ok(self.flat_linear(op, offset))
    }

    #[inline(always)]
    fn flat_linear(&self, op: &Op, offset: u64) -> u64 {
        if op.seg == SEG_NONE {
            return offset;
        }
        // SAFETY: the decoder numbers segments 0..=5, and `Op::lower` knows SEG_NONE (6) beside them; there are seven.
        let segment = unsafe { self.cpu.state.segs.get_unchecked(usize::from(op.seg)) };
        segment.base.wrapping_add(offset)
    }

    /// Linear address of `segment:offset`, checked; wraps at 4 GiB outside 64-bit mode.
    #[inline(never)]
    pub(crate) fn checked_linear(
        &mut self,
        segment: u8,
        offset: u64,
        bytes: u64,
        write: bool,
    ) -> Result<u64, Exception> {
        self.check_segment(segment, offset, bytes, write)?;
        let linear = self.cpu.state.segs[usize::from(segment)].base.wrapping_add(offset);
        Ok(if self.cpu.mode.code == Width::W64 { linear } else { Width::W32.truncate(linear) })
    }

    /// #AC where alignment is checked and `bytes`, a power of two, are not aligned. Sixteen bytes are left to the instructions
    /// that always want them aligned. An address that is not canonical comes first.
    pub(crate) fn check_alignment(&self, linear: u64, bytes: u64, segment: u8) -> Result<(), Exception> {
        let checked = self.cpu.mode.aligned && bytes <= 8 && bytes.is_power_of_two();
        if !checked || linear & (bytes - 1) == 0 {
            return Ok(());
        }
        self.check_canonical(linear, 1, segment)?;
        Err(Exception::AlignmentCheck)
    }

    /// Reads `w` at a linear address; `segment` chooses between #GP and #SS where it is not canonical.
    #[inline(always)]
    pub(crate) fn load_linear(&mut self, w: Width, linear: u64, segment: u8) -> Result<u64, Exception> {
        match self.cpu.tlb.lookup(Use::Read, linear, w.bytes()) {
            Some(host) => Ok(read_host(w, host)),
            None => {
                let value = self.apart().load_slow(w, linear, segment)?;
                Ok(value)
            }
        }
    }

    /// Writes `w` at a linear address.
    #[inline(always)]
    pub(crate) fn store_linear(&mut self, w: Width, linear: u64, segment: u8, value: u64) -> Result<(), Exception> {
        match self.cpu.tlb.lookup(Use::Write, linear, w.bytes()) {
            Some(host) => write_host(w, host, value),
            None => self.apart().store_slow(w, linear, segment, value)?,
        }
        Ok(())
    }

    /// Reads the memory operand of `op`, which is at `linear`. Which segment's fault it may raise is asked where it does.
    #[inline(always)]
    fn load_place(&mut self, w: Width, op: &Op, linear: u64) -> Result<u64, Exception> {
        match self.cpu.tlb.lookup(Use::Read, linear, w.bytes()) {
            Some(host) => Ok(read_host(w, host)),
            None => {
                let value = self.apart().load_place_slow(w, op, linear)?;
                Ok(value)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn load_place_slow(&mut self, w: Width, op: &Op, linear: u64) -> Result<u64, Exception> {
        self.load_slow(w, linear, op.fault_segment())
    }

    /// Writes it.
    #[inline(always)]
    fn store_place(&mut self, w: Width, op: &Op, linear: u64, value: u64) -> Result<(), Exception> {
        match self.cpu.tlb.lookup(Use::Write, linear, w.bytes()) {
            Some(host) => write_host(w, host, value),
            None => self.apart().store_place_slow(w, op, linear, value)?,
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn store_place_slow(&mut self, w: Width, op: &Op, linear: u64, value: u64) -> Result<(), Exception> {
        self.store_slow(w, linear, op.fault_segment(), value)
    }

    /// Reads it, faulting as a write would.
    #[inline(always)]
    fn load_rw_place(&mut self, w: Width, op: &Op, linear: u64) -> Result<(u64, Place), Exception> {
        // The address is canonical when the place is used, so its segment raises nothing any more.
        let place = Place { linear, segment: op.seg };
        if let Some(host) = self.cpu.tlb.lookup(Use::Write, linear, w.bytes()) {
            return Ok((read_host(w, host), place));
        }
        self.apart().prepare_place_slow(w, op, linear)?;
        Ok((self.load_linear(w, linear, op.seg)?, place))
    }

    #[cold]
    #[inline(never)]
    fn prepare_place_slow(&mut self, w: Width, op: &Op, linear: u64) -> Result<(), Exception> {
        self.prepare_write_slow(w, linear, op.fault_segment())
    }

    /// Continues at `target`, which must be canonical or inside the code segment.
    #[inline(always)]
    fn jump_to(&mut self, target: u64) -> Result<(), Exception> {
        if !self.may_jump_to(target) {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.rip = target;
        Ok(())
    }

    #[inline(always)]
    fn may_jump_to(&self, target: u64) -> bool {
        if self.cpu.mode.code == Width::W64 {
            return canonical(target);
        }
        target <= u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit)
    }

    /// `Jcc`, whatever its condition: all of them are computed, so that nothing is to be foreseen.
    #[inline(always)]
    pub(crate) fn jump_if(&mut self, op: &Op, condition: u8) -> Result<(), Exception> {
        let (carry, zero) = (flags::carry(self), flags::zero(self));
        let (sign, overflow) = (flags::sign(self), flags::overflow(self));
        let parity = flags::parity(self);
        let less = sign ^ overflow;
        // By number, as in Intel SDM vol. 1, appendix B; the odd ones are the others inverted.
        let all = overflow
            | carry << 1
            | zero << 2
            | (carry | zero) << 3
            | sign << 4
            | parity << 5
            | less << 6
            | (less | zero) << 7;
        self.branch(op, (all >> (condition >> 1) ^ u64::from(condition)) & 1)
    }

    #[inline(always)]
    fn relative_target(&self, op: &Op) -> u64 {
        let block = self.cpu.state.regs.get(usize::from(RIP_SLOT));
        cut(op.opsize, block.wrapping_add(op.next_offset()).wrapping_add(op.imm as u64))
    }

    #[inline(always)]
    pub(crate) fn stack_linear(&mut self, w: Width, pointer: u64, write: bool) -> Result<u64, Exception> {
        let mode = self.cpu.mode;
        if mode.code == Width::W64 && !mode.aligned {
            return Ok(pointer);
        }
        if mode.flat && !mode.aligned {
            return Ok(pointer);
        }
        let linear = self.apart().aligned_stack(w, pointer, write)?;
        Ok(linear)
    }

    #[inline(never)]
    fn aligned_stack(&mut self, w: Width, pointer: u64, write: bool) -> Result<u64, Exception> {
        let linear = self.checked_linear(seg::SS, pointer, w.bytes(), write)?;
        self.check_alignment(linear, w.bytes(), seg::SS)?;
        Ok(linear)
    }
}

/// `address` in a width that is only known now: mostly all of it.
#[inline(always)]
pub(crate) fn cut(width: Width, address: u64) -> u64 {
    if width == Width::W64 { address } else { width.truncate(address) }
}

/// Reads host memory a TLB entry led to.
#[inline(always)]
fn read_host(w: Width, host: usize) -> u64 {
    // SAFETY: `host` comes from `Tlb::lookup`: the whole access lies in one page of guest RAM or ROM, which the
    // bus's `GuestMemory` keeps allocated and initialised while the processor is attached to it.
    unsafe {
        match w {
            Width::W8 => u64::from((host as *const u8).read()),
            Width::W16 => u64::from((host as *const u16).read_unaligned()),
            Width::W32 => u64::from((host as *const u32).read_unaligned()),
            Width::W64 => (host as *const u64).read_unaligned(),
        }
    }
}

/// Writes host memory a write entry of the TLB led to.
#[inline(always)]
fn write_host(w: Width, host: usize, value: u64) {
    // SAFETY: as in `read_host`; write entries exist for writable RAM only. No Rust reference to guest RAM lives
    // across instructions.
    unsafe {
        match w {
            Width::W8 => (host as *mut u8).write(value as u8),
            Width::W16 => (host as *mut u16).write_unaligned(value as u16),
            Width::W32 => (host as *mut u32).write_unaligned(value as u32),
            Width::W64 => (host as *mut u64).write_unaligned(value),
        }
    }
}

/// High half of a 64-by-64-bit product, from 32-bit halves: WebAssembly has no such instruction, and the compiler's
/// 128-bit product is a call.
#[inline(always)]
fn multiply_high(a: u64, b: u64) -> u64 {
    let (a_low, a_high) = (a & 0xffff_ffff, a >> 32);
    let (b_low, b_high) = (b & 0xffff_ffff, b >> 32);
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 32);
    let other_middle = a_low * b_high + (middle & 0xffff_ffff);
    a_high * b_high + (middle >> 32) + (other_middle >> 32)
}

/// Where a read-modify-write operand lies.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    linear: u64,
    segment: u8,
}

impl Engine for Exec<'_> {
    type V = u64;
    type Place = Place;
    type Stop = Exception;

    #[inline(always)]
    fn imm(&mut self, value: u64) -> u64 {
        value
    }

    #[inline(always)]
    fn add(&mut self, w: Width, a: u64, b: u64) -> u64 {
        w.truncate(a.wrapping_add(b))
    }

    #[inline(always)]
    fn sub(&mut self, w: Width, a: u64, b: u64) -> u64 {
        w.truncate(a.wrapping_sub(b))
    }

    #[inline(always)]
    fn mul(&mut self, w: Width, a: u64, b: u64) -> u64 {
        w.truncate(a.wrapping_mul(b))
    }

    #[inline(always)]
    fn mul_high_unsigned(&mut self, w: Width, a: u64, b: u64) -> u64 {
        match w {
            Width::W64 => multiply_high(a, b),
            _ => a.wrapping_mul(b) >> w.bits(),
        }
    }

    #[inline(always)]
    fn mul_high_signed(&mut self, w: Width, a: u64, b: u64) -> u64 {
        let (a, b) = (w.sign_extend(a) as i64, w.sign_extend(b) as i64);
        match w {
            Width::W64 => {
                // The unsigned product counts each negative factor as 2^64 more than it is.
                let excess = ((a >> 63) & b).wrapping_add((b >> 63) & a);
                multiply_high(a as u64, b as u64).wrapping_sub(excess as u64)
            }
            _ => w.truncate((a.wrapping_mul(b) >> w.bits()) as u64),
        }
    }

    /// Multi-precision arithmetic multiplies 32-bit halves in 64-bit registers: then the product has no high half.
    #[inline(always)]
    fn signed_product_overflows(&mut self, w: Width, a: u64, b: u64, low: u64) -> u64 {
        if w == Width::W64 && (a | b) >> 32 == 0 {
            return low >> 63;
        }
        let sign = self.sar(w, low, 63);
        u64::from(self.mul_high_signed(w, a, b) != sign)
    }

    #[inline(always)]
    fn divide_unsigned(&mut self, w: Width, high: u64, low: u64, divisor: u64) -> Result<(u64, u64), Exception> {
        if divisor == 0 || high >= divisor {
            return Err(Exception::DivideError);
        }
        if w == Width::W64 && high != 0 {
            let dividend = u128::from(high) << 64 | u128::from(low);
            let divisor = u128::from(divisor);
            return Ok(((dividend / divisor) as u64, (dividend % divisor) as u64));
        }
        let dividend = if w == Width::W64 { low } else { high << w.bits() | low };
        Ok((dividend / divisor, dividend % divisor))
    }

    #[inline(always)]
    fn divide_signed(&mut self, w: Width, high: u64, low: u64, divisor: u64) -> Result<(u64, u64), Exception> {
        let dividend = i128::from(w.sign_extend(high) as i64) << w.bits() | i128::from(low);
        let divisor = w.sign_extend(divisor) as i64;
        if divisor == 0 {
            return Err(Exception::DivideError);
        }
        let (quotient, remainder) = match i64::try_from(dividend) {
            Ok(dividend) if dividend != i64::MIN => (i128::from(dividend / divisor), i128::from(dividend % divisor)),
            // -2^127 by -1 does not fit 128 bits either.
            _ => {
                let divisor = i128::from(divisor);
                let quotient = dividend.checked_div(divisor).ok_or(Exception::DivideError)?;
                (quotient, dividend % divisor)
            }
        };
        if i128::from(w.sign_extend(quotient as u64) as i64) != quotient {
            return Err(Exception::DivideError);
        }
        Ok((w.truncate(quotient as u64), w.truncate(remainder as u64)))
    }

    #[inline(always)]
    fn and(&mut self, a: u64, b: u64) -> u64 {
        a & b
    }

    #[inline(always)]
    fn or(&mut self, a: u64, b: u64) -> u64 {
        a | b
    }

    #[inline(always)]
    fn xor(&mut self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn not(&mut self, w: Width, a: u64) -> u64 {
        w.truncate(!a)
    }

    #[inline(always)]
    fn shl(&mut self, w: Width, a: u64, count: u64) -> u64 {
        w.truncate(a << (count & 63))
    }

    #[inline(always)]
    fn shr(&mut self, a: u64, count: u64) -> u64 {
        a >> (count & 63)
    }

    #[inline(always)]
    fn sar(&mut self, w: Width, a: u64, count: u64) -> u64 {
        w.truncate((w.sign_extend(a) as i64 >> (count & 63)) as u64)
    }

    #[inline(always)]
    fn sign_extend(&mut self, from: Width, to: Width, a: u64) -> u64 {
        to.truncate(from.sign_extend(a))
    }

    #[inline(always)]
    fn truncate(&mut self, w: Width, a: u64) -> u64 {
        w.truncate(a)
    }

    #[inline(always)]
    fn count_trailing_zeros(&mut self, a: u64) -> u64 {
        u64::from(a.trailing_zeros())
    }

    #[inline(always)]
    fn count_leading_zeros(&mut self, a: u64) -> u64 {
        u64::from(a.leading_zeros())
    }

    #[inline(always)]
    fn count_ones(&mut self, a: u64) -> u64 {
        u64::from(a.count_ones())
    }

    #[inline(always)]
    fn equal(&mut self, a: u64, b: u64) -> u64 {
        u64::from(a == b)
    }

    #[inline(always)]
    fn below(&mut self, a: u64, b: u64) -> u64 {
        u64::from(a < b)
    }

    #[inline(always)]
    fn select(&mut self, condition: u64, a: u64, b: u64) -> u64 {
        if condition != 0 { a } else { b }
    }

    #[inline(always)]
    fn register(&mut self, w: Width, slot: u8) -> u64 {
        self.cpu.state.regs.read(w, slot)
    }

    #[inline(always)]
    fn set_register(&mut self, w: Width, slot: u8, value: u64) {
        self.cpu.state.regs.write(w, slot, value);
    }

    #[inline(always)]
    fn effective_address(&mut self, op: &Op) -> u64 {
        self.offset(op)
    }

    #[inline(always)]
    fn load(&mut self, w: Width, op: &Op) -> Result<u64, Exception> {
        let linear = self.linear(op, w.bytes(), false)?;
        self.load_place(w, op, linear)
    }

    #[inline(always)]
    fn store(&mut self, w: Width, op: &Op, value: u64) -> Result<(), Exception> {
        let linear = self.linear(op, w.bytes(), true)?;
        self.store_place(w, op, linear, value)
    }

    #[inline(always)]
    fn load_rw(&mut self, w: Width, op: &Op) -> Result<(u64, Place), Exception> {
        let linear = self.linear(op, w.bytes(), true)?;
        self.load_rw_place(w, op, linear)
    }

    #[inline(always)]
    fn store_rw(&mut self, w: Width, place: Place, value: u64) {
        match self.cpu.tlb.lookup(Use::Write, place.linear, w.bytes()) {
            Some(host) => write_host(w, host, value),
            None => {
                let stored = self.apart().store_slow(w, place.linear, place.segment, value);
                debug_assert!(stored.is_ok(), "prepared writes do not fault");
            }
        }
    }

    #[inline(always)]
    fn load_rw_at(&mut self, w: Width, op: &Op, displacement: u64) -> Result<(u64, Place), Exception> {
        let offset = op.address.truncate(self.offset(op).wrapping_add(displacement));
        let linear = self.linear_at(op, offset, w.bytes(), true)?;
        self.load_rw_place(w, op, linear)
    }

    #[inline(always)]
    fn load_at(&mut self, w: Width, op: &Op, displacement: u64) -> Result<u64, Exception> {
        let offset = op.address.truncate(self.offset(op).wrapping_add(displacement));
        let linear = self.linear_at(op, offset, w.bytes(), false)?;
        self.load_place(w, op, linear)
    }

    #[inline(always)]
    fn stack_width(&mut self) -> Width {
        self.cpu.mode.stack
    }

    #[inline(always)]
    fn load_stack(&mut self, w: Width, pointer: u64) -> Result<u64, Exception> {
        let linear = self.stack_linear(w, pointer, false)?;
        self.load_linear(w, linear, seg::SS)
    }

    #[inline(always)]
    fn store_stack(&mut self, w: Width, pointer: u64, value: u64) -> Result<(), Exception> {
        let linear = self.stack_linear(w, pointer, true)?;
        self.store_linear(w, linear, seg::SS, value)
    }

    #[inline(always)]
    fn flag_result(&mut self) -> u64 {
        self.cpu.state.flag_result
    }

    #[inline(always)]
    fn flag_carries(&mut self) -> u64 {
        self.cpu.state.flag_carries
    }

    #[inline(always)]
    fn set_flags(&mut self, result: u64, carries: u64) {
        self.cpu.state.flag_result = result;
        self.cpu.state.flag_carries = carries;
    }

    fn set_direction(&mut self, down: bool) {
        let flags = &mut self.cpu.state.system_flags;
        *flags = if down { *flags | eflags::DF } else { *flags & !eflags::DF };
    }

    #[inline(always)]
    fn next_ip(&mut self, op: &Op) -> u64 {
        let block = self.cpu.state.regs.get(usize::from(RIP_SLOT));
        cut(self.cpu.mode.code, block.wrapping_add(op.next_offset()))
    }

    #[inline(always)]
    fn jump(&mut self, _op: &Op, target: u64) -> Result<(), Exception> {
        self.jump_to(target)
    }

    #[inline(always)]
    fn jump_relative(&mut self, op: &Op) -> Result<(), Exception> {
        let target = self.relative_target(op);
        self.jump_to(target)
    }

    /// Without a branch of the host's, which would foresee the guest's no better than it does in code that runs seldom.
    #[inline(always)]
    fn branch(&mut self, op: &Op, condition: u64) -> Result<(), Exception> {
        let target = self.relative_target(op);
        if condition != 0 && !self.may_jump_to(target) {
            return Err(Exception::GeneralProtection(0));
        }
        let next = self.cpu.state.rip;
        self.cpu.state.rip = if condition != 0 { target } else { next };
        Ok(())
    }

    #[cold]
    fn raise(&mut self, exception: Exception) -> Result<(), Exception> {
        Err(exception)
    }

    fn system(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        self.system_instruction(op, sys)
    }

    fn fpu(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        self.fpu_instruction(op, fpu)
    }
}

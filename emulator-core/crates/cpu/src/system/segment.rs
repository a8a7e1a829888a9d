//! Moves from and to segment registers.

use x86::{Engine, Exception, Op, Width, seg};

use crate::exec::Exec;
use crate::mmu::canonical;
use crate::state::InterruptShadow;
use crate::state::control::CR4_FSGSBASE;

impl Exec<'_> {
    pub(super) fn store_segment(&mut self, op: &Op) -> Result<(), Exception> {
        let selector = self.cpu.state.segs[usize::from(op.src)].selector;
        self.write_word(op, u64::from(selector))
    }

    pub(super) fn load_segment_from(&mut self, op: &Op) -> Result<(), Exception> {
        if op.dst == seg::CS {
            return Err(Exception::InvalidOpcode);
        }
        let selector = self.read_word(op, op.src)?;
        self.load_segment(op.dst, selector)?;
        if op.dst == seg::SS {
            self.inhibit(InterruptShadow::MovSs);
        }
        Ok(())
    }

    pub(super) fn load_far_pointer(&mut self, op: &Op, register: u8) -> Result<(), Exception> {
        let (selector, offset) = self.far_pointer(op)?;
        self.load_segment(register, selector)?;
        self.set_register(op.opsize, op.dst, offset);
        Ok(())
    }

    pub(super) fn swapgs(&mut self) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let state = &mut self.cpu.state;
        core::mem::swap(&mut state.segs[usize::from(seg::GS)].base, &mut state.msrs.kernel_gs_base);
        Ok(())
    }

    pub(super) fn read_segment_base(&mut self, op: &Op, register: u8) -> Result<(), Exception> {
        self.check_segment_base_access()?;
        let base = self.cpu.state.segs[usize::from(register)].base;
        self.set_register(op.width, op.dst, op.width.truncate(base));
        Ok(())
    }

    pub(super) fn write_segment_base(&mut self, op: &Op, register: u8) -> Result<(), Exception> {
        self.check_segment_base_access()?;
        let base = self.register(op.width, op.dst);
        if !canonical(base) {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.segs[usize::from(register)].base = base;
        Ok(())
    }

    fn check_segment_base_access(&self) -> Result<(), Exception> {
        if self.cpu.state.cr4 & CR4_FSGSBASE == 0 { Err(Exception::InvalidOpcode) } else { Ok(()) }
    }

    /// Writes a 16-bit value to memory, or zero-extended to a register of the operand size.
    pub(super) fn write_word(&mut self, op: &Op, value: u64) -> Result<(), Exception> {
        if op.form.dst_is_memory() {
            return self.store(Width::W16, op, value & 0xffff);
        }
        self.set_register(op.opsize, op.dst, op.opsize.truncate(value));
        Ok(())
    }

    /// Reads the 16-bit operand in memory, or in the register at `slot`.
    pub(super) fn read_word(&mut self, op: &Op, slot: u8) -> Result<u16, Exception> {
        let value = if op.form.has_memory() { self.load(Width::W16, op)? } else { self.register(Width::W16, slot) };
        Ok(value as u16)
    }
}

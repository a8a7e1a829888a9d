//! The flags register, and stack instructions beyond plain `PUSH` and `POP`.

use x86::{Engine, Exception, Op, Width, gpr_slot, seg};

use super::{RBP, RSP};
use crate::exec::Exec;
use crate::state::control::CR4_PVI;
use crate::state::{InterruptShadow, eflags};

const AH: u8 = gpr_slot(4, true);
const RSP_SLOT: u8 = gpr_slot(RSP as u8, false);
const RBP_SLOT: u8 = gpr_slot(RBP as u8, false);
/// Flags `POPF` writes at any privilege: the status flags, TF, DF, NT.
const UNPRIVILEGED: u64 = x86::flags::STATUS | eflags::TF | eflags::DF | eflags::NT;

impl Exec<'_> {
    pub(super) fn pushf(&mut self, op: &Op) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let mut image = state.rflags() & !(eflags::VM | eflags::RF);
        if state.virtual_8086() && state.iopl() < 3 {
            if !state.virtual_8086_extensions() || op.opsize != Width::W16 {
                return Err(Exception::GeneralProtection(0));
            }
            let interruptible = if image & eflags::VIF != 0 { eflags::IF } else { 0 };
            image = image & !eflags::IF | eflags::IOPL | interruptible;
        }
        self.push(op.opsize, op.opsize.truncate(image))
    }

    pub(super) fn popf(&mut self, op: &Op) -> Result<(), Exception> {
        let w = op.opsize;
        let pointer = self.register(self.cpu.mode.stack, RSP_SLOT);
        let value = self.load_stack(w, pointer)?;
        let state = &self.cpu.state;
        let (cpl, iopl) = (state.cpl, state.iopl());
        let mut mask = UNPRIVILEGED;
        let mut value = value;
        if w != Width::W16 {
            mask |= eflags::AC | eflags::ID | eflags::RF;
            value &= !eflags::RF;
        }
        if state.virtual_8086() && iopl < 3 {
            if !state.virtual_8086_extensions() || w != Width::W16 {
                return Err(Exception::GeneralProtection(0));
            }
            (value, mask) = self.virtual_interrupt_flag(value, mask)?;
        } else if cpl <= iopl || state.virtual_8086() {
            mask |= eflags::IF;
        }
        if cpl == 0 {
            mask |= eflags::IOPL;
        }
        self.release(w.bytes());
        self.replace_flags(value, mask);
        Ok(())
    }

    /// For `POPF` and `IRET` of virtual-8086 tasks below IOPL 3: IF of the image goes to VIF.
    ///
    /// # Errors
    /// #GP(0) where the task asks for single step, or enables interrupts while one is pending (VIP).
    pub(crate) fn virtual_interrupt_flag(&self, value: u64, mask: u64) -> Result<(u64, u64), Exception> {
        let pending = self.cpu.state.system_flags & eflags::VIP != 0;
        let enables = value & eflags::IF != 0;
        if value & eflags::TF != 0 || (pending && enables) {
            return Err(Exception::GeneralProtection(0));
        }
        let virtual_flag = if enables { eflags::VIF } else { 0 };
        Ok((value & !eflags::VIF | virtual_flag, mask | eflags::VIF))
    }

    /// Pushes `value`.
    fn push(&mut self, w: Width, value: u64) -> Result<(), Exception> {
        let stack = self.cpu.mode.stack;
        let pointer = stack.truncate(self.register(stack, RSP_SLOT).wrapping_sub(w.bytes()));
        self.store_stack(w, pointer, value)?;
        self.set_register(stack, RSP_SLOT, pointer);
        Ok(())
    }

    /// Moves the stack pointer up.
    fn release(&mut self, bytes: u64) {
        let stack = self.cpu.mode.stack;
        let pointer = stack.truncate(self.register(stack, RSP_SLOT).wrapping_add(bytes));
        self.set_register(stack, RSP_SLOT, pointer);
    }

    pub(super) fn lahf(&mut self) -> Result<(), Exception> {
        let flags = self.cpu.state.rflags();
        self.set_register(Width::W8, AH, flags & 0xff);
        Ok(())
    }

    pub(super) fn sahf(&mut self) -> Result<(), Exception> {
        const LOW: u64 = x86::flags::STATUS & 0xff;
        let value = self.register(Width::W8, AH);
        let flags = self.cpu.state.rflags();
        self.cpu.state.set_rflags(flags & !LOW | value & LOW);
        Ok(())
    }

    /// Which flag `CLI` and `STI` work on here: IF, or VIF for virtualised tasks (Intel SDM vol. 2, CLI).
    fn interrupt_flag(&self) -> Result<u64, Exception> {
        let state = &self.cpu.state;
        let virtualised = if state.virtual_8086() {
            state.virtual_8086_extensions()
        } else {
            state.cr4 & CR4_PVI != 0 && state.cpl == 3
        };
        let strong = if state.virtual_8086() { state.iopl() == 3 } else { state.cpl <= state.iopl() };
        match (strong, virtualised) {
            (true, _) => Ok(eflags::IF),
            (false, true) => Ok(eflags::VIF),
            (false, false) => Err(Exception::GeneralProtection(0)),
        }
    }

    pub(super) fn cli(&mut self) -> Result<(), Exception> {
        let flag = self.interrupt_flag()?;
        self.cpu.state.system_flags &= !flag;
        Ok(())
    }

    pub(super) fn sti(&mut self) -> Result<(), Exception> {
        let flag = self.interrupt_flag()?;
        let flags = self.cpu.state.system_flags;
        if flag == eflags::VIF && flags & eflags::VIP != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.system_flags |= flag;
        if flag == eflags::IF && flags & eflags::IF == 0 {
            self.inhibit(InterruptShadow::Sti);
        }
        Ok(())
    }

    /// Lets one more instruction run before what `shadow` inhibits.
    pub(super) fn inhibit(&mut self, shadow: InterruptShadow) {
        self.cpu.state.interrupt_shadow = shadow;
        self.cpu.attention = true;
        self.cpu.state_changed();
    }

    pub(super) fn set_alignment_check(&mut self, set: bool) -> Result<(), Exception> {
        if self.cpu.state.cpl != 0 || !self.cpu.state.protected() {
            return Err(Exception::InvalidOpcode);
        }
        let flags = &mut self.cpu.state.system_flags;
        *flags = if set { *flags | eflags::AC } else { *flags & !eflags::AC };
        self.cpu.state_changed();
        Ok(())
    }

    pub(super) fn pusha(&mut self, op: &Op) -> Result<(), Exception> {
        let (w, stack) = (op.opsize, self.cpu.mode.stack);
        let start = self.register(stack, RSP_SLOT);
        let place = |number: u64| stack.truncate(start.wrapping_sub((number + 1) * w.bytes()));
        for number in 0..8u64 {
            let value = w.truncate(self.general(number as usize));
            self.store_stack(w, place(number), value)?;
        }
        self.set_register(stack, RSP_SLOT, place(7));
        Ok(())
    }

    pub(super) fn popa(&mut self, op: &Op) -> Result<(), Exception> {
        let (w, stack) = (op.opsize, self.cpu.mode.stack);
        let start = self.register(stack, RSP_SLOT);
        // Where one faults, the registers before it have been loaded.
        for place in 0..8u64 {
            let number = 7 - place as u8;
            let value = self.load_stack(w, stack.truncate(start.wrapping_add(place * w.bytes())))?;
            if usize::from(number) != RSP {
                self.set_register(w, gpr_slot(number, false), value);
            }
        }
        self.release(8 * w.bytes());
        Ok(())
    }

    /// Intel SDM vol. 2, ENTER: the frame pointers of up to 31 outer levels are copied.
    pub(super) fn enter(&mut self, op: &Op) -> Result<(), Exception> {
        let (w, stack) = (op.opsize, self.cpu.mode.stack);
        let size = op.imm as u64 & 0xffff;
        let level = (op.imm as u64 >> 16) % 32;
        let frame = self.register(w, RBP_SLOT);
        let old_pointer = self.register(stack, RSP_SLOT);
        let mut pointer = stack.truncate(old_pointer.wrapping_sub(w.bytes()));
        self.store_stack(w, pointer, frame)?;
        let new_frame = pointer;
        for outer in 1..level {
            let from = stack.truncate(self.register(stack, RBP_SLOT).wrapping_sub(outer * w.bytes()));
            let value = self.load_stack(w, from)?;
            pointer = stack.truncate(pointer.wrapping_sub(w.bytes()));
            self.store_stack(w, pointer, value)?;
        }
        if level > 0 {
            pointer = stack.truncate(pointer.wrapping_sub(w.bytes()));
            self.store_stack(w, pointer, w.truncate(new_frame))?;
        }
        pointer = stack.truncate(pointer.wrapping_sub(size));
        // The new top of the stack must be writable.
        let linear = self.stack_linear(w, pointer, true)?;
        self.check_range(crate::tlb::Use::Write, linear, w.bytes(), seg::SS)?;
        self.set_register(w, RBP_SLOT, w.truncate(new_frame));
        self.set_register(stack, RSP_SLOT, pointer);
        Ok(())
    }

    /// An address based on rSP is computed after the increment (Intel SDM vol. 2, POP).
    pub(super) fn pop_memory(&mut self, op: &Op) -> Result<(), Exception> {
        let w = op.opsize;
        let pointer = self.register(self.cpu.mode.stack, RSP_SLOT);
        let value = self.load_stack(w, pointer)?;
        if !op.form.dst_is_memory() {
            self.release(w.bytes());
            self.set_register(w, op.dst, value);
            return Ok(());
        }
        let before = self.general(RSP);
        self.release(w.bytes());
        let stored = self.store(w, op, value);
        if stored.is_err() {
            self.cpu.state.regs.set(RSP, before);
        }
        stored
    }

    pub(super) fn push_segment(&mut self, op: &Op) -> Result<(), Exception> {
        let selector = u64::from(self.cpu.state.segs[usize::from(op.dst)].selector);
        if op.opsize != Width::W32 {
            return self.push(op.opsize, selector);
        }
        // The upper half of a doubleword is not written (Intel SDM vol. 2, PUSH).
        let stack = self.cpu.mode.stack;
        let pointer = stack.truncate(self.register(stack, RSP_SLOT).wrapping_sub(4));
        self.store_stack(Width::W16, pointer, selector)?;
        self.set_register(stack, RSP_SLOT, pointer);
        Ok(())
    }

    pub(super) fn pop_segment(&mut self, op: &Op) -> Result<(), Exception> {
        let stack = self.cpu.mode.stack;
        let pointer = self.register(stack, RSP_SLOT);
        // Whatever the operand size, no more is read.
        let selector = self.load_stack(Width::W16, pointer)? as u16;
        self.load_segment(op.dst, selector)?;
        self.set_register(stack, RSP_SLOT, stack.truncate(pointer.wrapping_add(op.opsize.bytes())));
        if op.dst == seg::SS {
            self.inhibit(InterruptShadow::MovSs);
        }
        Ok(())
    }
}

//! `IRET` in every mode (Intel SDM vol. 2, IRET; vol. 3, 20.2.2 and 20.3.4).

use x86::{Exception, Op, Width, seg};

use super::Stack;
use crate::exec::Exec;
use crate::segments::{rpl, virtual_8086_segment};
use crate::state::eflags;
use crate::system::task::Switch;

/// What `IRET` popped first.
#[derive(Clone, Copy)]
struct Frame {
    rip: u64,
    selector: u16,
    flags: u64,
}

/// Status flags, TF, DF and NT: what every `IRET` restores.
const ALWAYS: u64 = x86::flags::STATUS | eflags::TF | eflags::DF | eflags::NT;
/// What an operand size over 16 bits restores besides.
const WIDE: u64 = eflags::RF | eflags::AC | eflags::ID;

impl Exec<'_> {
    pub(crate) fn iret(&mut self, op: &Op) -> Result<(), Exception> {
        let state = &mut self.cpu.state;
        self.cpu.attention |= core::mem::take(&mut state.nmi_blocked);
        let state = &self.cpu.state;
        if state.virtual_8086() {
            return self.iret_virtual_8086(op.opsize);
        }
        if !state.protected() {
            return self.iret_real(op.opsize);
        }
        if state.system_flags & eflags::NT != 0 {
            if state.long_mode() {
                return Err(Exception::GeneralProtection(0));
            }
            let link = state.tr.base;
            let link = self.load_system(Width::W16, link)? as u16;
            return self.switch_task_from(link, Switch::Return);
        }
        let mut stack = Stack::current(&self.cpu.state, 0);
        let frame = self.pop_interrupt_frame(&mut stack, op.opsize)?;
        let state = &self.cpu.state;
        if frame.flags & eflags::VM != 0 && state.cpl == 0 && !state.long_mode() && op.opsize == Width::W32 {
            return self.iret_to_virtual_8086(stack, frame);
        }
        self.iret_protected(op.opsize, stack, frame)
    }

    fn pop_interrupt_frame(&mut self, stack: &mut Stack, w: Width) -> Result<Frame, Exception> {
        // The uppermost is read first, as a fault tells.
        let flags = self.peek_stack(stack, w, 2 * w.bytes())?;
        let (rip, selector) = self.pop_far_pointer(stack, w)?;
        stack.pointer = stack.moved(w.bytes());
        Ok(Frame { rip, selector, flags })
    }

    fn iret_real(&mut self, w: Width) -> Result<(), Exception> {
        let mut stack = Stack::current(&self.cpu.state, 0);
        let frame = self.pop_interrupt_frame(&mut stack, w)?;
        if frame.rip > u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit) {
            return Err(Exception::GeneralProtection(0));
        }
        self.commit_stack_pointer(&stack);
        self.cpu.state.load_real_segment(seg::CS, frame.selector);
        self.cpu.state.rip = frame.rip;
        let wide = if w == Width::W16 { 0 } else { WIDE };
        self.replace_flags(frame.flags, ALWAYS | eflags::IF | eflags::IOPL | wide);
        Ok(())
    }

    /// With IOPL 3 like real mode; below that only a 16-bit `IRET` with virtual-mode extensions, on VIF.
    fn iret_virtual_8086(&mut self, w: Width) -> Result<(), Exception> {
        let iopl = self.cpu.state.iopl();
        let extended = self.cpu.state.virtual_8086_extensions();
        if iopl < 3 && !(extended && w == Width::W16) {
            return Err(Exception::GeneralProtection(0));
        }
        let mut stack = Stack::current(&self.cpu.state, 0);
        let frame = self.pop_interrupt_frame(&mut stack, w)?;
        if frame.rip > 0xffff {
            return Err(Exception::GeneralProtection(0));
        }
        let (flags, mask) = if iopl == 3 {
            (frame.flags, ALWAYS | eflags::IF | if w == Width::W16 { 0 } else { WIDE })
        } else {
            self.virtual_interrupt_flag(frame.flags, ALWAYS)?
        };
        self.commit_stack_pointer(&stack);
        self.cpu.state.load_real_segment(seg::CS, frame.selector);
        self.cpu.state.rip = frame.rip;
        self.replace_flags(flags, mask);
        Ok(())
    }

    fn iret_to_virtual_8086(&mut self, mut stack: Stack, frame: Frame) -> Result<(), Exception> {
        if frame.rip > 0xffff {
            return Err(Exception::GeneralProtection(0));
        }
        let pointer = self.pop_from(&mut stack, Width::W32)?;
        let mut selectors = [0u16; 5];
        for selector in &mut selectors {
            *selector = self.pop_from(&mut stack, Width::W32)? as u16;
        }
        let state = &mut self.cpu.state;
        for (register, selector) in [seg::SS, seg::ES, seg::DS, seg::FS, seg::GS].into_iter().zip(selectors) {
            state.segs[usize::from(register)] = virtual_8086_segment(selector);
        }
        state.segs[usize::from(seg::CS)] = virtual_8086_segment(frame.selector);
        const RSP: usize = 4;
        state.regs.set(RSP, pointer);
        state.rip = frame.rip;
        state.cpl = 3;
        let all = ALWAYS | WIDE | eflags::IF | eflags::IOPL | eflags::VM | eflags::VIF | eflags::VIP;
        self.replace_flags(frame.flags, all);
        Ok(())
    }

    fn iret_protected(&mut self, w: Width, mut stack: Stack, frame: Frame) -> Result<(), Exception> {
        let target = self.return_code_segment(frame.selector)?;
        self.check_target(&target, frame.rip)?;
        let (cpl, iopl) = (self.cpu.state.cpl, self.cpu.state.iopl());
        let new_cpl = rpl(frame.selector);
        let mut mask = ALWAYS;
        if w != Width::W16 {
            mask |= WIDE;
        }
        if cpl <= iopl {
            mask |= eflags::IF;
        }
        if cpl == 0 {
            mask |= eflags::IOPL;
            if w != Width::W16 {
                mask |= eflags::VIF | eflags::VIP;
            }
        }
        if new_cpl != cpl || self.cpu.state.code64() {
            let (pointer, selector) = self.pop_far_pointer(&mut stack, w)?;
            let segment = self.return_stack_segment(selector, new_cpl, &target)?;
            self.set_code_segment(target, new_cpl);
            self.set_outer_stack(segment, pointer, 0);
            if new_cpl != cpl {
                self.drop_inner_segments();
            }
        } else {
            self.commit_stack_pointer(&stack);
            self.set_code_segment(target, new_cpl);
        }
        self.cpu.state.rip = frame.rip;
        self.replace_flags(frame.flags, mask);
        Ok(())
    }

    /// Replaces the flags of `mask`. RF has an effect only while breakpoints are enabled and lasts one instruction: it is not
    /// even kept otherwise.
    pub(crate) fn replace_flags(&mut self, value: u64, mask: u64) {
        let state = &mut self.cpu.state;
        let mut flags = state.rflags() & !mask | value & mask;
        if state.dr[7] & crate::mode::DR7_ENABLES == 0 {
            flags &= !eflags::RF;
        }
        state.set_rflags(flags);
        // IF may be set by now.
        self.cpu.attention |= self.bus.interrupt_asserted();
        self.cpu.state_changed();
    }
}

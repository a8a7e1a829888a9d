//! Far jumps, calls and returns, through code segments and call gates (Intel SDM vol. 3, 5.8).

use x86::{Engine, Exception, Form, Op, Width, seg};

use crate::exceptions::Stack;
use crate::exec::Exec;
use crate::mmu::canonical;
use crate::segments::descriptor::{Descriptor, system};
use crate::segments::{is_null, null_stack_segment, rpl, selector_error, unusable_segment};
use crate::state::{Access, Segment};
use crate::system::task::Switch;

/// Whether a transfer leaves a return address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transfer {
    Jump,
    Call,
}

impl Exec<'_> {
    pub(super) fn jump_far(&mut self, op: &Op) -> Result<(), Exception> {
        let (selector, offset) = self.far_pointer(op)?;
        self.transfer(Transfer::Jump, op, selector, offset)
    }

    pub(super) fn call_far(&mut self, op: &Op) -> Result<(), Exception> {
        let (selector, offset) = self.far_pointer(op)?;
        self.transfer(Transfer::Call, op, selector, offset)
    }

    /// The far pointer in the instruction or in memory.
    pub(super) fn far_pointer(&mut self, op: &Op) -> Result<(u16, u64), Exception> {
        if !matches!(op.form, Form::Rm | Form::Mr | Form::Mi) {
            return Ok(((op.imm >> 32) as u16, op.imm as u64 & 0xffff_ffff));
        }
        let offset = self.load(op.opsize, op)?;
        let selector = self.load_at(Width::W16, op, op.opsize.bytes())? as u16;
        Ok((selector, offset))
    }

    fn transfer(&mut self, kind: Transfer, op: &Op, selector: u16, offset: u64) -> Result<(), Exception> {
        if !self.cpu.state.protected() {
            return self.transfer_real(kind, op, selector, offset);
        }
        if is_null(selector) {
            return Err(Exception::GeneralProtection(0));
        }
        let descriptor = self.descriptor(selector, Exception::GeneralProtection, 0)?;
        if descriptor.access().is_code() {
            return self.transfer_to_code(kind, op, selector, descriptor, offset);
        }
        let long = self.cpu.state.long_mode();
        match descriptor.system_type() {
            Some(system::CALL_GATE32) => self.transfer_through_gate(kind, op, selector),
            Some(system::CALL_GATE16) if !long => self.transfer_through_gate(kind, op, selector),
            Some(system::TASK_GATE) if !long => {
                self.check_gate_rights(selector, descriptor)?;
                self.transfer_to_task(kind, descriptor.gate_selector())
            }
            Some(system::TSS16_AVAILABLE | system::TSS32_AVAILABLE) if !long => {
                if descriptor.dpl() < self.cpu.state.cpl.max(rpl(selector)) {
                    return Err(Exception::GeneralProtection(selector_error(selector)));
                }
                self.transfer_to_task(kind, selector)
            }
            _ => Err(Exception::GeneralProtection(selector_error(selector))),
        }
    }

    fn transfer_real(&mut self, kind: Transfer, op: &Op, selector: u16, offset: u64) -> Result<(), Exception> {
        let limit = u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit);
        if offset > limit {
            return Err(Exception::GeneralProtection(0));
        }
        if kind == Transfer::Call {
            let mut stack = Stack::current(&self.cpu.state, 0);
            self.push_return_address(&mut stack, op.opsize, op)?;
            self.commit_stack_pointer(&stack);
        }
        self.cpu.state.load_real_segment(seg::CS, selector);
        self.cpu.state.rip = offset;
        self.cpu.state_changed();
        Ok(())
    }

    fn push_return_address(&mut self, stack: &mut Stack, w: Width, op: &Op) -> Result<(), Exception> {
        let selector = self.cpu.state.segs[usize::from(seg::CS)].selector;
        let next = self.next_ip(op);
        self.push_on(stack, w, u64::from(selector))?;
        self.push_on(stack, w, next)
    }

    fn transfer_to_code(
        &mut self,
        kind: Transfer,
        op: &Op,
        selector: u16,
        descriptor: Descriptor,
        offset: u64,
    ) -> Result<(), Exception> {
        let cpl = self.cpu.state.cpl;
        let error = selector_error(selector);
        let access = descriptor.access();
        let allowed =
            if access.conforming() { access.dpl() <= cpl } else { access.dpl() == cpl && rpl(selector) <= cpl };
        if !allowed || self.contradictory(access) {
            return Err(Exception::GeneralProtection(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        self.check_target(&descriptor.segment(selector), offset)?;
        if kind == Transfer::Call {
            // The stack is already addressed as the new code will do it.
            let long = self.cpu.state.long_mode() && access.long();
            let mut stack = Stack::seen_from(&self.cpu.state, long, 0);
            self.push_return_address(&mut stack, op.opsize, op)?;
            let segment = self.mark_accessed(selector & !3 | u16::from(cpl), descriptor)?;
            self.commit_stack_pointer(&stack);
            self.set_code_segment(segment, cpl);
        } else {
            let segment = self.mark_accessed(selector & !3 | u16::from(cpl), descriptor)?;
            self.set_code_segment(segment, cpl);
        }
        self.cpu.state.rip = offset;
        self.cpu.state_changed();
        Ok(())
    }

    /// A code segment with L and D both set, which IA-32e mode reserves.
    fn contradictory(&self, access: Access) -> bool {
        self.cpu.state.long_mode() && access.long() && access.big()
    }

    /// A gate must be at least as open as the caller is weak, and present.
    fn check_gate_rights(&self, selector: u16, gate: Descriptor) -> Result<(), Exception> {
        let error = selector_error(selector);
        if gate.dpl() < self.cpu.state.cpl.max(rpl(selector)) {
            return Err(Exception::GeneralProtection(error));
        }
        if !gate.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        Ok(())
    }

    fn transfer_to_task(&mut self, kind: Transfer, selector: u16) -> Result<(), Exception> {
        let switch = if kind == Transfer::Call { Switch::Nest } else { Switch::Jump };
        self.switch_task_from(selector, switch)
    }

    fn transfer_through_gate(&mut self, kind: Transfer, op: &Op, gate_selector: u16) -> Result<(), Exception> {
        let (gate, offset_high) = self.system_descriptor(gate_selector, Exception::GeneralProtection, 0)?;
        self.check_gate_rights(gate_selector, gate)?;
        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(Exception::GeneralProtection(0));
        }
        let error = selector_error(selector);
        let target = self.descriptor(selector, Exception::GeneralProtection, 0)?;
        let access = target.access();
        let (cpl, long) = (self.cpu.state.cpl, self.cpu.state.long_mode());
        if !access.is_code() || access.dpl() > cpl || (long && (!access.long() || access.big())) {
            return Err(Exception::GeneralProtection(error));
        }
        let inner = !access.conforming() && access.dpl() < cpl;
        if kind == Transfer::Jump && inner {
            return Err(Exception::GeneralProtection(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        let offset = offset_high | gate.gate_offset();
        self.check_target(&target.segment(selector), offset)?;
        let new_cpl = if inner { access.dpl() } else { cpl };
        let mut stack = Stack::current(&self.cpu.state, 0);
        if kind == Transfer::Call {
            let w = gate_width(gate, long);
            if inner {
                stack = self.enter_inner_stack(new_cpl, gate, w)?;
            }
            self.push_return_address(&mut stack, w, op)?;
        }
        let segment = self.mark_accessed(selector & !3 | u16::from(new_cpl), target)?;
        self.commit_stack(&stack);
        self.set_code_segment(segment, new_cpl);
        self.cpu.state.rip = offset;
        self.cpu.state_changed();
        Ok(())
    }

    /// The stack of an inner level with the caller's SS:rSP, and the gate's parameters, pushed.
    fn enter_inner_stack(&mut self, cpl: u8, gate: Descriptor, w: Width) -> Result<Stack, Exception> {
        let old = Stack::current(&self.cpu.state, 0);
        let old_selector = u64::from(old.segment.selector);
        let mut stack = if w == Width::W64 {
            let pointer = self.task_pointer(4 + u64::from(cpl) * 8, 0)?;
            if !canonical(pointer) {
                return Err(Exception::StackFault(0));
            }
            Stack::long(&self.cpu.state, null_stack_segment(cpl), pointer, cpl)
        } else {
            self.inner_stack(cpl, 0)?
        };
        self.push_on(&mut stack, w, old_selector)?;
        self.push_on(&mut stack, w, old.pointer)?;
        if w != Width::W64 {
            for parameter in (0..gate.gate_parameters()).rev() {
                let value = self.peek_stack(&old, w, parameter * w.bytes())?;
                self.push_on(&mut stack, w, value)?;
            }
        }
        Ok(stack)
    }

    pub(super) fn return_far(&mut self, op: &Op) -> Result<(), Exception> {
        let w = op.opsize;
        let released = op.imm as u64 & 0xffff;
        let mut stack = Stack::current(&self.cpu.state, 0);
        let (offset, selector) = self.pop_far_pointer(&mut stack, w)?;
        if !self.cpu.state.protected() {
            return self.return_real(stack, selector, offset, released);
        }
        let target = self.return_code_segment(selector)?;
        self.check_target(&target, offset)?;
        let new_cpl = rpl(selector);
        if new_cpl == self.cpu.state.cpl {
            self.cpu.state.regs.set(RSP, stack.moved(released));
            self.set_code_segment(target, new_cpl);
        } else {
            stack.pointer = stack.moved(released);
            let (pointer, stack_selector) = self.pop_far_pointer(&mut stack, w)?;
            let segment = self.return_stack_segment(stack_selector, new_cpl, &target)?;
            self.set_code_segment(target, new_cpl);
            self.set_outer_stack(segment, pointer, released);
            self.drop_inner_segments();
        }
        self.cpu.state.rip = offset;
        self.cpu.state_changed();
        Ok(())
    }

    fn return_real(&mut self, stack: Stack, selector: u16, offset: u64, released: u64) -> Result<(), Exception> {
        if offset > u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit) {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.regs.set(RSP, stack.moved(released));
        self.cpu.state.load_real_segment(seg::CS, selector);
        self.cpu.state.rip = offset;
        self.cpu.state_changed();
        Ok(())
    }

    /// The code segment a far return or `IRET` goes to, checked (Intel SDM vol. 2, RET).
    pub(crate) fn return_code_segment(&mut self, selector: u16) -> Result<Segment, Exception> {
        if is_null(selector) {
            return Err(Exception::GeneralProtection(0));
        }
        let error = selector_error(selector);
        let descriptor = self.descriptor(selector, Exception::GeneralProtection, 0)?;
        let access = descriptor.access();
        let level = rpl(selector);
        let fits = if access.conforming() { access.dpl() <= level } else { access.dpl() == level };
        if !access.is_code() || level < self.cpu.state.cpl || !fits || self.contradictory(access) {
            return Err(Exception::GeneralProtection(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        self.mark_accessed(selector, descriptor)
    }

    /// The stack segment a return to privilege level `cpl` and code segment `target` goes to, checked.
    pub(crate) fn return_stack_segment(
        &mut self,
        selector: u16,
        cpl: u8,
        target: &Segment,
    ) -> Result<Segment, Exception> {
        if !is_null(selector) {
            return self.stack_segment(selector, cpl, Exception::GeneralProtection, 0);
        }
        if self.cpu.state.long_mode() && target.access.long() && cpl < 3 && rpl(selector) == cpl {
            return Ok(null_stack_segment(cpl));
        }
        Err(Exception::GeneralProtection(0))
    }

    /// Loads the stack a return goes to; CS is already the new one. On a 16-bit stack only SP is written.
    pub(crate) fn set_outer_stack(&mut self, segment: Segment, pointer: u64, released: u64) {
        let state = &mut self.cpu.state;
        state.segs[usize::from(seg::SS)] = segment;
        let mut stack = Stack::current(state, 0);
        stack.replace(pointer);
        state.regs.set(RSP, stack.moved(released));
    }

    /// Empties data segment registers that the new, weaker level may not use (Intel SDM vol. 3, 5.8.6).
    pub(crate) fn drop_inner_segments(&mut self) {
        let cpl = self.cpu.state.cpl;
        for register in [seg::ES, seg::DS, seg::FS, seg::GS] {
            let segment = &mut self.cpu.state.segs[usize::from(register)];
            let access = segment.access;
            if !access.unusable() && !access.conforming() && access.dpl() < cpl {
                *segment = unusable_segment(0);
            }
        }
    }

    /// Checks that a transfer to `offset` of `segment` lands inside it.
    pub(crate) fn check_target(&self, segment: &Segment, offset: u64) -> Result<(), Exception> {
        let inside = if self.cpu.state.long_mode() && segment.access.long() {
            canonical(offset)
        } else {
            offset <= u64::from(segment.limit)
        };
        if inside { Ok(()) } else { Err(Exception::GeneralProtection(0)) }
    }
}

const RSP: usize = 4;

fn gate_width(gate: Descriptor, long: bool) -> Width {
    match gate.access().kind() {
        _ if long => Width::W64,
        system::CALL_GATE16 => Width::W16,
        _ => Width::W32,
    }
}

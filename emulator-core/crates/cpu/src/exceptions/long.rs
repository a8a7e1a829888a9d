//! Delivery in IA-32e mode (Intel SDM vol. 3, 6.14).

use x86::{Exception, Width, seg};

use super::{Event, Source, Stack};
use crate::exec::Exec;
use crate::mmu::canonical;
use crate::segments::descriptor::{Descriptor, system};
use crate::segments::{is_null, null_stack_segment, selector_error};
use crate::state::eflags;

impl Exec<'_> {
    pub(super) fn enter_long(&mut self, event: Event) -> Result<(), Exception> {
        let external = event.external();
        let (gate, offset_high, ist) = self.long_gate(&event)?;
        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(Exception::GeneralProtection(external));
        }
        let error = selector_error(selector) | external;
        let target = self.descriptor(selector, Exception::GeneralProtection, external)?;
        let access = target.access();
        let cpl = self.cpu.state.cpl;
        if !access.is_code() || access.dpl() > cpl || !access.long() || access.big() {
            return Err(Exception::GeneralProtection(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        let new_cpl = if access.conforming() { cpl } else { access.dpl() };
        let mut stack = self.long_stack(new_cpl, ist, external)?;
        self.push_long_frame(&mut stack, &event)?;
        let cs = self.mark_accessed(selector & !3 | u16::from(new_cpl), target)?;
        if new_cpl != cpl {
            stack.segment = null_stack_segment(new_cpl);
        }
        self.commit_stack(&stack);
        self.set_code_segment(cs, new_cpl);
        self.cpu.state.rip = offset_high | gate.gate_offset();
        let mut cleared = eflags::TF | eflags::NT | eflags::VM | eflags::RF;
        if gate.access().kind() == system::INTERRUPT_GATE32 {
            cleared |= eflags::IF;
        }
        self.cpu.state.system_flags &= !cleared;
        self.cpu.state_changed();
        Ok(())
    }

    /// The gate of `event`, bits 63:32 of its offset in place, and its interrupt-stack number.
    fn long_gate(&mut self, event: &Event) -> Result<(Descriptor, u64, u64), Exception> {
        let idtr = self.cpu.state.idtr;
        let entry = u64::from(event.vector) * 16;
        if entry + 15 > u64::from(idtr.limit) {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        let gate = Descriptor(self.load_system(Width::W64, idtr.base.wrapping_add(entry))?);
        let upper = self.load_system(Width::W64, idtr.base.wrapping_add(entry + 8))?;
        if !matches!(gate.system_type(), Some(system::INTERRUPT_GATE32 | system::TRAP_GATE32)) {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        if event.source == Source::Software && gate.dpl() < self.cpu.state.cpl {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        if !gate.present() {
            return Err(Exception::SegmentNotPresent(event.idt_error()));
        }
        let offset_high = upper << 32;
        if !canonical(offset_high | gate.gate_offset()) {
            return Err(Exception::GeneralProtection(event.external()));
        }
        Ok((gate, offset_high, gate.0 >> 32 & 7))
    }

    /// The stack the handler starts on, aligned to 16 bytes.
    fn long_stack(&mut self, new_cpl: u8, ist: u64, external: u16) -> Result<Stack, Exception> {
        let state = &self.cpu.state;
        let old = state.segs[usize::from(seg::SS)];
        let pointer = if ist != 0 {
            self.task_pointer(0x24 + (ist - 1) * 8, external)?
        } else if new_cpl != state.cpl {
            self.task_pointer(4 + u64::from(new_cpl) * 8, external)?
        } else {
            Stack::current(state, 0).pointer
        };
        if !canonical(pointer) {
            return Err(Exception::StackFault(external));
        }
        Ok(Stack::long(&self.cpu.state, old, pointer & !15, new_cpl))
    }

    /// A 64-bit stack pointer at `offset` of the task-state segment.
    pub(crate) fn task_pointer(&mut self, offset: u64, external: u16) -> Result<u64, Exception> {
        let tr = self.cpu.state.tr;
        if offset + 7 > u64::from(tr.limit) {
            return Err(Exception::InvalidTss(selector_error(tr.selector) | external));
        }
        self.load_system(Width::W64, tr.base.wrapping_add(offset))
    }

    fn push_long_frame(&mut self, stack: &mut Stack, event: &Event) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let selector = |register: u8| u64::from(state.segs[usize::from(register)].selector);
        let (ss, cs) = (selector(seg::SS), selector(seg::CS));
        let rsp = Stack::current(state, 0).pointer;
        let flags = self.saved_flags(event);
        for value in [ss, rsp, flags, cs, event.return_rip] {
            self.push_on(stack, Width::W64, value)?;
        }
        if let Some(error) = event.error {
            self.push_on(stack, Width::W64, u64::from(error))?;
        }
        Ok(())
    }
}

//! Delivery in legacy protected mode and from virtual-8086 mode (Intel SDM vol. 3, 6.12 and 20.3).

use x86::{Exception, Width, seg};

use super::{Event, Source, Stack};
use crate::exec::Exec;
use crate::segments::descriptor::{Descriptor, system};
use crate::segments::{is_null, rpl, selector_error, unusable_segment};
use crate::state::{Segment, eflags};
use crate::system::task::Switch;

impl Exec<'_> {
    pub(super) fn enter_protected(&mut self, event: Event) -> Result<(), Exception> {
        let gate = self.protected_gate(&event)?;
        if gate.access().kind() == system::TASK_GATE {
            return self.enter_task(gate, &event);
        }
        let external = event.external();
        let selector = gate.gate_selector();
        if is_null(selector) {
            return Err(Exception::GeneralProtection(external));
        }
        let error = selector_error(selector) | external;
        let target = self.descriptor(selector, Exception::GeneralProtection, external)?;
        let access = target.access();
        let (cpl, virtual_8086) = (self.cpu.state.cpl, self.cpu.state.virtual_8086());
        if !access.is_code() || access.dpl() > cpl {
            return Err(Exception::GeneralProtection(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        let new_cpl = if access.conforming() { cpl } else { access.dpl() };
        if virtual_8086 && new_cpl != 0 {
            return Err(Exception::GeneralProtection(error));
        }
        if gate.gate_offset() > u64::from(target.limit()) {
            return Err(Exception::GeneralProtection(external));
        }
        let w = if gate.access().kind() & 8 != 0 { Width::W32 } else { Width::W16 };
        let mut stack = if new_cpl < cpl {
            self.inner_stack(new_cpl, external)?
        } else {
            Stack::current(&self.cpu.state, external)
        };
        self.push_frame(&mut stack, &event, w, new_cpl < cpl)?;
        let cs = self.mark_accessed(selector & !3 | u16::from(new_cpl), target)?;
        self.commit_stack(&stack);
        self.set_code_segment(cs, new_cpl);
        self.cpu.state.rip = gate.gate_offset();
        if virtual_8086 {
            self.drop_data_segments();
        }
        let mut cleared = eflags::TF | eflags::NT | eflags::VM | eflags::RF;
        if matches!(gate.access().kind(), system::INTERRUPT_GATE16 | system::INTERRUPT_GATE32) {
            cleared |= eflags::IF;
        }
        self.cpu.state.system_flags &= !cleared;
        self.cpu.state_changed();
        Ok(())
    }

    fn protected_gate(&mut self, event: &Event) -> Result<Descriptor, Exception> {
        let idtr = self.cpu.state.idtr;
        let entry = u64::from(event.vector) * 8;
        if entry + 7 > u64::from(idtr.limit) {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        let gate = Descriptor(self.load_system(Width::W64, idtr.base.wrapping_add(entry))?);
        let known = matches!(
            gate.system_type(),
            Some(
                system::TASK_GATE
                    | system::INTERRUPT_GATE16
                    | system::TRAP_GATE16
                    | system::INTERRUPT_GATE32
                    | system::TRAP_GATE32
            )
        );
        let forbidden = event.source == Source::Software && gate.dpl() < self.cpu.state.cpl;
        if !known || forbidden {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        if !gate.present() {
            return Err(Exception::SegmentNotPresent(event.idt_error()));
        }
        Ok(gate)
    }

    fn enter_task(&mut self, gate: Descriptor, event: &Event) -> Result<(), Exception> {
        let flags = if event.resume { eflags::RF } else { 0 };
        let selector = gate.gate_selector();
        let raised = self.switch_task(selector, Switch::Nest, event.return_rip, event.external(), flags)?;
        if let Some(exception) = raised {
            if event.source == Source::External {
                return Err(exception);
            }
            // The instruction is over: this is not its fault.
            self.deliver_exception(exception);
            return Ok(());
        }
        let Some(code) = event.error else { return Ok(()) };
        let w = if self.cpu.state.tr.access.kind() & 8 != 0 { Width::W32 } else { Width::W16 };
        let mut stack = Stack::current(&self.cpu.state, event.external());
        self.push_on(&mut stack, w, u64::from(code))?;
        self.commit_stack_pointer(&stack);
        Ok(())
    }

    /// The stack of the task-state segment for privilege level `cpl` (Intel SDM vol. 3, 5.8.5).
    ///
    /// # Errors
    /// #TS or #SS with the new stack's selector and `external` as error code.
    pub(crate) fn inner_stack(&mut self, cpl: u8, external: u16) -> Result<Stack, Exception> {
        let tr = self.cpu.state.tr;
        let wide = tr.access.kind() & 8 != 0;
        let (w, at) = if wide { (Width::W32, 4 + u64::from(cpl) * 8) } else { (Width::W16, 2 + u64::from(cpl) * 4) };
        if at + w.bytes() + 1 > u64::from(tr.limit) {
            return Err(Exception::InvalidTss(selector_error(tr.selector) | external));
        }
        let pointer = self.load_system(w, tr.base.wrapping_add(at))?;
        let selector = self.load_system(Width::W16, tr.base.wrapping_add(at + w.bytes()))? as u16;
        let segment = self.stack_segment(selector, cpl, Exception::InvalidTss, external)?;
        let error = selector_error(selector) | external;
        Ok(Stack::other(&self.cpu.state, segment, pointer, cpl, error))
    }

    fn push_frame(&mut self, stack: &mut Stack, event: &Event, w: Width, switched: bool) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let selectors = state.segs.map(|segment| u64::from(segment.selector));
        let selector = |register: u8| selectors[usize::from(register)];
        let virtual_8086 = state.virtual_8086();
        let pointer = Stack::current(state, 0).pointer;
        let flags = self.saved_flags(event);
        if virtual_8086 {
            for register in [seg::GS, seg::FS, seg::DS, seg::ES] {
                self.push_on(stack, w, selector(register))?;
            }
        }
        if switched {
            self.push_on(stack, w, selector(seg::SS))?;
            self.push_on(stack, w, pointer)?;
        }
        for value in [flags, selector(seg::CS), event.return_rip] {
            self.push_on(stack, w, value)?;
        }
        if let Some(error) = event.error {
            self.push_on(stack, w, u64::from(error))?;
        }
        Ok(())
    }

    /// ES, DS, FS and GS hold nothing after leaving virtual-8086 mode.
    fn drop_data_segments(&mut self) {
        for register in [seg::ES, seg::DS, seg::FS, seg::GS] {
            self.cpu.state.segs[usize::from(register)] = unusable_segment(0);
        }
    }

    /// Sets CS and the privilege level; the base of a 64-bit code segment is zero whatever its descriptor says.
    pub(crate) fn set_code_segment(&mut self, mut segment: Segment, cpl: u8) {
        if self.cpu.state.long_mode() && segment.access.long() {
            segment.base = 0;
        }
        debug_assert_eq!(rpl(segment.selector), cpl);
        self.cpu.state.segs[usize::from(seg::CS)] = segment;
        self.cpu.state.cpl = cpl;
    }
}

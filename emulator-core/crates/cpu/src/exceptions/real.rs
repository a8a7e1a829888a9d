//! Interrupts through the interrupt vector table: real mode, and redirected software interrupts of virtual-8086 mode
//! (Intel SDM vol. 3, 20.1.4 and 20.3.3).

use x86::{Exception, Width, seg};

use super::{Event, Stack};
use crate::exec::Exec;
use crate::state::eflags;

impl Exec<'_> {
    pub(super) fn enter_real(&mut self, event: Event) -> Result<(), Exception> {
        let entry = u64::from(event.vector) * 4;
        let idtr = self.cpu.state.idtr;
        if entry + 3 > u64::from(idtr.limit) {
            return Err(Exception::GeneralProtection(event.idt_error()));
        }
        let vector = self.load_system(Width::W32, idtr.base.wrapping_add(entry))?;
        let flags = self.cpu.state.rflags();
        self.enter_vector(vector, flags, event.return_rip)?;
        self.cpu.state.system_flags &= !(eflags::IF | eflags::TF | eflags::AC | eflags::RF);
        self.cpu.state_changed();
        Ok(())
    }

    /// Pushes FLAGS, CS and IP and goes to the `selector:offset` read from a vector table.
    pub(crate) fn enter_vector(&mut self, vector: u64, flags: u64, return_rip: u64) -> Result<(), Exception> {
        let mut stack = Stack::current(&self.cpu.state, 0);
        let selector = self.cpu.state.segs[usize::from(seg::CS)].selector;
        self.push_on(&mut stack, Width::W16, flags)?;
        self.push_on(&mut stack, Width::W16, u64::from(selector))?;
        self.push_on(&mut stack, Width::W16, return_rip)?;
        self.commit_stack_pointer(&stack);
        self.cpu.state.load_real_segment(seg::CS, (vector >> 16) as u16);
        self.cpu.state.rip = vector & 0xffff;
        Ok(())
    }
}

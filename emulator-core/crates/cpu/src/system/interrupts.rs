//! Software interrupts (Intel SDM vol. 2, INT n; vol. 3, 20.3 for virtual-8086 mode).

use x86::{Engine, Exception, Op, Width};

use crate::exceptions::{Event, Source};
use crate::exec::Exec;
use crate::state::eflags;

impl Exec<'_> {
    /// `INT n`, which virtual-8086 mode may redirect or forbid.
    pub(super) fn software_interrupt(&mut self, op: &Op, vector: u8) -> Result<(), Exception> {
        if self.cpu.state.virtual_8086() {
            let redirected = self.cpu.state.virtual_8086_extensions() && !self.interrupt_is_monitored(vector)?;
            if redirected {
                return self.redirect_interrupt(op, vector);
            }
            if self.cpu.state.iopl() < 3 {
                return Err(Exception::GeneralProtection(0));
            }
        }
        self.trap_interrupt(op, vector)
    }

    /// A software interrupt through the IDT: `INT n`, `INT3`, `INTO`.
    pub(super) fn trap_interrupt(&mut self, op: &Op, vector: u8) -> Result<(), Exception> {
        self.enter_software(op, vector, Source::Software)
    }

    /// `INT1`: #DB without a DPL check.
    pub(super) fn int1(&mut self, op: &Op) -> Result<(), Exception> {
        self.enter_software(op, Exception::Debug.vector(), Source::External)
    }

    fn enter_software(&mut self, op: &Op, vector: u8, source: Source) -> Result<(), Exception> {
        self.trace_software_interrupt(op, vector);
        let return_rip = self.next_ip(op);
        // Its handler starts with TF clear: the trap is due after the instruction it returns to.
        self.cpu.stepping = false;
        self.enter_handler(Event { vector, source, error: None, return_rip, resume: false })
    }

    pub(super) fn interrupt_on_overflow(&mut self, op: &Op) -> Result<(), Exception> {
        if self.cpu.state.rflags() & x86::flags::OF == 0 {
            return Ok(());
        }
        self.trap_interrupt(op, Exception::Overflow.vector())
    }

    pub(super) fn bound(&mut self, op: &Op) -> Result<(), Exception> {
        let w = op.opsize;
        let signed = |value: u64| w.sign_extend(value) as i64;
        let index = signed(self.register(w, op.dst));
        // The upper bound is not read where the lower one decides.
        if index < signed(self.load(w, op)?) || index > signed(self.load_at(w, op, w.bytes())?) {
            return Err(Exception::BoundRange);
        }
        Ok(())
    }

    /// Whether the task's interrupt redirection bitmap sends `vector` to the protected-mode handler
    /// (Intel SDM vol. 3, 20.3.3): its bit is set. The bitmap is the 32 bytes below the I/O permission bitmap.
    fn interrupt_is_monitored(&mut self, vector: u8) -> Result<bool, Exception> {
        const IO_MAP_BASE: u64 = 0x66;
        let tr = self.cpu.state.tr;
        if u64::from(tr.limit) < IO_MAP_BASE + 1 {
            return Err(Exception::GeneralProtection(0));
        }
        let map = self.load_system(Width::W16, tr.base.wrapping_add(IO_MAP_BASE))?;
        let at = map.wrapping_sub(32).wrapping_add(u64::from(vector) / 8);
        if at > u64::from(tr.limit) {
            return Err(Exception::GeneralProtection(0));
        }
        Ok(self.load_system(Width::W8, tr.base.wrapping_add(at))? >> (vector % 8) & 1 != 0)
    }

    /// Goes to the task's own real-mode handler; below IOPL 3, VIF stands in for IF.
    fn redirect_interrupt(&mut self, op: &Op, vector: u8) -> Result<(), Exception> {
        let entry = self.load_linear(Width::W32, u64::from(vector) * 4, x86::seg::DS)?;
        let state = &self.cpu.state;
        let weak = state.iopl() < 3;
        let mut flags = state.rflags();
        if weak {
            let interruptible = if flags & eflags::VIF != 0 { eflags::IF } else { 0 };
            flags = flags & !eflags::IF | eflags::IOPL | interruptible;
        }
        let next = self.next_ip(op);
        self.enter_vector(entry, flags, next)?;
        let disabled = if weak { eflags::VIF } else { eflags::IF };
        self.cpu.state.system_flags &= !(eflags::TF | eflags::NT | eflags::RF | disabled);
        self.cpu.state_changed();
        Ok(())
    }
}

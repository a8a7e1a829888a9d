//! Control and status words, FNINIT, FNCLEX.

use x86::instructions::fpu::Fpu;
use x86::{Engine, Exception, Op, Width, gpr_slot};

use crate::exec::Exec;
use crate::state::X87;

/// The writable bits of the control word: masks, precision, rounding, infinity control.
const CONTROL_WRITABLE: u16 = 0x1f3f;
/// Reads as one.
const CONTROL_FIXED: u16 = 0x40;

impl Exec<'_> {
    pub(super) fn control(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        match fpu {
            Fpu::Fninit => self.cpu.state.x87.initialise(),
            Fpu::Fnclex => self.cpu.state.x87.clear_exceptions(),
            Fpu::Fldcw => {
                let word = self.load(Width::W16, op)? as u16;
                self.cpu.state.x87.set_control(word);
            }
            Fpu::Fnstcw => {
                let word = self.cpu.state.x87.control;
                self.store(Width::W16, op, u64::from(word))?;
            }
            Fpu::Fnstsw => {
                let word = self.cpu.state.x87.status;
                self.store(Width::W16, op, u64::from(word))?;
            }
            _ => {
                let word = self.cpu.state.x87.status;
                self.set_register(Width::W16, gpr_slot(0, false), u64::from(word));
            }
        }
        Ok(())
    }
}

impl X87 {
    /// FNINIT (Intel SDM vol. 2): registers keep their contents and become empty.
    pub(crate) fn initialise(&mut self) {
        *self = X87 { registers: self.registers, control: 0x37f, tags: u16::MAX, ..X87::default() };
    }

    /// Loads the control word; exceptions it unmasks become pending.
    pub(super) fn set_control(&mut self, word: u16) {
        self.control = word & CONTROL_WRITABLE | CONTROL_FIXED;
        self.summarise();
    }

    /// Loads the status word; its summary follows from flags and masks.
    pub(super) fn set_status(&mut self, word: u16) {
        self.status = word;
        self.summarise();
    }
}

//! The x87 unit (Intel SDM vol. 1, chapter 8): register stack, status, and what each instruction does.
//!
//! Numbers are `softfloat`'s affair; this is the machine around them. Register-level behaviour is methods of [`X87`]; what
//! touches memory, EFLAGS or control registers is methods of [`Exec`]. Memory is accessed, and may fault, before any state
//! of the unit changes.
//!
//! Of the tag word only "empty" is kept; the other tags are computed when an environment is stored, as processors since the
//! 80486 do.

mod arithmetic;
mod block;
mod compare;
mod control;
mod environment;
mod fxsave;
mod stack;
mod status;
mod transcendental;
mod transfer;

#[cfg(test)]
mod tests;

use x86::instructions::fpu::Fpu;
use x86::{Engine, Exception, Op, SEG_NONE, seg};

use crate::exec::Exec;
use crate::state::control::{CR0_EM, CR0_MP, CR0_NE, CR0_TS};

impl Exec<'_> {
    /// Runs one x87 instruction.
    pub(crate) fn fpu_instruction(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        self.check_available(fpu)?;
        if self.control_instruction(op, fpu)? {
            return Ok(());
        }
        self.check_pending_x87()?;
        let pointers = self.pointers(op);
        match fpu {
            Fpu::Fwait => return Ok(()),
            Fpu::Fldcw | Fpu::Fldenv | Fpu::Frstor => return self.load_control(op, fpu),
            _ => self.data_instruction(op, fpu)?,
        }
        pointers.store(&mut self.cpu.state.x87);
        Ok(())
    }

    /// #NM while the unit is emulated or belongs to another task (Intel SDM vol. 3, table 2-2).
    fn check_available(&self, fpu: Fpu) -> Result<(), Exception> {
        let cr0 = self.cpu.state.cr0;
        let unavailable = match fpu {
            Fpu::Fwait => cr0 & (CR0_MP | CR0_TS) == CR0_MP | CR0_TS,
            _ => cr0 & (CR0_EM | CR0_TS) != 0,
        };
        if unavailable { Err(Exception::DeviceNotAvailable) } else { Ok(()) }
    }

    /// #MF when an earlier instruction left an unmasked exception. MMX instructions ask too.
    pub(crate) fn check_pending_x87(&self) -> Result<(), Exception> {
        if self.cpu.state.x87.error_pending() && self.cpu.state.cr0 & CR0_NE != 0 {
            return Err(Exception::X87);
        }
        Ok(())
    }

    /// The instructions that neither compute nor leave instruction and data pointers.
    fn data_instruction(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        match fpu {
            Fpu::Fld | Fpu::Fild | Fpu::Fbld => self.load(op, fpu)?,
            Fpu::Fst | Fpu::Fstp | Fpu::Fist | Fpu::Fistp | Fpu::Fisttp | Fpu::Fbstp => self.store(op, fpu)?,
            _ => {}
        }
        Ok(())
    }

    /// Where `op` and its memory operand lie, for the environment.
    fn pointers(&mut self, op: &Op) -> Pointers {
        let data = op.form.has_memory().then(|| {
            let selector = if op.seg == SEG_NONE { 0 } else { self.cpu.state.segs[usize::from(op.seg)].selector };
            (selector, self.effective_address(op))
        });
        Pointers {
            opcode: op.imm as u16,
            cs: self.cpu.state.segs[usize::from(seg::CS)].selector,
            ip: self.address_of(op),
            data,
        }
    }
}

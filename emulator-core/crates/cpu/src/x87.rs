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
pub(crate) mod xsave;

#[cfg(test)]
mod tests;

pub(crate) use compare::condition;
pub(crate) use fxsave::MXCSR_MASK;
pub(crate) use status::rounding_direction;
pub use status::{C1, CONDITION_CODES};
use x86::instructions::fpu::Fpu;
use x86::{Engine, Exception, Op, SEG_NONE, seg};

use crate::exec::Exec;
use crate::state::X87;
use crate::state::control::{CR0_EM, CR0_MP, CR0_NE, CR0_TS};

impl Exec<'_> {
    /// Runs one x87 instruction.
    pub(crate) fn fpu_instruction(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        self.check_available(fpu)?;
        if self.cpu.state.cr0 & CR0_NE != 0 {
            return self.perform(op, fpu);
        }
        let was_pending = self.cpu.state.x87.error_pending();
        self.perform(op, fpu)?;
        if self.cpu.state.x87.error_pending() && !was_pending {
            let now = self.now();
            self.bus.x87_error(now);
            self.cpu.leave = true;
            self.leave_block(op);
        }
        Ok(())
    }

    /// Has the board its turn right behind `op`, wherever in a block it stands: dropping the block does that.
    fn leave_block(&mut self, op: &Op) {
        let linear = self.code_linear(self.address_of(op));
        if let Ok(page) = self.fetch_page(linear) {
            self.cpu.code_written(page.phys.page().add(linear & 0xfff), 1);
        }
    }

    fn perform(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        match fpu {
            Fpu::Fninit | Fpu::Fnclex | Fpu::Fnstcw | Fpu::Fnstsw | Fpu::FnstswAx => self.control(op, fpu),
            Fpu::Fneni => Ok(()),
            Fpu::Fnstenv => self.store_environment(op),
            Fpu::Fnsave => self.save_all(op),
            Fpu::Fxsave => self.fxsave(op),
            Fpu::Fxrstor => self.fxrstor(op),
            _ => {
                self.check_pending_x87()?;
                self.perform_waiting(op, fpu)
            }
        }
    }

    fn perform_waiting(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        match fpu {
            Fpu::Fwait => Ok(()),
            Fpu::Fldcw => self.control(op, fpu),
            Fpu::Fldenv => self.load_environment(op),
            Fpu::Frstor => self.restore_all(op),
            _ => {
                let pointers = self.pointers(op);
                self.compute(op, fpu)?;
                pointers.record(&mut self.cpu.state.x87);
                Ok(())
            }
        }
    }

    /// #NM while the unit is emulated or may belong to another task (Intel SDM vol. 3, table 2-2).
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

    /// Every instruction that is not a control instruction.
    fn compute(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        match fpu {
            Fpu::Fld | Fpu::Fild | Fpu::Fbld => self.load_operand(op, fpu),
            Fpu::Fst | Fpu::Fstp | Fpu::Fstpnce | Fpu::Fist | Fpu::Fistp | Fpu::Fisttp | Fpu::Fbstp => {
                self.store_operand(op, fpu)
            }
            Fpu::Fcom | Fpu::Fcomp | Fpu::Fcompp | Fpu::Fucom | Fpu::Fucomp | Fpu::Fucompp => self.compare(op, fpu),
            Fpu::Ficom | Fpu::Ficomp => self.compare(op, fpu),
            Fpu::Fcomi | Fpu::Fcomip | Fpu::Fucomi | Fpu::Fucomip => {
                self.compare_to_eflags(op, fpu);
                Ok(())
            }
            Fpu::Fcmovb | Fpu::Fcmove | Fpu::Fcmovbe | Fpu::Fcmovu => self.conditional_move(op, fpu, true),
            Fpu::Fcmovnb | Fpu::Fcmovne | Fpu::Fcmovnbe | Fpu::Fcmovnu => self.conditional_move(op, fpu, false),
            _ => match arithmetic::Arithmetic::of(fpu) {
                Some(arithmetic) => self.arithmetic(op, arithmetic),
                None => {
                    self.cpu.state.x87.register_instruction(fpu, op.dst);
                    Ok(())
                }
            },
        }
    }

    /// Where `op` and its memory operand lie, for the environment.
    fn pointers(&mut self, op: &Op) -> Pointers {
        let data = op.form.has_memory().then(|| {
            let selector = if op.seg == SEG_NONE { 0 } else { self.cpu.state.segs[usize::from(op.seg)].selector };
            (selector, self.effective_address(op))
        });
        let cs = self.cpu.state.segs[usize::from(seg::CS)].selector;
        Pointers { opcode: op.imm as u16, cs, ip: self.address_of(op), data }
    }
}

impl X87 {
    /// The instructions that touch nothing but the register stack; `register` is the stack register they name, if any.
    fn register_instruction(&mut self, fpu: Fpu, register: u8) {
        match fpu {
            Fpu::Fxch => self.exchange(register),
            Fpu::Ffree => self.free(register),
            Fpu::Ffreep => {
                self.free(register);
                self.pop();
            }
            Fpu::Fincstp => self.rotate(1),
            Fpu::Fdecstp => self.rotate(7),
            Fpu::Fchs | Fpu::Fabs | Fpu::Fsqrt | Fpu::Frndint | Fpu::F2xm1 => self.unary(fpu),
            Fpu::Fscale | Fpu::Fpatan | Fpu::Fyl2x | Fpu::Fyl2xp1 => self.binary(fpu),
            Fpu::Fprem | Fpu::Fprem1 => self.remainder(fpu),
            Fpu::Fxtract => self.extract(),
            Fpu::Fsin | Fpu::Fcos | Fpu::Fsincos | Fpu::Fptan => self.trigonometric(fpu),
            Fpu::Ftst => self.test(),
            Fpu::Fxam => self.examine(),
            _ => self.load_constant(fpu),
        }
    }
}

/// Instruction and data pointers of an instruction that has completed (Intel SDM vol. 1, 8.1.8).
struct Pointers {
    opcode: u16,
    cs: u16,
    ip: u64,
    /// Selector and offset of the memory operand.
    data: Option<(u16, u64)>,
}

impl Pointers {
    fn record(self, x87: &mut X87) {
        (x87.opcode, x87.cs, x87.ip) = (self.opcode, self.cs, self.ip);
        if let Some((selector, offset)) = self.data {
            (x87.ds, x87.dp) = (selector, offset);
        }
    }
}

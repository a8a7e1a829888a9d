//! FCOM, FUCOM, FICOM, FCOMI, FTST, FXAM.

use softfloat::{Class, F80, Relation, Unpacked, x87};
use x86::instructions::fpu::Fpu;
use x86::{Exception, Op, flags};

use super::status::{C0, C1, C2, C3};
use crate::exec::Exec;
use crate::state::X87;

/// Condition codes of a comparison (Intel SDM vol. 1, table 8-6).
pub(crate) fn condition(relation: Relation) -> u16 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => C0,
        Relation::Equal => C3,
        Relation::Unordered => C3 | C2 | C0,
    }
}

/// The same in EFLAGS (Intel SDM vol. 2, FCOMI).
fn eflags(relation: Relation) -> u64 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => flags::CF,
        Relation::Equal => flags::ZF,
        Relation::Unordered => flags::ZF | flags::PF | flags::CF,
    }
}

impl Exec<'_> {
    /// Compares ST(0) with a register or memory.
    pub(super) fn compare(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        let quiet = matches!(fpu, Fpu::Fucom | Fpu::Fucomp | Fpu::Fucompp);
        let pops = match fpu {
            Fpu::Fcomp | Fpu::Fucomp | Fpu::Ficomp => 1,
            Fpu::Fcompp | Fpu::Fucompp => 2,
            _ => 0,
        };
        let operand = if op.form.has_memory() {
            Some(self.memory_operand(op, matches!(fpu, Fpu::Ficom | Fpu::Ficomp))?)
        } else {
            let register = if pops == 2 { 1 } else { op.dst };
            self.cpu.state.x87.operand(register)
        };
        let x87 = &mut self.cpu.state.x87;
        let (relation, completes) = x87.relation(operand, quiet);
        x87.set_condition(condition(relation));
        for _ in 0..if completes { pops } else { 0 } {
            x87.pop();
        }
        Ok(())
    }

    /// Compares ST(0) with a register and sets the status flags. C1 is cleared by a stack underflow only.
    pub(super) fn compare_to_eflags(&mut self, op: &Op, fpu: Fpu) {
        let quiet = matches!(fpu, Fpu::Fucomi | Fpu::Fucomip);
        let state = &mut self.cpu.state;
        let operand = state.x87.operand(op.src);
        let underflow = operand.is_none() || state.x87.is_empty(0);
        let c1 = if underflow { 0 } else { state.x87.status & C1 };
        let (relation, completes) = state.x87.relation(operand, quiet);
        state.x87.status |= c1;
        (state.flag_result, state.flag_carries) = flags::unpack(eflags(relation));
        if completes && matches!(fpu, Fpu::Fcomip | Fpu::Fucomip) {
            state.x87.pop();
        }
    }
}

impl X87 {
    fn operand(&self, register: u8) -> Option<Unpacked> {
        (!self.is_empty(register)).then(|| self.st(register).into())
    }

    /// How ST(0) compares with `operand`, which is told even where an unmasked exception stops the instruction, and whether
    /// none does. Empty registers (an `operand` of `None`) compare unordered.
    fn relation(&mut self, operand: Option<Unpacked>, quiet: bool) -> (Relation, bool) {
        let (Some(value), Some(operand)) = (self.operand(0), operand) else {
            return (Relation::Unordered, self.stack_underflow());
        };
        let mut ctx = self.context();
        let relation = x87::compare(value, operand, quiet, &mut ctx);
        self.report(&ctx);
        (relation, !ctx.stopped_early())
    }

    /// FTST: compares ST(0) with zero.
    pub(super) fn test(&mut self) {
        let (relation, _) = self.relation(Some(F80::ZERO.into()), false);
        self.set_condition(condition(relation));
    }

    /// FXAM: the class of ST(0) (Intel SDM vol. 2, FXAM table), with its sign in C1.
    pub(super) fn examine(&mut self) {
        let value = self.st(0);
        let class = match value.class() {
            _ if self.is_empty(0) => C3 | C0,
            Class::Unsupported => 0,
            Class::QuietNan | Class::SignalingNan => C0,
            Class::Normal => C2,
            Class::Infinity => C2 | C0,
            Class::Zero => C3,
            Class::Denormal => C3 | C2,
        };
        self.set_condition(class | if value.is_negative() { C1 } else { 0 });
    }
}

//! Status word: exception flags, condition codes, summary.

use softfloat::{Context, Flags};

use crate::state::X87;

const INVALID: u16 = 1 << 0;
const STACK_FAULT: u16 = 1 << 6;
const SUMMARY: u16 = 1 << 7;
const BUSY: u16 = 1 << 15;
const EXCEPTIONS: u16 = 0x3f;

/// Condition code 0.
pub(super) const C0: u16 = 1 << 8;
/// Condition code 1: direction of rounding, or of a stack fault.
pub const C1: u16 = 1 << 9;
/// Condition code 2.
pub(super) const C2: u16 = 1 << 10;
/// Condition code 3.
pub(super) const C3: u16 = 1 << 14;
/// All four.
pub const CONDITION_CODES: u16 = C0 | C1 | C2 | C3;

impl X87 {
    /// The environment of the next operation.
    pub(super) fn context(&self) -> Context {
        Context::x87(self.control)
    }

    /// An unmasked exception waits to be delivered.
    pub(super) fn error_pending(&self) -> bool {
        self.status & SUMMARY != 0
    }

    /// Takes over the exceptions and the rounding direction of a finished operation.
    pub(super) fn report(&mut self, ctx: &Context) {
        self.status = self.status & !C1 | u16::from(ctx.raised().bits()) | rounding_direction(ctx);
        self.summarise();
    }

    /// Recomputes ES and B after flags or masks changed.
    pub(super) fn summarise(&mut self) {
        let pending = self.status & !self.control & EXCEPTIONS != 0;
        self.status &= !(SUMMARY | BUSY);
        if pending {
            self.status |= SUMMARY | BUSY;
        }
    }

    /// Clears the exception flags, the stack fault and the summary (FNCLEX).
    pub(super) fn clear_exceptions(&mut self) {
        self.status &= !(EXCEPTIONS | STACK_FAULT | SUMMARY | BUSY);
    }

    /// An empty register was read. Returns whether the fault is masked, so that the default result is delivered.
    #[cold]
    pub(super) fn stack_underflow(&mut self) -> bool {
        self.status &= !C1;
        self.stack_fault()
    }

    /// A register in use would be pushed over. Returns whether the fault is masked.
    #[cold]
    pub(super) fn stack_overflow(&mut self) -> bool {
        self.status |= C1;
        self.stack_fault()
    }

    fn stack_fault(&mut self) -> bool {
        self.status |= INVALID | STACK_FAULT;
        self.summarise();
        self.control & INVALID != 0
    }

    /// Replaces C0, C2 and C3; C1 is cleared.
    pub(super) fn set_condition(&mut self, codes: u16) {
        self.status = self.status & !CONDITION_CODES | codes;
    }

    /// Sets or clears C2 ("incomplete").
    pub(super) fn set_incomplete(&mut self, incomplete: bool) {
        self.status &= !C2;
        if incomplete {
            self.status |= C2;
        }
    }

    /// Clears C1, as instructions do that cannot round.
    pub(super) fn clear_c1(&mut self) {
        self.status &= !C1;
    }
}

/// C1 as a finished operation sets it: whether it has rounded away from zero.
pub(crate) fn rounding_direction(ctx: &Context) -> u16 {
    if ctx.rounded_up() { C1 } else { 0 }
}

/// Whether a result goes to memory: every unmasked exception but precision keeps it back.
pub(super) fn stores(ctx: &Context) -> bool {
    (ctx.unmasked() - Flags::PRECISION).is_empty()
}

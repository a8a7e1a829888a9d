//! FADD to FDIVR in all their forms, and the one-operand instructions.

use softfloat::x87::{self, Quotient};
use softfloat::{Context, F32, F64, F80, Unpacked};
use x86::instructions::fpu::Fpu;
use x86::{Engine, Exception, Op, Width};

use super::status::{C0, C1, C3};
use crate::exec::Exec;
use crate::state::X87;

type Operation = fn(Unpacked, Unpacked, &mut Context) -> F80;

/// One of the basic operations, apart from its operands.
#[derive(Clone, Copy)]
pub(super) struct Arithmetic {
    operation: Operation,
    /// The destination is the second operand (FSUBR, FDIVR).
    reversed: bool,
    pops: bool,
    /// A memory operand is an integer.
    integer: bool,
}

impl Arithmetic {
    /// What `fpu` computes, if it is one of the basic operations.
    #[inline]
    pub(super) fn of(fpu: Fpu) -> Option<Arithmetic> {
        const fn plain(operation: Operation, reversed: bool) -> Option<Arithmetic> {
            Some(Arithmetic { operation, reversed, pops: false, integer: false })
        }
        const fn popping(operation: Operation, reversed: bool) -> Option<Arithmetic> {
            Some(Arithmetic { operation, reversed, pops: true, integer: false })
        }
        const fn integer(operation: Operation, reversed: bool) -> Option<Arithmetic> {
            Some(Arithmetic { operation, reversed, pops: false, integer: true })
        }
        match fpu {
            Fpu::Fadd => plain(x87::add, false),
            Fpu::Fmul => plain(x87::mul, false),
            Fpu::Fsub => plain(x87::sub, false),
            Fpu::Fsubr => plain(x87::sub, true),
            Fpu::Fdiv => plain(x87::div, false),
            Fpu::Fdivr => plain(x87::div, true),
            Fpu::Faddp => popping(x87::add, false),
            Fpu::Fmulp => popping(x87::mul, false),
            Fpu::Fsubp => popping(x87::sub, false),
            Fpu::Fsubrp => popping(x87::sub, true),
            Fpu::Fdivp => popping(x87::div, false),
            Fpu::Fdivrp => popping(x87::div, true),
            Fpu::Fiadd => integer(x87::add, false),
            Fpu::Fimul => integer(x87::mul, false),
            Fpu::Fisub => integer(x87::sub, false),
            Fpu::Fisubr => integer(x87::sub, true),
            Fpu::Fidiv => integer(x87::div, false),
            Fpu::Fidivr => integer(x87::div, true),
            _ => None,
        }
    }
}

impl Exec<'_> {
    pub(super) fn arithmetic(&mut self, op: &Op, arithmetic: Arithmetic) -> Result<(), Exception> {
        if op.form.has_memory() {
            let operand = self.memory_operand(op, arithmetic.integer)?;
            self.cpu.state.x87.arithmetic_with_memory(arithmetic, operand);
        } else {
            self.cpu.state.x87.arithmetic(arithmetic, op.dst, op.src);
        }
        Ok(())
    }

    /// A number in memory: single or double, or a word or doubleword integer.
    pub(super) fn memory_operand(&mut self, op: &Op, integer: bool) -> Result<Unpacked, Exception> {
        Ok(match (op.memory_bytes, integer) {
            (2, _) => Unpacked::from(self.load(Width::W16, op)? as i16),
            (4, true) => Unpacked::from(self.load(Width::W32, op)? as i32),
            (4, false) => Unpacked::from(F32(self.load(Width::W32, op)? as u32)),
            _ => Unpacked::from(F64(self.load(Width::W64, op)?)),
        })
    }
}

impl X87 {
    fn arithmetic(&mut self, arithmetic: Arithmetic, destination: u8, source: u8) {
        if self.is_empty(destination) || self.is_empty(source) {
            if self.stack_underflow() {
                self.deliver(destination, F80::INDEFINITE, arithmetic.pops);
            }
            return;
        }
        let source = self.st(source).into();
        self.calculate(arithmetic, destination, source);
    }

    fn arithmetic_with_memory(&mut self, arithmetic: Arithmetic, operand: Unpacked) {
        if !self.is_empty(0) {
            self.calculate(arithmetic, 0, operand);
        } else if self.stack_underflow() {
            self.set_st(0, F80::INDEFINITE);
        }
    }

    fn calculate(&mut self, arithmetic: Arithmetic, destination: u8, source: Unpacked) {
        let value = self.st(destination).into();
        let (a, b) = if arithmetic.reversed { (source, value) } else { (value, source) };
        let mut ctx = self.context();
        let result = (arithmetic.operation)(a, b, &mut ctx);
        self.report(&ctx);
        if !ctx.stopped_early() {
            self.deliver(destination, result, arithmetic.pops);
        }
    }

    fn deliver(&mut self, destination: u8, value: F80, pops: bool) {
        self.set_st(destination, value);
        if pops {
            self.pop();
        }
    }

    /// Replaces ST(0) by a function of itself.
    pub(super) fn unary(&mut self, fpu: Fpu) {
        if self.is_empty(0) {
            if self.stack_underflow() {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let mut ctx = self.context();
        let value = self.st(0);
        let result = match fpu {
            Fpu::Fchs => value.negated(),
            Fpu::Fabs => value.magnitude(),
            Fpu::Fsqrt => x87::sqrt(value, &mut ctx),
            Fpu::Frndint => x87::round_to_integral(value, &mut ctx),
            _ => x87::exp2_minus_1(value, &mut ctx),
        };
        self.report(&ctx);
        if !ctx.stopped_early() {
            self.set_st(0, result);
        }
    }

    /// FPREM, FPREM1: the remainder replaces ST(0), the quotient's low bits go to C0, C3 and C1.
    pub(super) fn remainder(&mut self, fpu: Fpu) {
        self.set_incomplete(false);
        if self.is_empty(0) || self.is_empty(1) {
            if self.stack_underflow() {
                self.set_st(0, F80::INDEFINITE);
            }
            return;
        }
        let rounding = if fpu == Fpu::Fprem { Quotient::Truncated } else { Quotient::Nearest };
        let mut ctx = self.context();
        let remainder = x87::remainder(self.st(0), self.st(1), rounding, &mut ctx);
        self.report(&ctx);
        if ctx.stopped_early() {
            return;
        }
        self.set_st(0, remainder.value);
        if let Some(quotient) = remainder.quotient {
            let code = |bit: u8, code: u16| if quotient & bit != 0 { code } else { 0 };
            self.set_condition(code(4, C0) | code(2, C3) | code(1, C1));
        }
        self.set_incomplete(!remainder.complete);
    }

    /// FXTRACT: the exponent replaces ST(0), then the significand is pushed.
    pub(super) fn extract(&mut self) {
        if self.is_empty(0) || !self.is_empty(7) {
            let masked = if self.is_empty(0) { self.stack_underflow() } else { self.stack_overflow() };
            if masked {
                self.set_st(0, F80::INDEFINITE);
                self.push(F80::INDEFINITE);
            }
            return;
        }
        let mut ctx = self.context();
        let (exponent, significand) = x87::extract(self.st(0), &mut ctx);
        self.report(&ctx);
        if !ctx.stopped_early() {
            self.set_st(0, exponent);
            self.push(significand);
        }
    }
}

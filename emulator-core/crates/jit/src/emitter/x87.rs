//! The x87 where nothing is unmasked ([`cpu::compiled::ENABLED_X87`]): registers, tags and the status word are cells as others are.
//!
//! What is out of the ordinary (a register that is empty or in use and should not be, a denormal or a NaN in memory) is left to the interpreter.

mod guard;
mod nearest;
mod number;
mod stack;

use cpu::compiled::ENABLED_USUAL_X87;
use cpu::compiled::x87::{C1, CONDITION_CODES, ENVIRONMENT, STATUS_SHIFT, USUAL_ENVIRONMENT, X87Operation};
use x86::instructions::fpu::Fpu;
use x86::instructions::simd::Lanes;
use x86::{Engine, Op, Width, flags};

use super::Emitter;
use super::range::Range;
use crate::ir::{Binary, Nearest, Step, Value, X87_SIGN};
use number::{BIAS, Known, Number};
pub(super) use stack::Stack;

/// Where C0 and C3 are in the status word.
const C0_SHIFT: u32 = 8;
const C3_SHIFT: u32 = 14;

impl Emitter {
    /// Writes down what `op` does; false where it is left to a helper.
    pub(super) fn x87(&mut self, op: &Op, fpu: Fpu) -> bool {
        let compiled = match fpu {
            Fpu::Fwait | Fpu::Fneni | Fpu::Fldcw | Fpu::Fnstcw | Fpu::Fnstsw | Fpu::FnstswAx => {
                self.x87_control(op, fpu);
                return true;
            }
            Fpu::Fld | Fpu::Fild | Fpu::Fld1 | Fpu::Fldz => self.x87_load(op, fpu),
            Fpu::Fst | Fpu::Fstp | Fpu::Fist | Fpu::Fistp | Fpu::Fisttp => self.x87_store(op, fpu),
            Fpu::Fcom | Fpu::Fcomp | Fpu::Fcompp | Fpu::Fucom | Fpu::Fucomp | Fpu::Fucompp => self.x87_compare(op, fpu),
            Fpu::Ficom | Fpu::Ficomp | Fpu::Ftst => self.x87_compare(op, fpu),
            Fpu::Fcomi | Fpu::Fcomip | Fpu::Fucomi | Fpu::Fucomip => self.x87_compare_to_eflags(op, fpu),
            Fpu::Fcmovb | Fpu::Fcmove | Fpu::Fcmovbe | Fpu::Fcmovu => self.x87_conditional_move(op, fpu),
            Fpu::Fcmovnb | Fpu::Fcmovne | Fpu::Fcmovnbe | Fpu::Fcmovnu => self.x87_conditional_move(op, fpu),
            Fpu::Fxch => self.x87_exchange(op.dst),
            Fpu::Fchs | Fpu::Fabs | Fpu::Fsqrt | Fpu::Frndint => self.x87_unary(fpu),
            Fpu::Fnop => {
                self.x87_stack();
                true
            }
            _ => match Arithmetic::of(fpu) {
                Some(arithmetic) => self.x87_arithmetic(op, arithmetic),
                None => false,
            },
        };
        if compiled {
            self.x87_record(op);
        }
        compiled
    }

    /// The instructions that neither compute nor leave pointers.
    fn x87_control(&mut self, op: &Op, fpu: Fpu) {
        const WRITABLE: u64 = 0x1f3f;
        const FIXED: u64 = 0x40;
        const MASKS: u64 = 0x3f;
        let stack = self.x87_stack();
        match fpu {
            Fpu::Fldcw => {
                let access = self.operand_of(Width::W16, op);
                let word = self.load_access(access);
                let [writable, fixed, masks] = [WRITABLE, FIXED, MASKS].map(|bits| self.graph.constant(bits));
                let kept = self.number(Binary::And, word, writable);
                let control = self.number(Binary::Or, kept, fixed);
                let masked = self.number(Binary::And, control, masks);
                let unmasks = self.number(Binary::NotEqual, masked, masks);
                self.interpret_where(unmasks);
                let [looked_at, usual] = [ENVIRONMENT, USUAL_ENVIRONMENT].map(|bits| self.imm(bits.into()));
                let environment = self.number(Binary::And, control, looked_at);
                let unusual = self.number(Binary::NotEqual, environment, usual);
                self.x87_set_control(control, unusual);
            }
            Fpu::Fnstcw => {
                let access = self.operand_of(Width::W16, op);
                self.store_access(access, stack.control);
            }
            Fpu::Fnstsw => {
                let access = self.operand_of(Width::W16, op);
                let status = self.x87_status_word();
                self.store_access(access, status);
            }
            Fpu::FnstswAx => {
                let status = self.x87_status_word();
                self.set_register(Width::W16, x86::gpr_slot(0, false), status);
            }
            _ => {}
        }
    }

    fn x87_load(&mut self, op: &Op, fpu: Fpu) -> bool {
        let source: &[u8] = if fpu == Fpu::Fld && !op.form.has_memory() { &[op.dst] } else { &[] };
        if !self.x87_require(source, true) {
            return false;
        }
        let number = match (fpu, op.memory_bytes) {
            (Fpu::Fld1, _) => self.x87_constant(1 << 63, BIAS as u64),
            (Fpu::Fldz, _) => self.x87_constant(0, 0),
            (Fpu::Fld, 10) => {
                let significand = self.operand_of(Width::W64, op);
                let significand = self.load_access(significand);
                let behind = self.graph.constant(8);
                let sign_exponent = self.operand(Width::W16, op, behind);
                let sign_exponent = self.load_access(sign_exponent);
                self.x87_unknown(significand, sign_exponent)
            }
            _ if op.form.has_memory() => self.x87_memory(op, fpu == Fpu::Fild),
            _ => self.x87_get(op.dst),
        };
        self.x87_set_status(C1, None);
        self.x87_push(number);
        true
    }

    fn x87_store(&mut self, op: &Op, fpu: Fpu) -> bool {
        let memory = op.form.has_memory();
        let used: &[u8] = if memory { &[0] } else { &[0, op.dst] };
        if !self.x87_require(used, false) {
            return false;
        }
        let number = self.x87_get(0);
        if !memory {
            self.x87_set_status(C1, None);
            if op.dst != 0 {
                self.x87_set(op.dst, number);
            }
        } else if op.memory_bytes == 10 {
            let significand = self.operand_of(Width::W64, op);
            self.store_access(significand, number.significand);
            let behind = self.graph.constant(8);
            let sign_exponent = self.operand(Width::W16, op, behind);
            let value = self.x87_sign_exponent(number);
            self.store_access(sign_exponent, value);
            self.x87_set_status(C1, None);
        } else {
            let w = Width::from_bytes(u64::from(op.memory_bytes)).unwrap_or(Width::W64);
            let access = self.operand_of(w, op);
            if self.units.inline_x87 && matches!(fpu, Fpu::Fst | Fpu::Fstp) {
                self.require(ENABLED_USUAL_X87);
                let [value, lost, up] = self.x87_to_binary(w, number);
                self.store_access(access, value);
                self.x87_set_rounded(lost, up);
            } else {
                let (result, rest) = self.x87_compute(conversion(fpu, op.memory_bytes), number, number);
                self.store_access(access, result);
                self.x87_set_status(C1, Some(rest));
            }
        }
        if !matches!(fpu, Fpu::Fst | Fpu::Fist) {
            self.x87_pop();
        }
        true
    }

    fn x87_arithmetic(&mut self, op: &Op, arithmetic: Arithmetic) -> bool {
        let memory = op.form.has_memory();
        let destination = if memory { 0 } else { op.dst };
        let used: &[u8] = if memory { &[0] } else { &[op.dst, op.src] };
        if !self.x87_require(used, false) {
            return false;
        }
        let source = if memory { self.x87_memory(op, arithmetic.integer) } else { self.x87_get(op.src) };
        let value = self.x87_get(destination);
        let (a, b) = if arithmetic.reversed { (source, value) } else { (value, source) };
        let result = match arithmetic.in_place().filter(|_| self.units.inline_x87) {
            Some(operation) => {
                self.require(ENABLED_USUAL_X87);
                self.x87_nearest(operation, a, b)
            }
            None => self.x87_compute_number(arithmetic.operation, a, b),
        };
        self.x87_set(destination, result);
        if arithmetic.pops {
            self.x87_pop();
        }
        true
    }

    fn x87_unary(&mut self, fpu: Fpu) -> bool {
        if !self.x87_require(&[0], false) {
            return false;
        }
        let number = self.x87_get(0);
        let result = match fpu {
            Fpu::Fchs | Fpu::Fabs => {
                let [zero, sign] = [0, X87_SIGN].map(|bits| self.graph.constant(bits));
                self.x87_set_status(C1, None);
                Number {
                    sign: if fpu == Fpu::Fchs { self.number(Binary::Xor, number.sign, sign) } else { zero },
                    ..number
                }
            }
            Fpu::Fsqrt => self.x87_compute_number(X87Operation::SQRT, number, number),
            _ => self.x87_compute_number(X87Operation::ROUND_TO_INTEGRAL, number, number),
        };
        self.x87_set(0, result);
        true
    }

    fn x87_exchange(&mut self, register: u8) -> bool {
        if !self.x87_require(&[0, register], false) {
            return false;
        }
        let (top, other) = (self.x87_get(0), self.x87_get(register));
        self.x87_set(0, other);
        self.x87_set(register, top);
        self.x87_set_status(C1, None);
        true
    }

    fn x87_compare(&mut self, op: &Op, fpu: Fpu) -> bool {
        let quiet = matches!(fpu, Fpu::Fucom | Fpu::Fucomp | Fpu::Fucompp);
        let pops = match fpu {
            Fpu::Fcomp | Fpu::Fucomp | Fpu::Ficomp => 1,
            Fpu::Fcompp | Fpu::Fucompp => 2,
            _ => 0,
        };
        let register = if pops == 2 { 1 } else { op.dst };
        let only_top = fpu == Fpu::Ftst || op.form.has_memory();
        let used: &[u8] = if only_top { &[0] } else { &[0, register] };
        if !self.x87_require(used, false) {
            return false;
        }
        let operand = if fpu == Fpu::Ftst {
            self.x87_constant(0, 0)
        } else if op.form.has_memory() {
            self.x87_memory(op, matches!(fpu, Fpu::Ficom | Fpu::Ficomp))
        } else {
            self.x87_get(register)
        };
        let value = self.x87_get(0);
        let rest = self.x87_codes(quiet, value, operand);
        self.x87_set_status(CONDITION_CODES, Some(rest));
        for _ in 0..pops {
            self.x87_pop();
        }
        true
    }

    /// C0, C2 and C3 are where CF, PF and ZF are, eight bits up.
    fn x87_compare_to_eflags(&mut self, op: &Op, fpu: Fpu) -> bool {
        if !self.x87_require(&[0, op.src], false) {
            return false;
        }
        let (value, operand) = (self.x87_get(0), self.x87_get(op.src));
        let quiet = matches!(fpu, Fpu::Fucomi | Fpu::Fucomip);
        let rest = self.x87_codes(quiet, value, operand);
        let [to_eflags, written, codes] = [
            u64::from(STATUS_SHIFT) + 8,
            flags::CF | flags::PF | flags::ZF,
            !(u64::from(CONDITION_CODES) << STATUS_SHIFT),
        ]
        .map(|constant| self.graph.constant(constant));
        let eflags = self.number(Binary::ShrUnsigned, rest, to_eflags);
        let eflags = self.number(Binary::And, eflags, written);
        flags::set_status(self, eflags);
        let raised = self.number(Binary::And, rest, codes);
        self.x87_set_status(0, Some(raised));
        if matches!(fpu, Fpu::Fcomip | Fpu::Fucomip) {
            self.x87_pop();
        }
        true
    }

    fn x87_conditional_move(&mut self, op: &Op, fpu: Fpu) -> bool {
        // Conditions as in Jcc.
        let condition = match fpu {
            Fpu::Fcmovb => 2,
            Fpu::Fcmovnb => 3,
            Fpu::Fcmove => 4,
            Fpu::Fcmovne => 5,
            Fpu::Fcmovbe => 6,
            Fpu::Fcmovnbe => 7,
            Fpu::Fcmovu => 10,
            _ => 11,
        };
        if !self.x87_require(&[0, op.src], false) {
            return false;
        }
        let (value, other) = (self.x87_get(0), self.x87_get(op.src));
        let holds = flags::condition(self, condition);
        let significand = self.graph.select(holds, other.significand, value.significand);
        let exponent = self.graph.select(holds, other.exponent, value.exponent);
        let sign = self.graph.select(holds, other.sign, value.sign);
        let known = other.known.either(value.known);
        self.x87_set(0, Number { significand, exponent, sign, known });
        true
    }

    /// Compares: gives condition codes, and what is raised, as the helper answers.
    fn x87_codes(&mut self, quiet: bool, a: Number, b: Number) -> Value {
        if !self.units.inline_x87 {
            return self.x87_compute(comparison(quiet), a, b).1;
        }
        let [less, equal] = self.x87_relation(a, b);
        let [c0, c3] = [C0_SHIFT, C3_SHIFT].map(|shift| self.graph.constant(u64::from(STATUS_SHIFT + shift)));
        let less = self.number(Binary::Shl, less, c0);
        let equal = self.number(Binary::Shl, equal, c3);
        self.number(Binary::Or, less, equal)
    }

    /// Has the helper compute a number, and sets the status word.
    fn x87_compute_number(&mut self, operation: X87Operation, a: Number, b: Number) -> Number {
        let (significand, rest) = self.x87_compute(operation, a, b);
        self.x87_set_status(C1, Some(rest));
        self.x87_unknown(significand, rest)
    }

    /// Has the helper compute: gives its result, and its answer.
    fn x87_compute(&mut self, operation: X87Operation, a: Number, b: Number) -> (Value, Value) {
        let request = self.x87_request(operation, a, b);
        let result = self.graph.product(u64::MAX);
        let rest = self.graph.product(Width::W32.mask());
        self.push(Step::X87 { operation, operands: [a.significand, b.significand, request], result, rest });
        (result, rest)
    }

    /// A number in memory: single or double, or an integer of two, four or eight bytes.
    fn x87_memory(&mut self, op: &Op, integer: bool) -> Number {
        let bytes = u64::from(op.memory_bytes);
        let w = Width::from_bytes(bytes).unwrap_or(Width::W64);
        let access = self.operand_of(w, op);
        let bits = self.load_access(access);
        match (w, integer) {
            (_, true) => self.x87_from_integer(w, bits),
            (_, false) => {
                self.check_ordinary(w, bits);
                self.x87_from_binary(w, bits)
            }
        }
    }

    /// A normal number or zero, a single or double.
    fn x87_from_binary(&mut self, w: Width, bits: Value) -> Number {
        let (fraction_up, sign_down, exponent_bits, bias) =
            if w == Width::W32 { (40, 16, 8, 16383 - 127) } else { (11, 48, 11, 16383 - 1023) };
        let [up, down, below, bias, sign, integer_bit, zero] =
            [fraction_up, sign_down, 64 - exponent_bits, bias, X87_SIGN, 1 << 63, 0]
                .map(|constant| self.graph.constant(constant));
        let magnitude = self.magnitude(w, bits);
        let fraction = self.number(Binary::Shl, bits, up);
        let significand = self.number(Binary::Or, fraction, integer_bit);
        let exponent = self.number(Binary::ShrUnsigned, magnitude, below);
        let exponent = self.number(Binary::Add, exponent, bias);
        let sign_down = self.number(Binary::ShrUnsigned, bits, down);
        let sign = self.number(Binary::And, sign_down, sign);
        let significand = self.graph.select(magnitude, significand, zero);
        let exponent = self.graph.select(magnitude, exponent, zero);
        let lanes = if w == Width::W32 { Lanes::Ss } else { Lanes::Sd };
        let known = Known::Range(Range::normal(lanes));
        Number { significand, exponent, sign, known }
    }

    /// Exact: every integer of 64 bits fits the significand.
    fn x87_from_integer(&mut self, w: Width, bits: Value) -> Number {
        let integer = self.graph.sign_extend(w, bits);
        let [sixty_three, bias, sign, zero] =
            [63, 16383 + 63, X87_SIGN, 0].map(|constant| self.graph.constant(constant));
        let signs = self.number(Binary::ShrSigned, integer, sixty_three);
        let inverted = self.number(Binary::Xor, integer, signs);
        let magnitude = self.number(Binary::Sub, inverted, signs);
        let leading = self.graph.unary(crate::ir::Unary::LeadingZeros, magnitude);
        let significand = self.number(Binary::Shl, magnitude, leading);
        let exponent = self.number(Binary::Sub, bias, leading);
        let exponent = self.graph.select(magnitude, exponent, zero);
        let sign = self.number(Binary::And, signs, sign);
        let known = Known::Range(Range { low: 0, high: 63 });
        Number { significand, exponent, sign, known }
    }

    fn operand_of(&mut self, w: Width, op: &Op) -> crate::ir::Access {
        let start = self.graph.constant(0);
        self.operand(w, op, start)
    }
}

fn comparison(quiet: bool) -> X87Operation {
    if quiet { X87Operation::COMPARE_QUIETLY } else { X87Operation::COMPARE }
}

/// What FST, FIST and FISTTP compute for an operand of so many bytes.
fn conversion(fpu: Fpu, bytes: u8) -> X87Operation {
    match (fpu, bytes) {
        (Fpu::Fst | Fpu::Fstp, 4) => X87Operation::TO_SINGLE,
        (Fpu::Fst | Fpu::Fstp, _) => X87Operation::TO_DOUBLE,
        (Fpu::Fisttp, 2) => X87Operation::TRUNCATE_TO_I16,
        (Fpu::Fisttp, 4) => X87Operation::TRUNCATE_TO_I32,
        (Fpu::Fisttp, _) => X87Operation::TRUNCATE_TO_I64,
        (_, 2) => X87Operation::TO_I16,
        (_, 4) => X87Operation::TO_I32,
        _ => X87Operation::TO_I64,
    }
}

/// One of the basic operations, apart from its operands.
struct Arithmetic {
    operation: X87Operation,
    /// The destination is the second operand.
    reversed: bool,
    pops: bool,
    /// A memory operand is an integer.
    integer: bool,
}

impl Arithmetic {
    fn of(fpu: Fpu) -> Option<Arithmetic> {
        use Fpu::{Fadd, Faddp, Fdiv, Fdivp, Fdivr, Fdivrp, Fmul, Fmulp, Fsub, Fsubp, Fsubr, Fsubrp};
        use Fpu::{Fiadd, Fidiv, Fidivr, Fimul, Fisub, Fisubr};
        let operation = match fpu {
            Fadd | Faddp | Fiadd => X87Operation::ADD,
            Fsub | Fsubp | Fisub | Fsubr | Fsubrp | Fisubr => X87Operation::SUB,
            Fmul | Fmulp | Fimul => X87Operation::MUL,
            Fdiv | Fdivp | Fidiv | Fdivr | Fdivrp | Fidivr => X87Operation::DIV,
            _ => return None,
        };
        Some(Arithmetic {
            operation,
            reversed: matches!(fpu, Fsubr | Fsubrp | Fisubr | Fdivr | Fdivrp | Fidivr),
            pops: matches!(fpu, Faddp | Fmulp | Fsubp | Fsubrp | Fdivp | Fdivrp),
            integer: matches!(fpu, Fiadd | Fimul | Fisub | Fisubr | Fidiv | Fidivr),
        })
    }

    /// What needs no helper in the usual case.
    fn in_place(&self) -> Option<Nearest> {
        match self.operation {
            X87Operation::ADD => Some(Nearest::Sum),
            X87Operation::SUB => Some(Nearest::Difference),
            X87Operation::MUL => Some(Nearest::Product),
            _ => None,
        }
    }
}

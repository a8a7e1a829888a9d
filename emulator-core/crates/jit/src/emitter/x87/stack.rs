//! The register stack as a block knows it.
//!
//! Which physical register is ST(0) is known when the code runs. Registers here are counted from one that it was where the region was entered
//! ([`crate::depth`]), so that which of them an instruction means is known when it is compiled.

use cpu::compiled::x87::{C1, CONTROL_SHIFT, OPERATION_SHIFT, SECOND_SHIFT, STATUS_SHIFT, X87Operation};
use cpu::compiled::{ENABLED_USUAL_X87, ENABLED_X87};
use x86::{Op, SEG_NONE, Width};

use super::super::Emitter;
use super::guard::Guard;
use super::number::{Known, Number};
use crate::depth;
use crate::ir::{
    Binary, Cell, Field, Step, Value, X87_BASE, X87_DEPTH, X87_EXPONENTS, X87_LAST, X87_LOST, X87_POINTER, X87_SEGMENT,
    X87_SIGNIFICANDS, X87_SIGNS, X87_STATUS, X87_TAGS, X87_UP, last_x87,
};
use crate::layout::{X87_CONTROL, X87_TOP_MASK, X87_TOP_SHIFT};

const WORD: u64 = 0xffff;
const EMPTY: u64 = 3;
/// Where PE and C1 are in the status word.
const PRECISION_SHIFT: u64 = 5;
const C1_SHIFT: u64 = C1.trailing_zeros() as u64;

/// What a block knows of the unit beside its cells, from its first x87 instruction on.
#[derive(Clone, Copy)]
pub(in super::super) struct Stack {
    /// The tag word as it was found, and the control word.
    pub(super) found_tags: Value,
    pub(super) control: Value,
    /// Which registers are in use, as far as that is known; and a bit for each that was not or was, and now is or is not.
    in_use: [Option<bool>; 8],
    changed: u8,
    /// What is known of the numbers in the registers.
    pub(super) known: [Known; 8],
    pub(super) guard: Option<Guard>,
}

fn control_word() -> Field {
    Field { width: Width::W16, offset: X87_CONTROL, place: None }
}

impl Emitter {
    pub(in crate::emitter) fn load_field(&mut self, field: Field) -> Value {
        let value = self.graph.product(field.width.mask());
        self.push(Step::LoadField { field, value });
        value
    }

    /// What is known, now if not before.
    pub(super) fn x87_stack(&mut self) -> Stack {
        if let Some(stack) = self.stack {
            return stack;
        }
        self.require(ENABLED_X87);
        let stack = Stack {
            found_tags: self.cells[X87_TAGS],
            control: self.load_field(control_word()),
            in_use: [None; 8],
            changed: 0,
            known: [Known::Found; 8],
            guard: None,
        };
        self.stack = Some(stack);
        stack
    }

    /// Number of the register that is ST(`number`).
    fn x87_register(&self, number: u8) -> usize {
        usize::from(self.depth.wrapping_add(number) & depth::MASK)
    }

    /// The status word as instructions see it.
    pub(super) fn x87_status_word(&mut self) -> Value {
        let [depth, mask, shift, zero, precision, one, c1] =
            [u64::from(self.depth), X87_TOP_MASK, X87_TOP_SHIFT, 0, PRECISION_SHIFT, 1, C1_SHIFT]
                .map(|part| self.graph.constant(part));
        let top = self.number(Binary::Add, self.cells[X87_BASE], depth);
        let top = self.number(Binary::And, top, mask);
        let top = self.number(Binary::Shl, top, shift);
        let inexact = self.number(Binary::NotEqual, self.cells[X87_LOST], zero);
        let inexact = self.number(Binary::Shl, inexact, precision);
        let status = self.number(Binary::Or, self.cells[X87_STATUS], inexact);
        let up = self.number(Binary::And, self.cells[X87_UP], one);
        let up = self.number(Binary::Shl, up, c1);
        let status = self.number(Binary::Or, status, up);
        self.number(Binary::Or, status, top)
    }

    /// Leaves to the interpreter where a register of those `used` is empty or, with `pushes`, one in use would be pushed over. False where that is known, and
    /// nothing has been written down then.
    pub(super) fn x87_require(&mut self, used: &[u8], pushes: bool) -> bool {
        let mut stack = self.x87_stack();
        let used = used.iter().map(|&number| (self.x87_register(number), true));
        let pushed = pushes.then(|| (self.x87_register(7), false));
        let (mut mask, mut expected) = (0, 0);
        for (register, in_use) in used.chain(pushed) {
            match stack.in_use[register].replace(in_use) {
                Some(known) if known != in_use => return false,
                Some(_) => {}
                None => {
                    mask |= EMPTY << (2 * register);
                    expected |= if in_use { 0 } else { EMPTY << (2 * register) };
                }
            }
        }
        self.stack = Some(stack);
        if mask != 0 {
            self.x87_look_at_tags(mask, expected);
        }
        true
    }

    /// What is in ST(`number`).
    pub(super) fn x87_get(&mut self, number: u8) -> Number {
        let known = self.x87_stack().known;
        let register = self.x87_register(number);
        let cell = |first: Cell| self.cells[first + register];
        Number {
            significand: cell(X87_SIGNIFICANDS),
            exponent: cell(X87_EXPONENTS),
            sign: cell(X87_SIGNS),
            known: known[register],
        }
    }

    /// Writes ST(`number`), which is in use.
    pub(super) fn x87_set(&mut self, number: u8, value: Number) {
        let mut stack = self.x87_stack();
        let register = self.x87_register(number);
        self.cells[X87_SIGNIFICANDS + register] = value.significand;
        self.cells[X87_EXPONENTS + register] = value.exponent;
        self.cells[X87_SIGNS + register] = value.sign;
        stack.known[register] = value.known;
        self.stack = Some(stack);
    }

    /// Notes that all registers with this number are known to be in a range.
    pub(super) fn x87_note(&mut self, number: Number, known: Known) {
        let mut stack = self.x87_stack();
        for register in 0..8 {
            if self.cells[X87_SIGNIFICANDS + register] == number.significand
                && self.cells[X87_EXPONENTS + register] == number.exponent
            {
                stack.known[register] = known;
            }
        }
        self.stack = Some(stack);
    }

    /// Pushes a number where the register is empty.
    pub(super) fn x87_push(&mut self, value: Number) {
        self.x87_move(depth::DOWN, 7, true);
        self.x87_set(0, value);
    }

    /// Frees ST(0), which is in use.
    pub(super) fn x87_pop(&mut self) {
        self.x87_move(depth::UP, 0, false);
    }

    /// Moves the top of the stack, and marks register ST(`number`) in use or empty.
    fn x87_move(&mut self, by: u8, number: u8, in_use: bool) {
        let mut stack = self.x87_stack();
        let register = self.x87_register(number);
        stack.in_use[register] = Some(in_use);
        stack.changed ^= 1 << register;
        let bits = (0..8).filter(|n| stack.changed >> n & 1 != 0).fold(0, |all, n| all | EMPTY << (2 * n));
        let bits = self.graph.constant(bits);
        self.cells[X87_TAGS] = self.number(Binary::Xor, stack.found_tags, bits);
        self.stack = Some(stack);
        self.x87_set_depth(self.depth.wrapping_add(by) & depth::MASK);
    }

    pub(in crate::emitter) fn x87_set_depth(&mut self, depth: u8) {
        self.depth = depth;
        self.cells[X87_DEPTH] = self.graph.constant(u64::from(depth));
    }

    /// Sets PE where `lost` is not zero, and C1 to the lowest bit of `up`.
    pub(super) fn x87_set_rounded(&mut self, lost: Value, up: Value) {
        self.cells[X87_LOST] = self.number(Binary::Or, self.cells[X87_LOST], lost);
        self.cells[X87_UP] = up;
    }

    /// Clears bits of the status word, and sets those that a helper's answer says.
    pub(super) fn x87_set_status(&mut self, cleared: u16, answer: Option<Value>) {
        let [zero, kept, shift, c1] =
            [0, WORD & !u64::from(cleared), u64::from(STATUS_SHIFT), C1_SHIFT].map(|part| self.graph.constant(part));
        let mut status = self.number(Binary::And, self.cells[X87_STATUS], kept);
        let mut up = if cleared & C1 == 0 { self.cells[X87_UP] } else { zero };
        if let Some(answer) = answer {
            let raised = self.number(Binary::ShrUnsigned, answer, shift);
            let others = self.graph.constant(WORD & !u64::from(C1));
            let others = self.number(Binary::And, raised, others);
            status = self.number(Binary::Or, status, others);
            let raised = self.number(Binary::ShrUnsigned, raised, c1);
            up = self.number(Binary::Or, up, raised);
        }
        (self.cells[X87_STATUS], self.cells[X87_UP]) = (status, up);
    }

    /// Sets the control word, for which rounding or precision are `unusual` where that is 1.
    pub(super) fn x87_set_control(&mut self, control: Value, unusual: Value) {
        let mut stack = self.x87_stack();
        stack.control = control;
        self.stack = Some(stack);
        self.take_look();
        self.push(Step::StoreField { field: control_word(), value: control });
        self.push(Step::SetDisabled { bit: ENABLED_USUAL_X87, value: unusual });
        (self.required, self.required_by) = (0, None);
    }

    /// Notes where `op` and its memory operand are (Intel SDM vol. 1, 8.1.8).
    pub(super) fn x87_record(&mut self, op: &Op) {
        /// Stands for the segment of an operand whose segment is none.
        const NO_SEGMENT: u8 = 7;
        let last = last_x87(self.start + self.offset as i64, op.imm as u16);
        self.cells[X87_LAST] = self.graph.constant(last);
        if op.form.has_memory() {
            let start = self.graph.constant(0);
            self.cells[X87_POINTER] = self.offset_of(op, start);
            let segment = if op.seg == SEG_NONE { NO_SEGMENT } else { op.seg };
            self.cells[X87_SEGMENT] = self.graph.constant(u64::from(segment) + 1);
        }
    }

    /// The last word of a request to the helper.
    pub(super) fn x87_request(&mut self, operation: X87Operation, a: Number, b: Number) -> Value {
        let control = self.x87_stack().control;
        let [control_shift, second_shift, operation] =
            [u64::from(CONTROL_SHIFT), u64::from(SECOND_SHIFT), u64::from(operation.0) << OPERATION_SHIFT]
                .map(|constant| self.graph.constant(constant));
        let [a, b] = [a, b].map(|number| self.x87_sign_exponent(number));
        let control = self.number(Binary::Shl, control, control_shift);
        let fixed = self.number(Binary::Or, control, operation);
        let second = self.number(Binary::Shl, b, second_shift);
        let both = self.number(Binary::Or, second, a);
        self.number(Binary::Or, both, fixed)
    }
}

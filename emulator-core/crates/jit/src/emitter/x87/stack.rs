//! The register stack as a block knows it.
//!
//! Which physical register is ST(0) is known when the code runs. Registers here are counted from the one that it was when the block began
//! to look, so that which of them an instruction means is known when it is compiled.

use cpu::compiled::ENABLED_X87;
use cpu::compiled::x87::{C1, CONTROL_SHIFT, OPERATION_SHIFT, SECOND_SHIFT, STATUS_SHIFT, X87Operation};
use x86::{Op, SEG_NONE, Width, seg};

use super::super::Emitter;
use super::guard::Guard;
use super::number::{Known, Number};
use crate::ir::{Binary, Field, Step, Value, X87_TOP};
use crate::layout::{
    X87_CONTROL, X87_CS, X87_DP, X87_DS, X87_IP, X87_OPCODE, X87_REGISTER_BYTES, X87_SIGN_EXPONENT, X87_SIGNIFICAND,
    X87_STATUS, X87_TAGS, X87_TOP_MASK, X87_TOP_SHIFT, selector_offset,
};

const WORD: u64 = 0xffff;
const EMPTY: u64 = 3;
/// Where PE and C1 are in the status word.
const PRECISION_SHIFT: u64 = 5;
const C1_SHIFT: u64 = C1.trailing_zeros() as u64;

/// See the module.
#[derive(Clone, Copy)]
pub(in super::super) struct Stack {
    /// TOP, status and tag word as they were found.
    top: Value,
    tags: Value,
    /// The tag word with the tag of register 0 in its lowest bits.
    pub(super) counted_tags: Value,
    pub(super) control: Value,
    /// That is the control word as it was found.
    pub(super) found_control: bool,
    /// The status word without TOP, and without what is in `rounded`.
    status: Value,
    rounded: Option<Rounded>,
    /// How far TOP has moved.
    depth: u8,
    /// Which registers are in use, as far as that is known; and a bit for each that was not or was, and now is or is not.
    in_use: [Option<bool>; 8],
    changed: u8,
    /// What is known of the registers.
    pub(super) numbers: [Option<Number>; 8],
    /// Status and tag word as they are in memory.
    pub(super) stored_status: Value,
    stored_tags: Value,
    pub(super) guard: Option<Guard>,
    /// Precision and rounding have been looked at.
    pub(super) usual: bool,
    /// The selector of the code segment is in its place.
    has_selector: bool,
}

/// What is still to be put into the status word.
#[derive(Clone, Copy)]
struct Rounded {
    /// Not zero where PE is set.
    lost: Value,
    /// C1, if that is set.
    up: Option<Value>,
}

impl Stack {
    /// The register that is ST(`number`).
    fn register(&self, number: u8) -> usize {
        usize::from(self.depth.wrapping_add(number) & 7)
    }
}

fn word(offset: u64) -> Field {
    Field { width: Width::W16, offset, place: None }
}

impl Emitter {
    pub(in crate::emitter) fn load_field(&mut self, field: Field) -> Value {
        let value = self.graph.product(field.width.mask());
        self.push(Step::LoadField { field, value });
        value
    }

    /// What the field has been given before is of no use if nothing could have left in between.
    fn store_field(&mut self, field: Field, value: Value) {
        self.take_look();
        for index in (0..self.steps.len()).rev() {
            match self.steps[index] {
                Step::StoreField { field: other, .. } if other == field => {
                    self.steps.remove(index);
                    break;
                }
                Step::StoreField { .. } | Step::X87 { .. } | Step::X87Nearest { .. } => {}
                Step::LoadField { field: other, .. } if other.offset != field.offset => {}
                _ => break,
            }
        }
        self.push(Step::StoreField { field, value });
    }

    /// The registers, now if not before.
    pub(super) fn x87_stack(&mut self) -> Stack {
        if let Some(stack) = self.stack {
            return stack;
        }
        self.require(ENABLED_X87);
        let [status, tags, control] = [X87_STATUS, X87_TAGS, X87_CONTROL].map(|offset| self.load_field(word(offset)));
        let [sixteen, rest] =
            [16, WORD & !(X87_TOP_MASK << X87_TOP_SHIFT)].map(|constant| self.graph.constant(constant));
        let top = self.cells[X87_TOP];
        let twice = self.number(Binary::Shl, tags, sixteen);
        let twice = self.number(Binary::Or, twice, tags);
        let first_tag = self.number(Binary::Add, top, top);
        let counted_tags = self.number(Binary::ShrUnsigned, twice, first_tag);
        let status_alone = self.number(Binary::And, status, rest);
        let mut stack = Stack {
            top,
            tags,
            counted_tags,
            control,
            found_control: true,
            status: status_alone,
            rounded: None,
            depth: 0,
            in_use: [None; 8],
            changed: 0,
            numbers: [None; 8],
            stored_status: status,
            stored_tags: tags,
            guard: None,
            usual: false,
            has_selector: false,
        };
        stack.stored_status = self.status_word(&stack);
        self.stack = Some(stack);
        stack
    }

    /// Reads where the stack is from memory.
    pub(in crate::emitter) fn x87_find_top(&mut self) {
        let status = self.load_field(word(X87_STATUS));
        let [shift, mask] = [X87_TOP_SHIFT, X87_TOP_MASK].map(|constant| self.graph.constant(constant));
        let top = self.number(Binary::ShrUnsigned, status, shift);
        self.cells[X87_TOP] = self.number(Binary::And, top, mask);
    }

    /// Which register is ST(0).
    fn top(&mut self, stack: &Stack) -> Value {
        let [depth, mask] = [u64::from(stack.depth), X87_TOP_MASK].map(|part| self.graph.constant(part));
        let top = self.number(Binary::Add, stack.top, depth);
        self.number(Binary::And, top, mask)
    }

    fn status_word(&mut self, stack: &Stack) -> Value {
        let top = self.top(stack);
        let shift = self.graph.constant(X87_TOP_SHIFT);
        let top = self.number(Binary::Shl, top, shift);
        let status = self.status_without_top(stack);
        self.number(Binary::Or, status, top)
    }

    fn status_without_top(&mut self, stack: &Stack) -> Value {
        let Some(Rounded { lost, up }) = stack.rounded else { return stack.status };
        let [zero, precision, kept, c1] =
            [0, PRECISION_SHIFT, WORD & !u64::from(C1), C1_SHIFT].map(|constant| self.graph.constant(constant));
        let inexact = self.number(Binary::NotEqual, lost, zero);
        let inexact = self.number(Binary::Shl, inexact, precision);
        let kept = self.number(Binary::And, stack.status, kept);
        let status = self.number(Binary::Or, kept, inexact);
        match up {
            Some(up) => {
                let up = self.number(Binary::Shl, up, c1);
                self.number(Binary::Or, status, up)
            }
            None => status,
        }
    }

    fn tag_word(&mut self, stack: &Stack) -> Value {
        let tags = |bits: u8| (0..8).filter(|n| bits >> n & 1 != 0).fold(0, |all, n| all | EMPTY << (2 * n));
        if stack.changed == 0 {
            return stack.tags;
        }
        let twice = tags(stack.changed) << 16 | tags(stack.changed);
        let [twice, sixteen, word] = [twice, 16, WORD].map(|constant| self.graph.constant(constant));
        let first_tag = self.number(Binary::Add, stack.top, stack.top);
        let moved = self.number(Binary::Shl, twice, first_tag);
        let moved = self.number(Binary::ShrUnsigned, moved, sixteen);
        let changed = self.number(Binary::And, moved, word);
        self.number(Binary::Xor, stack.tags, changed)
    }

    /// Leaves to the interpreter where a register of those `used` is empty or, with `pushes`, one in use would be pushed over. False where that is known, and
    /// nothing has been written down then.
    pub(super) fn x87_require(&mut self, used: &[u8], pushes: bool) -> bool {
        let mut stack = self.x87_stack();
        let found = stack;
        let used = used.iter().map(|&number| (found.register(number), true));
        let pushed = pushes.then(|| (found.register(7), false));
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

    fn fields_of(&mut self, stack: &Stack, register: usize) -> [Field; 2] {
        let [register, seven, bytes] =
            [register as u64, 7, X87_REGISTER_BYTES].map(|constant| self.graph.constant(constant));
        let physical = self.number(Binary::Add, stack.top, register);
        let physical = self.number(Binary::And, physical, seven);
        let place = Some(self.number(Binary::Mul, physical, bytes));
        let significand = Field { width: Width::W64, offset: X87_SIGNIFICAND, place };
        [significand, Field { width: Width::W16, offset: X87_SIGN_EXPONENT, place }]
    }

    /// What is in ST(`number`).
    pub(super) fn x87_get(&mut self, number: u8) -> Number {
        let mut stack = self.x87_stack();
        let register = stack.register(number);
        if let Some(number) = stack.numbers[register] {
            return number;
        }
        let fields = self.fields_of(&stack, register);
        let [significand, sign_exponent] = fields.map(|field| self.x87_load_before_guard(field));
        let number = Number { significand, sign_exponent, known: Known::Found };
        stack = self.x87_stack();
        stack.numbers[register] = Some(number);
        self.stack = Some(stack);
        number
    }

    /// Writes ST(`number`), which is in use.
    pub(super) fn x87_set(&mut self, number: u8, value: Number) {
        let mut stack = self.x87_stack();
        let register = stack.register(number);
        let [significand, sign_exponent] = self.fields_of(&stack, register);
        self.store_field(significand, value.significand);
        self.store_field(sign_exponent, value.sign_exponent);
        stack.numbers[register] = Some(value);
        self.stack = Some(stack);
    }

    /// Pushes a number where the register is empty.
    pub(super) fn x87_push(&mut self, value: Number) {
        let mut stack = self.x87_stack();
        stack.depth = stack.depth.wrapping_sub(1) & 7;
        let register = stack.register(0);
        stack.in_use[register] = Some(true);
        stack.changed ^= 1 << register;
        self.x87_move(stack);
        self.x87_set(0, value);
    }

    /// Frees ST(0), which is in use.
    pub(super) fn x87_pop(&mut self) {
        let mut stack = self.x87_stack();
        let register = stack.register(0);
        stack.in_use[register] = Some(false);
        stack.changed ^= 1 << register;
        stack.depth = (stack.depth + 1) & 7;
        self.x87_move(stack);
    }

    /// The stack as it is behind a push or a pop.
    fn x87_move(&mut self, stack: Stack) {
        self.cells[X87_TOP] = self.top(&stack);
        self.stack = Some(stack);
    }

    /// Sets PE where `lost` is not zero, and C1 to `up`.
    pub(super) fn x87_set_rounded(&mut self, lost: Value, up: Value) {
        let mut stack = self.x87_stack();
        let lost = stack.rounded.map_or(lost, |before| self.number(Binary::Or, before.lost, lost));
        stack.rounded = Some(Rounded { lost, up: Some(up) });
        self.stack = Some(stack);
    }

    /// Clears bits of the status word, and sets those that a helper's answer says.
    pub(super) fn x87_set_status(&mut self, cleared: u16, answer: Option<Value>) {
        let mut stack = self.x87_stack();
        if let (C1, None, Some(rounded)) = (cleared, answer, &mut stack.rounded) {
            rounded.up = None;
            self.stack = Some(stack);
            return;
        }
        stack.status = self.status_without_top(&stack);
        stack.rounded = None;
        let kept = self.graph.constant(WORD & !u64::from(cleared));
        stack.status = self.number(Binary::And, stack.status, kept);
        if let Some(answer) = answer {
            let shift = self.graph.constant(u64::from(STATUS_SHIFT));
            let raised = self.number(Binary::ShrUnsigned, answer, shift);
            stack.status = self.number(Binary::Or, stack.status, raised);
        }
        self.stack = Some(stack);
    }

    pub(super) fn x87_set_control(&mut self, control: Value) {
        let mut stack = self.x87_stack();
        (stack.control, stack.found_control, stack.usual) = (control, false, false);
        self.store_field(word(X87_CONTROL), control);
        self.stack = Some(stack);
    }

    /// Stores status and tag word where they have changed.
    pub(super) fn x87_settle(&mut self) {
        let mut stack = self.x87_stack();
        let (status, tags) = (self.status_word(&stack), self.tag_word(&stack));
        if status != stack.stored_status {
            self.store_field(word(X87_STATUS), status);
        }
        if tags != stack.stored_tags {
            self.store_field(word(X87_TAGS), tags);
        }
        (stack.stored_status, stack.stored_tags) = (status, tags);
        self.stack = Some(stack);
    }

    /// Stores where `op` and its memory operand are (Intel SDM vol. 1, 8.1.8).
    pub(super) fn x87_record(&mut self, op: &Op) {
        let quadword = |offset| Field { width: Width::W64, offset, place: None };
        let address = self.code_address(self.offset);
        self.store_field(quadword(X87_IP), address);
        let opcode = self.graph.constant(u64::from(op.imm as u16));
        self.store_field(word(X87_OPCODE), opcode);
        let mut stack = self.x87_stack();
        if !core::mem::replace(&mut stack.has_selector, true) {
            let selector = self.load_field(word(selector_offset(seg::CS)));
            self.store_field(word(X87_CS), selector);
            self.stack = Some(stack);
        }
        if op.form.has_memory() {
            let start = self.graph.constant(0);
            let offset = self.offset_of(op, start);
            self.store_field(quadword(X87_DP), offset);
            let selector = match op.seg {
                SEG_NONE => self.graph.constant(0),
                segment => self.load_field(word(selector_offset(segment))),
            };
            self.store_field(word(X87_DS), selector);
        }
    }

    /// The last word of a request to the helper.
    pub(super) fn x87_request(&mut self, operation: X87Operation, a: Number, b: Number) -> Value {
        let control = self.x87_stack().control;
        let [control_shift, second_shift, operation] =
            [u64::from(CONTROL_SHIFT), u64::from(SECOND_SHIFT), u64::from(operation.0) << OPERATION_SHIFT]
                .map(|constant| self.graph.constant(constant));
        let control = self.number(Binary::Shl, control, control_shift);
        let fixed = self.number(Binary::Or, control, operation);
        let second = self.number(Binary::Shl, b.sign_exponent, second_shift);
        let both = self.number(Binary::Or, second, a.sign_exponent);
        self.number(Binary::Or, both, fixed)
    }
}

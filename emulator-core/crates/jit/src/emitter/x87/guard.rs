//! The one look at what a block finds in the unit.
//!
//! All tags that a block asks for are looked at together, where it asks for the first, and so are the numbers in registers that it computes with: then nothing can leave between instructions that are about registers alone.

use super::number::{BIAS, Known, Number};
use crate::emitter::Emitter;
use crate::emitter::range::Range;
use crate::ir::{Binary, Step, StopId, Value};

/// The step that looks.
#[derive(Clone, Copy)]
pub(super) struct Guard {
    step: usize,
    stop: StopId,
    /// Tags of `mask` have to be as `expected`.
    mask: u64,
    expected: u64,
    numbers: Option<Look>,
}

/// A look at numbers, at all of them together first: most exponents are between -512 and 511.
#[derive(Clone, Copy)]
struct Look {
    /// Bits of [`UNUSUAL`] that some exponent has.
    exponents: Value,
    /// Not zero where one of them is neither zero nor what is wanted.
    doubt: Value,
}

const USUAL: Range = Range { low: -512, high: 511 };
/// What a usual exponent is above the least of them has none of these bits, and any other has one.
const UNUSUAL: u64 = 0xffff_fc00;

impl Emitter {
    /// Has the block's guard look at these tags too.
    pub(super) fn x87_look_at_tags(&mut self, mask: u64, expected: u64) {
        let mut stack = self.x87_stack();
        let mut guard = match stack.guard {
            Some(guard) => guard,
            None => {
                let stop = self.stop_before();
                let condition = self.graph.constant(0);
                self.push(Step::Guard { condition, stop });
                let step = self.steps.len() - 1;
                Guard { step, stop, mask: 0, expected: 0, numbers: None }
            }
        };
        (guard.mask, guard.expected) = (guard.mask | mask, guard.expected | expected);
        stack.guard = Some(guard);
        self.stack = Some(stack);
        self.x87_put_guard(guard);
    }

    /// Writes down what the guard looks at by now.
    fn x87_put_guard(&mut self, guard: Guard) {
        let Guard { step, stop, mask, expected, numbers } = guard;
        let found_tags = self.x87_stack().found_tags;
        let [looked_at, as_expected] = [mask, expected].map(|bits| self.graph.constant(bits));
        let tags = self.number(Binary::And, found_tags, looked_at);
        let tags = self.number(Binary::Xor, tags, as_expected);
        let mut condition = tags;
        if let Some(Look { exponents, doubt }) = numbers {
            let bits = self.graph.constant(UNUSUAL);
            let exponents = self.number(Binary::And, exponents, bits);
            condition = self.number(Binary::Or, tags, exponents);
            self.stops[stop].doubt = Some(self.number(Binary::Or, tags, doubt));
        }
        self.steps[step] = Step::Guard { condition, stop };
    }

    /// Leaves to the interpreter unless `number` is zero or has an exponent of `wanted`, or one that is known to be otherwise: the exponents it can have then.
    pub(super) fn x87_require_number(&mut self, number: Number, wanted: Range) -> Range {
        if let Known::Range(range) = number.known {
            return range;
        }
        self.x87_require_range(number, wanted);
        wanted
    }

    /// Leaves to the interpreter unless `number` is zero or has an exponent of `wanted`.
    pub(super) fn x87_require_range(&mut self, number: Number, wanted: Range) {
        let outside = self.x87_is_outside(number, wanted);
        let is_something = self.number(Binary::Or, number.significand, number.exponent);
        let mut stack = self.x87_stack();
        match &mut stack.guard {
            Some(guard) if number.known == Known::Found && wanted.union(USUAL) == wanted => {
                guard.numbers = Some(self.x87_look(guard.numbers, number, outside, is_something));
                let guard = *guard;
                self.stack = Some(stack);
                self.x87_put_guard(guard);
            }
            _ => self.interpret_where_both(outside, is_something),
        }
        self.x87_note(number, Known::Range(wanted));
    }

    /// `look`, at `number` too: where that is `outside` of what is wanted, it has to be nothing.
    fn x87_look(&mut self, look: Option<Look>, number: Number, outside: Value, is_something: Value) -> Look {
        let [least, zero] = [(BIAS + USUAL.low) as u64, 0].map(|constant| self.graph.constant(constant));
        let exponents = self.number(Binary::Sub, number.exponent, least);
        let is_something = self.number(Binary::NotEqual, is_something, zero);
        let doubt = self.number(Binary::And, outside, is_something);
        let Some(look) = look else { return Look { exponents, doubt } };
        Look {
            exponents: self.number(Binary::Or, look.exponents, exponents),
            doubt: self.number(Binary::Or, look.doubt, doubt),
        }
    }
}

//! Looks at floating-point numbers: whether the interpreter has to see the operands of a block's arithmetic.
//!
//! Nearly all numbers have exponents near the middle of their format's range: in singles the two highest bits of the exponent differ (2^-63 to 2^65), in doubles
//! these two differ and the next is as the second (2^-255 to 2^257). Moved up by what makes the lowest of these a power of two they have its bit in common, and those of many numbers
//! are looked at together, at the latest before something happens that could not be done again. What is in doubt then, by the
//! exact conditions, is computed behind that branch.

use x86::Width;
use x86::instructions::simd::{Lanes, PackedOp};

use super::Emitter;
use crate::ir::{Again, Binary, Scalar, Step, StopId, Value, Vector};

/// Numbers looked at together, at most: they have to be kept until then.
const MOST: usize = 12;

/// What has to be looked at still, and where the guest goes back to.
#[derive(Clone, Copy)]
pub(super) struct Look {
    stop: StopId,
    numbers: usize,
    /// Bits that all vectors have, moved up, and bits that some have: of singles, of doubles, and of singles in the lowest lane.
    moved: [Option<[Value; 2]>; 3],
    /// Bits that some exponent of a double by itself has, less the least one.
    exponents: Option<Value>,
    /// Vectors with a bit set that asks for a closer look.
    others: Option<Value>,
    doubt: Doubt,
}

/// What decides, where a look finds something: not zero is for the interpreter.
#[derive(Clone, Copy, Default)]
pub(super) struct Doubt {
    pub(super) vector: Option<Value>,
    pub(super) number: Option<Value>,
}

/// What moves the usual exponents to where the bit below the sign is set, and of doubles the next one is not.
const MOVED_SINGLE: u32 = 1 << 29;
const MOVED_DOUBLE: u64 = 1 << 60;

/// The least of the usual exponents of doubles, from the top of 32 bits down, and the bits that a usual one has not, less that.
const LEAST: u64 = 768 << 21;
const UNUSUAL: u64 = 3 << 30;

impl Emitter {
    /// Leaves to the interpreter where the double with these bits is not as usual, and `doubt` is not zero.
    pub(super) fn look_at_double(&mut self, bits: Value, doubt: Doubt) {
        let mut look = self.open_look();
        let exponent = self.exponent(Width::W64, bits);
        let least = self.graph.constant(LEAST);
        let above = self.number(Binary::Sub, exponent, least);
        let above = self.graph.truncate(Width::W32, above);
        look.exponents = Some(look.exponents.map_or(above, |known| self.number(Binary::Or, known, above)));
        self.keep_look(look, doubt);
    }

    /// Leaves to the interpreter where a lane of `x` is not as usual, and `doubt` is not zero.
    pub(super) fn look_at(&mut self, lanes: Lanes, x: Value, doubt: Doubt) {
        self.look_above(lanes, 0, x, doubt);
    }

    /// The same where the usual exponents are so many higher, at both ends.
    pub(super) fn look_above(&mut self, lanes: Lanes, higher: u32, x: Value, doubt: Doubt) {
        let mut look = self.open_look();
        let kind = if lanes == Lanes::Ss { 2 } else { usize::from(!lanes.is_single()) };
        let (add, moved) = if lanes.is_single() {
            (PackedOp::Paddd, u128::from(MOVED_SINGLE - (higher << 23)) * 0x1_0000_0001_0000_0001_0000_0001)
        } else {
            (PackedOp::Paddq, u128::from(MOVED_DOUBLE - (u64::from(higher) << 52)) * 0x1_0000_0000_0000_0001)
        };
        let moved = self.graph.vector_constant(moved);
        let moved = self.packed_pair(add, x, moved);
        let known = &mut look.moved[kind];
        *known = Some(match *known {
            None => [moved; 2],
            Some([all, some]) => {
                [self.packed_pair(PackedOp::Pand, all, moved), self.packed_pair(PackedOp::Por, some, moved)]
            }
        });
        self.keep_look(look, doubt);
    }

    /// Leaves to the interpreter where a bit of `unusual` is one, and `doubt` is not zero.
    pub(super) fn look_for(&mut self, unusual: Value, doubt: Doubt) {
        let mut look = self.open_look();
        look.others = Some(self.with(PackedOp::Por, look.others, unusual));
        self.keep_look(look, doubt);
    }

    fn with(&mut self, op: PackedOp, known: Option<Value>, more: Value) -> Value {
        known.map_or(more, |known| self.packed_pair(op, known, more))
    }

    /// Takes the look that waits, unless there is room for so many numbers more in it.
    pub(super) fn make_room(&mut self, count: usize) {
        if self.look.is_some_and(|look| look.numbers + count > MOST) {
            self.take_look();
        }
    }

    fn open_look(&mut self) -> Look {
        match self.look.take() {
            Some(look) => look,
            None => {
                let stop = self.stop_before();
                Look { stop, numbers: 0, moved: [None; 3], exponents: None, others: None, doubt: Doubt::default() }
            }
        }
    }

    fn keep_look(&mut self, mut look: Look, doubt: Doubt) {
        if let Some(more) = doubt.vector {
            look.doubt.vector = Some(self.with(PackedOp::Por, look.doubt.vector, more));
        }
        if let Some(more) = doubt.number {
            look.doubt.number = Some(look.doubt.number.map_or(more, |known| self.number(Binary::Or, known, more)));
        }
        look.numbers += 1;
        self.look = Some(look);
        if look.numbers >= MOST {
            self.take_look();
        }
    }

    /// Takes the look that waits, if one does.
    pub(super) fn take_look(&mut self) {
        let Some(look) = self.look.take() else { return };
        let others = look.others.map(|vector| self.graph.scalar1(Scalar::Any, vector));
        let mut parts: Vec<Value> = others.into_iter().collect();
        for (kind, moved) in look.moved.into_iter().enumerate() {
            if let Some(moved) = moved {
                parts.push(self.is_unusual(kind, moved));
            }
        }
        if let Some(exponents) = look.exponents {
            let unusual = self.graph.constant(UNUSUAL);
            parts.push(self.number(Binary::And, exponents, unusual));
        }
        let vector = look.doubt.vector.map(|vector| self.graph.scalar1(Scalar::Any, vector));
        let doubts: Vec<Value> = vector.into_iter().chain(look.doubt.number).collect();
        let [condition, doubt] = [parts, doubts].map(|parts| {
            let all = parts.into_iter().reduce(|all, part| self.number(Binary::Or, all, part));
            all.unwrap_or_else(|| self.graph.constant(0))
        });
        self.stops[look.stop].doubt = Some(doubt);
        self.steps.push(Step::Guard { condition, stop: look.stop });
    }

    /// 1 where some lane is not as usual.
    fn is_unusual(&mut self, kind: usize, [all, some]: [Value; 2]) -> Value {
        // The bit below the sign tells.
        if kind == 2 {
            let bits = self.graph.doubleword(all);
            let [bit, none] = [1 << 30, 0].map(|constant| self.graph.constant(constant));
            let bit = self.number(Binary::And, bits, bit);
            return self.number(Binary::Equal, bit, none);
        }
        let (usual, shift, bits) = if kind == 1 {
            let next = self.packed_pair(PackedOp::Paddq, some, some);
            let differ = self.packed_pair(PackedOp::Pxor, all, next);
            (self.packed_pair(PackedOp::Pand, all, differ), PackedOp::Psllq, 64)
        } else {
            (all, PackedOp::Pslld, 32)
        };
        let moved = self.graph.vector1(Vector::Shift(shift, 1), usual);
        let signs = self.graph.scalar1(Scalar::Signs(bits), moved);
        let wanted = self.graph.constant([0xf, 3][kind]);
        let signs = self.number(Binary::And, signs, wanted);
        self.number(Binary::NotEqual, signs, wanted)
    }

    /// Adds a step; a look that waits is taken first unless everything from where it goes back to may still be done again behind this one.
    pub(super) fn push(&mut self, step: Step) {
        if let Some(look) = self.look {
            let restarts = |stop: StopId| self.stops[stop].restarts;
            let repeats = matches!(step.again(), Again::Same | Again::Reads);
            if !(repeats && restarts(look.stop) && step.all_stops().all(restarts)) {
                self.take_look();
            }
        }
        self.steps.push(step);
    }
}

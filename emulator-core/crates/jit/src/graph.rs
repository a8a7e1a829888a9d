//! The values of a block: equal ones are made once, constants are folded, and for each it is known which bits can be set.

mod compare;
mod fold;
mod vector;

use core::hash::{Hash, Hasher};

use rustc_hash::FxHasher;
use x86::Width;

use crate::ir::{
    Binary, Cell, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, Node, Scalar, Unary, Value, X87_BASE, X87_EXPONENTS,
    X87_NOT_NORMAL, X87_SIGN, X87_SIGNS, X87_STATUS, X87_STATUS_BITS, X87_TAGS,
};

/// Values beside cells that there is room for from the start: most blocks have no more.
const USUAL: usize = 64;

/// All values of a block. The first are the cells as the block found them.
pub(crate) struct Graph {
    /// How each comes about, and the bits of it that may be one.
    values: Vec<(Node, u64)>,
    /// How many are cells.
    cells: usize,
    /// Where a node is found again, by its hash, which stands there with its number; or in the next place that is free. A power of two of them, at least
    /// half of them free.
    places: Places,
}

/// See [`Graph::places`].
pub(crate) type Places = Vec<Place>;

/// A place of [`Graph::places`].
#[derive(Clone, Copy)]
pub(crate) struct Place {
    hash: u32,
    number: u32,
}

/// Cells are not looked for.
const FREE: Place = Place { hash: 0, number: 0 };

impl Place {
    fn is_free(self) -> bool {
        self.number == FREE.number
    }
}

/// The bits of a cell that may be one.
pub(crate) fn possible_in(cell: Cell) -> u64 {
    match cell {
        X87_BASE => 7,
        X87_STATUS => X87_STATUS_BITS,
        X87_TAGS => Width::W16.mask(),
        X87_EXPONENTS..X87_SIGNS => X87_NOT_NORMAL | (X87_SIGN - 1),
        X87_SIGNS.. => X87_SIGN,
        _ => u64::MAX,
    }
}

/// All ones up to the highest set bit of `bits`.
fn fill_down(bits: u64) -> u64 {
    u64::MAX.checked_shr(bits.leading_zeros()).unwrap_or(0)
}

impl Graph {
    /// One of so many cells, with what another has given back as its places.
    pub(crate) fn of(cells: usize, mut places: Places) -> Graph {
        let mut values = Vec::with_capacity(cells + USUAL);
        values.extend((0..cells).map(|cell| (Node::Input(cell), possible_in(cell))));
        places.clear();
        places.resize(2 * USUAL, FREE);
        Graph { values, cells, places }
    }

    /// No new values are made any more: gives its places back.
    pub(crate) fn take_places(&mut self) -> Places {
        core::mem::take(&mut self.places)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn node(&self, value: Value) -> Node {
        self.values[value.index()].0
    }

    /// The bits of `value` that may be one.
    pub(crate) fn possible(&self, value: Value) -> u64 {
        self.values[value.index()].1
    }

    /// The constant `value` is.
    pub(crate) fn constant_of(&self, value: Value) -> Option<u64> {
        match self.node(value) {
            Node::Const(constant) => Some(constant),
            _ => None,
        }
    }

    fn binary_of(&self, value: Value) -> Option<(Binary, Value, Value)> {
        match self.node(value) {
            Node::Binary(op, a, b) => Some((op, a, b)),
            _ => None,
        }
    }

    /// The operands of `value` where it is an `op`.
    pub(crate) fn operands_of(&self, value: Value, op: Binary) -> Option<(Value, Value)> {
        self.binary_of(value).and_then(|(found, a, b)| (found == op).then_some((a, b)))
    }

    pub(crate) fn constant(&mut self, constant: u64) -> Value {
        self.intern(Node::Const(constant))
    }

    pub(crate) fn input(&self, cell: Cell) -> Value {
        Value(cell as u32)
    }

    pub(crate) fn segment_base(&mut self, segment: u8, after: u32) -> Value {
        self.intern(Node::SegmentBase(segment, after))
    }

    pub(crate) fn segment_end(&mut self, which: usize, after: u32) -> Value {
        self.intern(Node::SegmentEnd(which, after))
    }

    /// The carry vector that the block found.
    pub(crate) fn found_carries(&mut self) -> Value {
        let inputs = [FLAG_RESULT, FLAG_CARRIES, FLAG_KIND].map(|cell| self.input(cell));
        self.intern(Node::FoundCarries(inputs))
    }

    /// A new value that a step makes, with its possible bits.
    pub(crate) fn product(&mut self, possible: u64) -> Value {
        self.push(Node::Product, possible)
    }

    /// A new vector that a step makes.
    pub(crate) fn vector_product(&mut self) -> Value {
        self.push(Node::VectorProduct, u64::MAX)
    }

    pub(crate) fn truncate(&mut self, w: Width, a: Value) -> Value {
        let mask = self.constant(w.mask());
        self.binary(Binary::And, a, mask)
    }

    pub(crate) fn sign_extend(&mut self, from: Width, a: Value) -> Value {
        if from == Width::W64 { a } else { self.unary(Unary::SignExtend(from), a) }
    }

    fn intern(&mut self, node: Node) -> Value {
        let mut hasher = FxHasher::default();
        node.hash(&mut hasher);
        let hash = hasher.finish() as u32;
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let place = self.places[at];
            if place.is_free() {
                break;
            }
            let value = Value(place.number);
            if place.hash == hash && self.values[value.index()].0 == node {
                return value;
            }
            at = (at + 1) & mask;
        }
        let possible = self.possible_of(&node);
        let value = self.push(node, possible);
        self.places[at] = Place { hash, number: value.0 };
        // Cells are not among them.
        if 2 * (self.values.len() - self.cells) > self.places.len() {
            self.make_room();
        }
        value
    }

    fn make_room(&mut self) {
        let count = 2 * self.places.len();
        let taken = core::mem::replace(&mut self.places, vec![FREE; count]);
        for place in taken.into_iter().filter(|place| !place.is_free()) {
            let mut at = place.hash as usize & (count - 1);
            while !self.places[at].is_free() {
                at = (at + 1) & (count - 1);
            }
            self.places[at] = place;
        }
    }

    fn push(&mut self, node: Node, possible: u64) -> Value {
        let value = Value(self.values.len() as u32);
        self.values.push((node, possible));
        value
    }

    fn possible_of(&self, node: &Node) -> u64 {
        match *node {
            Node::Const(constant) => constant,
            Node::Input(_) | Node::SegmentBase(..) | Node::SegmentEnd(..) | Node::Product => u64::MAX,
            Node::FoundCarry(_) => 1,
            Node::FoundCarries(_) | Node::Unary(Unary::SignExtend(_), _) => u64::MAX,
            Node::VectorConst(_) | Node::Vector(..) | Node::VectorProduct | Node::Float(..) => u64::MAX,
            Node::Scalar(scalar, _) => match scalar {
                Scalar::Quadword(_) | Scalar::ToInteger(..) => u64::MAX,
                Scalar::Bits(lanes) if !lanes.is_single() => u64::MAX,
                Scalar::Doubleword | Scalar::Bits(_) => Width::W32.mask(),
                Scalar::Signs(bits) => (1 << (128 / u32::from(bits))) - 1,
                Scalar::Holds(..) | Scalar::Any => 1,
            },
            Node::Unary(_, _) => 0x7f,
            Node::Binary(op, a, b) => self.possible_of_binary(op, a, b),
            Node::Select(_, a, b) => self.possible(a) | self.possible(b),
        }
    }

    fn possible_of_binary(&self, op: Binary, a: Value, b: Value) -> u64 {
        let (bits_a, bits_b) = (self.possible(a), self.possible(b));
        let count = self.constant_of(b).map(|count| count & 63);
        match op {
            Binary::And => bits_a & bits_b,
            Binary::Or | Binary::Xor => bits_a | bits_b,
            Binary::Add => fill_down(bits_a).checked_add(fill_down(bits_b)).map_or(u64::MAX, fill_down),
            Binary::Mul => fill_down(bits_a).checked_mul(fill_down(bits_b)).map_or(u64::MAX, fill_down),
            Binary::Shl => count.map_or(u64::MAX, |count| bits_a << count),
            Binary::ShrUnsigned => count.map_or(fill_down(bits_a), |count| bits_a >> count),
            Binary::RotateLeft32 => Width::W32.mask(),
            Binary::DivUnsigned => fill_down(bits_a),
            Binary::RemUnsigned => fill_down(bits_a) & fill_down(bits_b),
            _ if op.is_comparison() => 1,
            _ => u64::MAX,
        }
    }
}

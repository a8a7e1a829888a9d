//! Vectors: what is put together of quadwords and taken apart again is seen through.

use x86::instructions::simd::Lanes;

use super::Graph;
use crate::ir::{Float, Node, Scalar, Value, Vector};

impl Graph {
    pub(crate) fn vector_constant(&mut self, constant: u128) -> Value {
        self.intern(Node::VectorConst([constant as u64, (constant >> 64) as u64]))
    }

    pub(crate) fn vector1(&mut self, vector: Vector, a: Value) -> Value {
        self.intern(Node::Vector(vector, [a; 3]))
    }

    pub(crate) fn vector2(&mut self, vector: Vector, a: Value, b: Value) -> Value {
        self.intern(Node::Vector(vector, [a, b, b]))
    }

    pub(crate) fn vector3(&mut self, vector: Vector, operands: [Value; 3]) -> Value {
        self.intern(Node::Vector(vector, operands))
    }

    pub(crate) fn scalar1(&mut self, scalar: Scalar, a: Value) -> Value {
        self.intern(Node::Scalar(scalar, [a; 3]))
    }

    pub(crate) fn scalar2(&mut self, scalar: Scalar, a: Value, b: Value) -> Value {
        self.intern(Node::Scalar(scalar, [a, b, b]))
    }

    /// The lowest lane of a vector, a floating-point number.
    pub(crate) fn lowest(&mut self, lanes: Lanes, vector: Value) -> Value {
        match self.node(vector) {
            Node::Vector(Vector::Insert(inserted), [_, float, _]) if inserted == lanes => float,
            _ => self.float(Float::Lowest, lanes, [vector; 2]),
        }
    }

    pub(crate) fn float(&mut self, float: Float, lanes: Lanes, operands: [Value; 2]) -> Value {
        self.intern(Node::Float(float, lanes, operands))
    }

    /// `vector` with its lowest lane replaced.
    pub(crate) fn insert(&mut self, lanes: Lanes, vector: Value, float: Value) -> Value {
        let whole = match self.node(vector) {
            Node::Vector(Vector::Insert(inserted), [whole, ..]) if inserted == lanes => whole,
            _ => vector,
        };
        self.vector2(Vector::Insert(lanes), whole, float)
    }

    /// The lowest doubleword of a vector.
    pub(crate) fn doubleword(&mut self, vector: Value) -> Value {
        match self.node(vector) {
            Node::Vector(Vector::Insert(Lanes::Ss), [_, float, _]) => self.scalar1(Scalar::Bits(Lanes::Ss), float),
            _ => self.scalar1(Scalar::Doubleword, vector),
        }
    }

    /// A vector of two quadwords.
    pub(crate) fn join(&mut self, low: Value, high: Value) -> Value {
        if let (Some(low), Some(high)) = (self.constant_of(low), self.constant_of(high)) {
            return self.vector_constant(u128::from(high) << 64 | u128::from(low));
        }
        if let Node::Scalar(Scalar::Quadword(1), [whole, ..]) = self.node(high) {
            if self.node(low) == Node::Scalar(Scalar::Quadword(0), [whole; 3]) {
                return whole;
            }
            return self.vector2(Vector::Replace(0), whole, low);
        }
        if let Node::Scalar(Scalar::Quadword(0), [whole, ..]) = self.node(low) {
            return self.vector2(Vector::Replace(1), whole, high);
        }
        self.vector2(Vector::Join, low, high)
    }

    /// Quadword 0 or 1 of a vector.
    pub(crate) fn quadword(&mut self, number: u8, vector: Value) -> Value {
        match self.node(vector) {
            Node::VectorConst(quadwords) => self.constant(quadwords[usize::from(number)]),
            Node::Vector(Vector::Join, operands) => operands[usize::from(number)],
            Node::Vector(Vector::Replace(replaced), [_, new, _]) if replaced == number => new,
            Node::Vector(Vector::Replace(_), [whole, ..]) => self.quadword(number, whole),
            Node::Vector(Vector::Insert(_), [whole, ..]) if number == 1 => self.quadword(1, whole),
            Node::Vector(Vector::Insert(Lanes::Sd), [_, float, _]) => self.scalar1(Scalar::Bits(Lanes::Sd), float),
            _ => self.scalar1(Scalar::Quadword(number), vector),
        }
    }

    /// The count of a shift, where it is known.
    pub(crate) fn shift_count(&self, vector: Value) -> Option<u64> {
        match self.node(vector) {
            Node::VectorConst([low, _]) => Some(low),
            _ => None,
        }
    }
}

//! Vectors: what is put together of quadwords and taken apart again is seen through.

use super::Graph;
use crate::ir::{Node, Scalar, Value, Vector};

impl Graph {
    pub(crate) fn vector_constant(&mut self, constant: u128) -> Value {
        self.intern(Node::VectorConst(constant))
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
            Node::VectorConst(constant) => self.constant((constant >> (64 * number)) as u64),
            Node::Vector(Vector::Join, operands) => operands[usize::from(number)],
            Node::Vector(Vector::Replace(replaced), [_, new, _]) if replaced == number => new,
            Node::Vector(Vector::Replace(_), [whole, ..]) => self.quadword(number, whole),
            _ => self.scalar1(Scalar::Quadword(number), vector),
        }
    }

    /// The count of a shift, where it is known.
    pub(crate) fn shift_count(&self, vector: Value) -> Option<u64> {
        match self.node(vector) {
            Node::VectorConst(constant) => Some(constant as u64),
            _ => None,
        }
    }
}

//! Instructions that only move bytes, as places of bytes: 0 to 15 of a first vector, 16 to 31 of a second.

use x86::instructions::simd::{PackedImmOp, PackedOp};

use crate::ir::Value;

/// The vectors a shuffle takes bytes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operands {
    /// The instruction's first and second.
    Both,
    /// The second, then zeros.
    SecondAndZero,
    /// The second alone.
    Second,
}

impl Operands {
    pub(super) fn choose(self, a: Value, b: Value, zero: Value) -> [Value; 2] {
        match self {
            Operands::Both => [a, b],
            Operands::SecondAndZero => [b, zero],
            Operands::Second => [b, b],
        }
    }
}

/// Places of the elements, `bytes` wide, that `element` names.
fn elements(bytes: u8, element: impl Fn(u8) -> u8) -> [u8; 16] {
    core::array::from_fn(|at| {
        let at = at as u8;
        element(at / bytes) * bytes + at % bytes
    })
}

/// The shuffle that `op` is, where it is one.
pub(super) fn interleaved(op: PackedOp) -> Option<[u8; 16]> {
    use PackedOp as P;
    // Elements of the second vector are counted behind those of the first.
    let unpack = |bytes: u8, upper: bool| {
        let count = 16 / bytes;
        let from = if upper { count / 2 } else { 0 };
        elements(bytes, |n| from + n / 2 + if n % 2 == 0 { 0 } else { count })
    };
    Some(match op {
        P::Punpcklbw => unpack(1, false),
        P::Punpcklwd => unpack(2, false),
        P::Punpckldq => unpack(4, false),
        P::Punpcklqdq => unpack(8, false),
        P::Punpckhbw => unpack(1, true),
        P::Punpckhwd => unpack(2, true),
        P::Punpckhdq => unpack(4, true),
        P::Punpckhqdq => unpack(8, true),
        P::Movddup => elements(8, |_| 2),
        P::Movsldup => elements(4, |n| 4 + n / 2 * 2),
        P::Movshdup => elements(4, |n| 4 + n / 2 * 2 + 1),
        P::Movhlps => elements(8, |n| if n == 0 { 3 } else { 1 }),
        _ => return None,
    })
}

/// Bits of the lanes that a shift shifts.
pub(super) fn shifted_lanes(op: PackedOp) -> Option<u64> {
    use PackedOp as P;
    match op {
        P::Psllw | P::Psrlw | P::Psraw => Some(16),
        P::Pslld | P::Psrld | P::Psrad => Some(32),
        P::Psllq | P::Psrlq => Some(64),
        _ => None,
    }
}

/// The shuffle that `op` with an immediate is, where it is one.
pub(super) fn by_immediate(op: PackedImmOp, imm: u8) -> Option<([u8; 16], Operands)> {
    let two_bits = |n: u8| imm >> (2 * n) & 3;
    let bit = |n: u8| imm >> n & 1;
    Some(match op {
        PackedImmOp::Pshufd => (elements(4, two_bits), Operands::Second),
        PackedImmOp::Pshuflw => (elements(2, |n| if n < 4 { two_bits(n) } else { n }), Operands::Second),
        PackedImmOp::Pshufhw => (elements(2, |n| if n < 4 { n } else { 4 + two_bits(n - 4) }), Operands::Second),
        PackedImmOp::Shufps => (elements(4, |n| two_bits(n) + if n < 2 { 0 } else { 4 }), Operands::Both),
        PackedImmOp::Shufpd => (elements(8, |n| bit(n) + 2 * n), Operands::Both),
        PackedImmOp::Blendps => (elements(4, |n| n + 4 * bit(n)), Operands::Both),
        PackedImmOp::Blendpd => (elements(8, |n| n + 2 * bit(n)), Operands::Both),
        PackedImmOp::Pblendw => (elements(2, |n| n + 8 * bit(n)), Operands::Both),
        PackedImmOp::Pslldq => (left_by(imm.min(16)), Operands::SecondAndZero),
        PackedImmOp::Psrldq => (right_by(imm.min(16)), Operands::SecondAndZero),
        _ => return None,
    })
}

/// Bytes of the first vector moved up, zeros of the second behind them.
fn left_by(bytes: u8) -> [u8; 16] {
    core::array::from_fn(|at| if at as u8 >= bytes { at as u8 - bytes } else { 16 })
}

/// Bytes of the first vector moved down, zeros of the second before them.
fn right_by(bytes: u8) -> [u8; 16] {
    core::array::from_fn(|at| (at as u8 + bytes).min(16))
}

//! The string comparison of SSE4.2 (Intel SDM vol. 2, 4.1).

use super::{Bytes, bytes, from_bytes, from_words, signed_bytes, signed_words, words};
use crate::flags::{CF, OF, SF, ZF};
use crate::instructions::simd::StringOp;

/// One string: its elements, sign- or zero-extended, and how many of them are valid.
struct Text {
    elements: [i32; 16],
    length: usize,
}

impl Text {
    /// `length` is `None` where the string ends at its first zero element.
    fn new(value: &Bytes, length: Option<u64>, imm: u8) -> Text {
        let mut elements = [0; 16];
        let widened: [i32; 16] = match imm & 3 {
            0 => bytes(value).map(i32::from),
            2 => signed_bytes(value).map(i32::from),
            1 => pad(words(value).map(i32::from)),
            _ => pad(signed_words(value).map(i32::from)),
        };
        let count = elements_in(imm);
        elements[..count].copy_from_slice(&widened[..count]);
        let length = match length {
            Some(given) => (given as i64).unsigned_abs().min(count as u64) as usize,
            None => elements[..count].iter().position(|&element| element == 0).unwrap_or(count),
        };
        Text { elements, length }
    }

    fn valid(&self, n: usize) -> bool {
        n < self.length
    }
}

fn pad(lanes: [i32; 8]) -> [i32; 16] {
    let mut padded = [0; 16];
    padded[..8].copy_from_slice(&lanes);
    padded
}

/// Elements in a register: words with bit 0 of the immediate, else bytes.
fn elements_in(imm: u8) -> usize {
    if imm & 1 == 0 { 16 } else { 8 }
}

/// Compares and reduces to one bit an element of `b` (table 4-1 and 4-3).
fn intermediate(a: &Text, b: &Text, imm: u8) -> u32 {
    let count = elements_in(imm);
    let matches = |j: usize| match imm >> 2 & 3 {
        0 => b.valid(j) && (0..a.length).any(|i| a.elements[i] == b.elements[j]),
        1 => b.valid(j) && in_ranges(a, b.elements[j]),
        2 if a.valid(j) && b.valid(j) => a.elements[j] == b.elements[j],
        2 => a.valid(j) == b.valid(j),
        _ => contains_at(a, b, j, count),
    };
    (0..count).filter(|&j| matches(j)).fold(0, |bits, j| bits | 1 << j)
}

/// `a` holds pairs of bounds; a pair whose second half is missing matches nothing.
fn in_ranges(a: &Text, element: i32) -> bool {
    a.elements[..a.length].chunks_exact(2).any(|pair| pair[0] <= element && element <= pair[1])
}

/// Whether `a` is found in `b` from element `at` on, as far as the register shows.
fn contains_at(a: &Text, b: &Text, at: usize, count: usize) -> bool {
    (0..count - at).all(|i| !a.valid(i) || (b.valid(at + i) && a.elements[i] == b.elements[at + i]))
}

fn apply_polarity(bits: u32, b: &Text, imm: u8) -> u32 {
    let all = (1 << elements_in(imm)) - 1;
    let valid = ((1u32 << b.length) - 1) & all;
    match imm >> 4 & 3 {
        1 => !bits & all,
        3 => bits ^ valid,
        _ => bits,
    }
}

/// Compares `a` with `b`, each with its length register. Returns the index (in the low half) or mask, and the status flags.
#[must_use]
pub fn string_compare(op: StringOp, a: (u128, u64), b: (u128, u64), imm: u8) -> (u128, u64) {
    let explicit = matches!(op, StringOp::Pcmpestri | StringOp::Pcmpestrm);
    let text = |(value, length): (u128, u64)| Text::new(&value.to_le_bytes(), explicit.then_some(length), imm);
    let (a, b) = (text(a), text(b));
    let bits = apply_polarity(intermediate(&a, &b, imm), &b, imm);
    let count = elements_in(imm);
    let flag = |holds: bool, flag: u64| if holds { flag } else { 0 };
    let flags = flag(bits != 0, CF) | flag(b.length < count, ZF) | flag(a.length < count, SF) | flag(bits & 1 != 0, OF);
    let result = match op {
        StringOp::Pcmpestri | StringOp::Pcmpistri => u128::from(index(bits, count, imm)),
        StringOp::Pcmpestrm | StringOp::Pcmpistrm => mask(bits, imm),
    };
    (result, flags)
}

/// The lowest or, with bit 6 of the immediate, the highest set bit; the number of elements where there is none.
fn index(bits: u32, count: usize, imm: u8) -> u32 {
    if bits == 0 {
        return count as u32;
    }
    if imm & 0x40 == 0 { bits.trailing_zeros() } else { bits.ilog2() }
}

/// The bits as they are or, with bit 6 of the immediate, each spread over its element.
fn mask(bits: u32, imm: u8) -> u128 {
    if imm & 0x40 == 0 {
        return u128::from(bits);
    }
    u128::from_le_bytes(if imm & 1 == 0 {
        from_bytes(core::array::from_fn(|n| if bits >> n & 1 != 0 { u8::MAX } else { 0 }))
    } else {
        from_words(core::array::from_fn(|n| if bits >> n & 1 != 0 { u16::MAX } else { 0 }))
    })
}

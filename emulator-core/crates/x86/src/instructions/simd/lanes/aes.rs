//! The rounds of AES (FIPS 197; Intel SDM vol. 1, 12.13). The state is sixteen bytes in columns of four.

use std::sync::LazyLock;

use super::{Bytes, PackedOp, dwords, from_dwords};

/// The substitution box and its inverse (FIPS 197, 5.1.1 and 5.3.2), computed.
struct Boxes {
    forward: [u8; 256],
    inverse: [u8; 256],
}

static BOXES: LazyLock<Boxes> = LazyLock::new(|| {
    let mut boxes = Boxes { forward: [0; 256], inverse: [0; 256] };
    // Three generates all elements but zero; its inverse keeps pace with it.
    let (mut element, mut inverse) = (1u8, 1u8);
    loop {
        let spread = inverse ^ inverse.rotate_left(1) ^ inverse.rotate_left(2) ^ inverse.rotate_left(3);
        boxes.forward[usize::from(element)] = spread ^ inverse.rotate_left(4) ^ 0x63;
        element = times(element, 3);
        inverse = times(inverse, 0xf6);
        if element == 1 {
            break;
        }
    }
    boxes.forward[0] = 0x63;
    for (from, &to) in (0..=255).zip(&boxes.forward) {
        boxes.inverse[usize::from(to)] = from;
    }
    boxes
});

/// Multiplication in the field of AES (FIPS 197, 4.2).
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        b >>= 1;
    }
    product
}

/// Multiplies each column by the polynomial with these coefficients, lowest first.
fn mix_columns(state: &Bytes, coefficients: [u8; 4]) -> Bytes {
    core::array::from_fn(|at| {
        let (column, row) = (at & !3, at & 3);
        (0..4).fold(0, |sum, k| sum ^ times(state[column + k], coefficients[(row + 4 - k) & 3]))
    })
}

fn mixed(state: &Bytes) -> Bytes {
    mix_columns(state, [2, 1, 1, 3])
}

fn unmixed(state: &Bytes) -> Bytes {
    mix_columns(state, [14, 9, 13, 11])
}

/// ShiftRows and SubBytes.
fn substituted(state: &Bytes) -> Bytes {
    core::array::from_fn(|at| BOXES.forward[usize::from(state[(at + 4 * (at & 3)) & 15])])
}

/// InvShiftRows and InvSubBytes.
fn unsubstituted(state: &Bytes) -> Bytes {
    core::array::from_fn(|at| BOXES.inverse[usize::from(state[(at + 16 - 4 * (at & 3)) & 15])])
}

fn with_key(state: &Bytes, key: &Bytes) -> Bytes {
    core::array::from_fn(|at| state[at] ^ key[at])
}

/// A round of the first operand with the second as its key; `AESIMC` has the second operand alone.
pub(super) fn round(op: PackedOp, state: &Bytes, key: &Bytes) -> Bytes {
    match op {
        PackedOp::Aesenc => with_key(&mixed(&substituted(state)), key),
        PackedOp::Aesenclast => with_key(&substituted(state), key),
        PackedOp::Aesdec => with_key(&unmixed(&unsubstituted(state)), key),
        PackedOp::Aesdeclast => with_key(&unsubstituted(state), key),
        PackedOp::Aesimc => unmixed(key),
        _ => unreachable!("{op:?} is no round of AES"),
    }
}

/// `AESKEYGENASSIST`.
pub(super) fn key_assist(key: &Bytes, round_constant: u8) -> Bytes {
    let words = dwords(key);
    let substitute = |word: u32| u32::from_le_bytes(word.to_le_bytes().map(|byte| BOXES.forward[usize::from(byte)]));
    let (low, high) = (substitute(words[1]), substitute(words[3]));
    let rotated = |word: u32| word.rotate_right(8) ^ u32::from(round_constant);
    from_dwords([low, rotated(low), high, rotated(high)])
}

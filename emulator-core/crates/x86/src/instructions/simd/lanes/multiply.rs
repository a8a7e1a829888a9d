//! Products, sums of products and sums of differences.

use super::*;

/// Even dwords, the ones `PMULUDQ` and `PMULDQ` take.
fn even(value: &Bytes) -> [u32; 2] {
    qwords(value).map(|lane| lane as u32)
}

#[inline(always)]
pub(super) fn multiply(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    use PackedOp as P;
    match op {
        P::Pmullw => each!(words, from_words, a, b, u16::wrapping_mul),
        P::Pmulld => each!(dwords, from_dwords, a, b, u32::wrapping_mul),
        P::Pmulhw => {
            each!(signed_words, from_signed_words, a, b, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16)
        }
        P::Pmulhuw => each!(words, from_words, a, b, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16),
        // Rounded: the product's bits 30:15 and the one below (SDM vol. 2, PMULHRSW).
        P::Pmulhrsw => each!(signed_words, from_signed_words, a, b, |a, b| {
            ((((i32::from(a) * i32::from(b)) >> 14) + 1) >> 1) as i16
        }),
        P::Pmuludq => {
            let (a, b) = (even(a), even(b));
            from_qwords(core::array::from_fn(|n| u64::from(a[n]) * u64::from(b[n])))
        }
        P::Pmuldq => {
            let (a, b) = (even(a), even(b));
            from_signed_qwords(core::array::from_fn(|n| i64::from(a[n] as i32) * i64::from(b[n] as i32)))
        }
        _ => unreachable!("{op:?} is no multiplication"),
    }
}

#[inline(always)]
pub(super) fn sum(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    match op {
        PackedOp::Pmaddwd => {
            let (a, b) = (signed_words(a), signed_words(b));
            let product = |n: usize| i32::from(a[n]) * i32::from(b[n]);
            from_signed_dwords(core::array::from_fn(|n| product(2 * n).wrapping_add(product(2 * n + 1))))
        }
        // Unsigned bytes of the first operand by signed ones of the second.
        PackedOp::Pmaddubsw => {
            let (a, b) = (bytes(a), signed_bytes(b));
            let product = |n: usize| i32::from(a[n]) * i32::from(b[n]);
            let saturate = |sum: i32| sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
            from_signed_words(core::array::from_fn(|n| saturate(product(2 * n) + product(2 * n + 1))))
        }
        PackedOp::Psadbw => {
            let (a, b) = (bytes(a), bytes(b));
            let half = |n: usize| (8 * n..8 * n + 8).map(|i| u64::from(a[i].abs_diff(b[i]))).sum();
            from_qwords([half(0), half(1)])
        }
        PackedOp::Phminposuw => {
            let lanes = words(b);
            let (place, least) = lanes.iter().enumerate().min_by_key(|(_, lane)| **lane).unwrap_or((0, &0));
            from_qwords([u64::from(*least) | (place as u64) << 16, 0])
        }
        _ => unreachable!("{op:?} is no sum"),
    }
}

/// `MPSADBW`: sums of differences of four bytes of `b` with the eight runs of four that start one byte apart in `a`.
pub(super) fn sliding_differences(a: &Bytes, b: &Bytes, imm: u8) -> Bytes {
    let (a, b) = (bytes(a), bytes(b));
    let (first, block) = (usize::from(imm >> 2 & 1) * 4, usize::from(imm & 3) * 4);
    from_words(core::array::from_fn(|n| (0..4).map(|i| u16::from(a[first + n + i].abs_diff(b[block + i]))).sum()))
}

//! Shifts of lanes by one count for all, and of whole registers by bytes.

use super::*;

/// Counts of the lane's width or more shift everything out (arithmetic shifts: leave the sign).
#[inline(always)]
pub(super) fn shift(op: PackedOp, a: &Bytes, count: u64) -> Bytes {
    use PackedOp as P;
    let n = count.min(64) as u32;
    match op {
        P::Psllw => from_words(words(a).map(|lane| lane.checked_shl(n).unwrap_or(0))),
        P::Pslld => from_dwords(dwords(a).map(|lane| lane.checked_shl(n).unwrap_or(0))),
        P::Psllq => from_qwords(qwords(a).map(|lane| lane.checked_shl(n).unwrap_or(0))),
        P::Psrlw => from_words(words(a).map(|lane| lane.checked_shr(n).unwrap_or(0))),
        P::Psrld => from_dwords(dwords(a).map(|lane| lane.checked_shr(n).unwrap_or(0))),
        P::Psrlq => from_qwords(qwords(a).map(|lane| lane.checked_shr(n).unwrap_or(0))),
        P::Psraw => from_signed_words(signed_words(a).map(|lane| lane >> n.min(15))),
        P::Psrad => from_signed_dwords(signed_dwords(a).map(|lane| lane >> n.min(31))),
        _ => unreachable!("{op:?} is no shift"),
    }
}

/// Shifts of each lane by a count of its own.
#[inline(always)]
pub(super) fn each_by(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    use PackedOp as P;
    match op {
        P::Vpsllvd => each!(dwords, from_dwords, a, b, |a: u32, n| a.checked_shl(n).unwrap_or(0)),
        P::Vpsrlvd => each!(dwords, from_dwords, a, b, |a: u32, n| a.checked_shr(n).unwrap_or(0)),
        P::Vpsravd => each!(signed_dwords, from_signed_dwords, a, b, |a: i32, n: i32| a >> (n as u32).min(31)),
        P::Vpsllvq => each!(qwords, from_qwords, a, b, |a: u64, n: u64| if n < 64 { a << n } else { 0 }),
        P::Vpsrlvq => each!(qwords, from_qwords, a, b, |a: u64, n: u64| if n < 64 { a >> n } else { 0 }),
        _ => unreachable!("{op:?} is no shift"),
    }
}

/// `PSLLDQ`, `PSRLDQ`, and `PALIGNR`, which shifts `a:b`.
#[inline(always)]
pub(super) fn bytes(op: PackedImmOp, a: u128, b: u128, imm: u8) -> u128 {
    let bits = u32::from(imm) * 8;
    let right = |value: u128, bits: u32| value.checked_shr(bits).unwrap_or(0);
    let left = |value: u128, bits: u32| value.checked_shl(bits).unwrap_or(0);
    match op {
        PackedImmOp::Pslldq => left(b, bits),
        PackedImmOp::Psrldq => right(b, bits),
        _ if bits <= 128 => right(b, bits) | left(a, 128 - bits),
        _ => right(a, bits - 128),
    }
}

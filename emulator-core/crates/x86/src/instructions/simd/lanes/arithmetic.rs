//! Addition, subtraction, comparison, minimum and maximum, sign, lane by lane and between neighbours.

use super::*;

macro_rules! neighbours {
    ($load:ident, $store:ident, $a:expr, $b:expr, $f:expr) => {{
        let (a, b) = ($load($a), $load($b));
        let half = a.len() / 2;
        $store(core::array::from_fn(|n| {
            let (from, pair) = if n < half { (&a, n) } else { (&b, n - half) };
            ($f)(from[2 * pair], from[2 * pair + 1])
        }))
    }};
}

/// Lanes are wrapping or saturating, signed or unsigned, as the mnemonic says (Intel SDM vol. 1, 9.3.2).
#[inline(always)]
pub(super) fn arithmetic(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    use PackedOp as P;
    match op {
        P::Paddb => each!(bytes, from_bytes, a, b, u8::wrapping_add),
        P::Paddw => each!(words, from_words, a, b, u16::wrapping_add),
        P::Paddd => each!(dwords, from_dwords, a, b, u32::wrapping_add),
        P::Paddq => each!(qwords, from_qwords, a, b, u64::wrapping_add),
        P::Paddsb => each!(signed_bytes, from_signed_bytes, a, b, i8::saturating_add),
        P::Paddusb => each!(bytes, from_bytes, a, b, u8::saturating_add),
        P::Paddsw => each!(signed_words, from_signed_words, a, b, i16::saturating_add),
        P::Paddusw => each!(words, from_words, a, b, u16::saturating_add),
        P::Psubb => each!(bytes, from_bytes, a, b, u8::wrapping_sub),
        P::Psubw => each!(words, from_words, a, b, u16::wrapping_sub),
        P::Psubd => each!(dwords, from_dwords, a, b, u32::wrapping_sub),
        P::Psubq => each!(qwords, from_qwords, a, b, u64::wrapping_sub),
        P::Psubsb => each!(signed_bytes, from_signed_bytes, a, b, i8::saturating_sub),
        P::Psubusb => each!(bytes, from_bytes, a, b, u8::saturating_sub),
        P::Psubsw => each!(signed_words, from_signed_words, a, b, i16::saturating_sub),
        P::Psubusw => each!(words, from_words, a, b, u16::saturating_sub),
        P::Pavgb => each!(bytes, from_bytes, a, b, |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8),
        P::Pavgw => each!(words, from_words, a, b, |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16),
        P::Pminub => each!(bytes, from_bytes, a, b, u8::min),
        P::Pminsb => each!(signed_bytes, from_signed_bytes, a, b, i8::min),
        P::Pminuw => each!(words, from_words, a, b, u16::min),
        P::Pminsw => each!(signed_words, from_signed_words, a, b, i16::min),
        P::Pminud => each!(dwords, from_dwords, a, b, u32::min),
        P::Pminsd => each!(signed_dwords, from_signed_dwords, a, b, i32::min),
        P::Pmaxub => each!(bytes, from_bytes, a, b, u8::max),
        P::Pmaxsb => each!(signed_bytes, from_signed_bytes, a, b, i8::max),
        P::Pmaxuw => each!(words, from_words, a, b, u16::max),
        P::Pmaxsw => each!(signed_words, from_signed_words, a, b, i16::max),
        P::Pmaxud => each!(dwords, from_dwords, a, b, u32::max),
        P::Pmaxsd => each!(signed_dwords, from_signed_dwords, a, b, i32::max),
        P::Pcmpeqb => each!(signed_bytes, from_signed_bytes, a, b, |a, b| -i8::from(a == b)),
        P::Pcmpgtb => each!(signed_bytes, from_signed_bytes, a, b, |a, b| -i8::from(a > b)),
        P::Pcmpeqw => each!(signed_words, from_signed_words, a, b, |a, b| -i16::from(a == b)),
        P::Pcmpgtw => each!(signed_words, from_signed_words, a, b, |a, b| -i16::from(a > b)),
        P::Pcmpeqd => each!(signed_dwords, from_signed_dwords, a, b, |a, b| -i32::from(a == b)),
        P::Pcmpgtd => each!(signed_dwords, from_signed_dwords, a, b, |a, b| -i32::from(a > b)),
        P::Pcmpeqq => each!(signed_qwords, from_signed_qwords, a, b, |a, b| -i64::from(a == b)),
        P::Pcmpgtq => each!(signed_qwords, from_signed_qwords, a, b, |a, b| -i64::from(a > b)),
        P::Pabsb => from_signed_bytes(signed_bytes(b).map(i8::wrapping_abs)),
        P::Psignb => each!(signed_bytes, from_signed_bytes, a, b, |a: i8, b: i8| a.wrapping_mul(b.signum())),
        P::Pabsw => from_signed_words(signed_words(b).map(i16::wrapping_abs)),
        P::Psignw => each!(signed_words, from_signed_words, a, b, |a: i16, b: i16| a.wrapping_mul(b.signum())),
        P::Pabsd => from_signed_dwords(signed_dwords(b).map(i32::wrapping_abs)),
        P::Psignd => each!(signed_dwords, from_signed_dwords, a, b, |a: i32, b: i32| a.wrapping_mul(b.signum())),
        P::Phaddw => neighbours!(words, from_words, a, b, u16::wrapping_add),
        P::Phaddd => neighbours!(dwords, from_dwords, a, b, u32::wrapping_add),
        P::Phaddsw => neighbours!(signed_words, from_signed_words, a, b, i16::saturating_add),
        P::Phsubw => neighbours!(words, from_words, a, b, u16::wrapping_sub),
        P::Phsubd => neighbours!(dwords, from_dwords, a, b, u32::wrapping_sub),
        P::Phsubsw => neighbours!(signed_words, from_signed_words, a, b, i16::saturating_sub),
        _ => unreachable!("{op:?} is no arithmetic"),
    }
}

//! Narrowing with saturation, interleaving, widening.

use super::*;

#[inline(always)]
pub(super) fn pack(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    let word = |n: usize| {
        if n < 8 { signed_words(a)[n] } else { signed_words(b)[n - 8] }
    };
    let dword = |n: usize| {
        if n < 4 { signed_dwords(a)[n] } else { signed_dwords(b)[n - 4] }
    };
    match op {
        PackedOp::Packsswb => from_signed_bytes(core::array::from_fn(|n| word(n).clamp(-0x80, 0x7f) as i8)),
        PackedOp::Packuswb => from_bytes(core::array::from_fn(|n| word(n).clamp(0, 0xff) as u8)),
        PackedOp::Packssdw => from_signed_words(core::array::from_fn(|n| dword(n).clamp(-0x8000, 0x7fff) as i16)),
        PackedOp::Packusdw => from_words(core::array::from_fn(|n| dword(n).clamp(0, 0xffff) as u16)),
        _ => unreachable!("{op:?} does not pack"),
    }
}

macro_rules! interleave {
    ($load:ident, $store:ident, $a:expr, $b:expr, $from:expr) => {{
        let (a, b) = ($load($a), $load($b));
        $store(core::array::from_fn(|n| if n % 2 == 0 { a[$from + n / 2] } else { b[$from + n / 2] }))
    }};
}

#[inline(always)]
pub(super) fn unpack(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    match op {
        PackedOp::Punpcklbw => interleave!(bytes, from_bytes, a, b, 0),
        PackedOp::Punpckhbw => interleave!(bytes, from_bytes, a, b, 8),
        PackedOp::Punpcklwd => interleave!(words, from_words, a, b, 0),
        PackedOp::Punpckhwd => interleave!(words, from_words, a, b, 4),
        PackedOp::Punpckldq => interleave!(dwords, from_dwords, a, b, 0),
        PackedOp::Punpckhdq => interleave!(dwords, from_dwords, a, b, 2),
        PackedOp::Punpcklqdq => interleave!(qwords, from_qwords, a, b, 0),
        PackedOp::Punpckhqdq => interleave!(qwords, from_qwords, a, b, 1),
        _ => unreachable!("{op:?} does not interleave"),
    }
}

#[inline(always)]
pub(super) fn widen(op: PackedOp, value: &Bytes) -> Bytes {
    use PackedOp as P;
    match op {
        P::Pmovsxbw => from_signed_words(core::array::from_fn(|n| signed_bytes(value)[n].into())),
        P::Pmovsxbd => from_signed_dwords(core::array::from_fn(|n| signed_bytes(value)[n].into())),
        P::Pmovsxbq => from_signed_qwords(core::array::from_fn(|n| signed_bytes(value)[n].into())),
        P::Pmovsxwd => from_signed_dwords(core::array::from_fn(|n| signed_words(value)[n].into())),
        P::Pmovsxwq => from_signed_qwords(core::array::from_fn(|n| signed_words(value)[n].into())),
        P::Pmovsxdq => from_signed_qwords(core::array::from_fn(|n| signed_dwords(value)[n].into())),
        P::Pmovzxbw => from_words(core::array::from_fn(|n| bytes(value)[n].into())),
        P::Pmovzxbd => from_dwords(core::array::from_fn(|n| bytes(value)[n].into())),
        P::Pmovzxbq => from_qwords(core::array::from_fn(|n| bytes(value)[n].into())),
        P::Pmovzxwd => from_dwords(core::array::from_fn(|n| words(value)[n].into())),
        P::Pmovzxwq => from_qwords(core::array::from_fn(|n| words(value)[n].into())),
        P::Pmovzxdq => from_qwords(core::array::from_fn(|n| dwords(value)[n].into())),
        _ => unreachable!("{op:?} does not widen"),
    }
}

//! What each lane operation computes: pure functions of 128-bit values.
//!
//! Lanes are arrays and operations plain loops over them, so that the compiler can turn them into vector instructions.

mod arithmetic;
mod multiply;
mod pack;
mod shift;
mod shuffle;
mod string;

pub use string::string_compare;

use super::{BlendOp, PackedImmOp, PackedOp};

macro_rules! lane_type {
    ($load:ident, $store:ident, $lane:ty, $count:literal) => {
        #[doc = concat!("The value as ", stringify!($count), " lanes, lowest first.")]
        #[inline(always)]
        fn $load(value: u128) -> [$lane; $count] {
            let bytes = value.to_le_bytes();
            core::array::from_fn(|n| {
                const BYTES: usize = size_of::<$lane>();
                let mut lane = [0; BYTES];
                lane.copy_from_slice(&bytes[n * BYTES..(n + 1) * BYTES]);
                <$lane>::from_le_bytes(lane)
            })
        }

        #[doc = concat!("The value made of ", stringify!($count), " lanes, lowest first.")]
        #[inline(always)]
        fn $store(lanes: [$lane; $count]) -> u128 {
            let mut bytes = [0; 16];
            for (place, lane) in bytes.chunks_exact_mut(size_of::<$lane>()).zip(lanes) {
                place.copy_from_slice(&lane.to_le_bytes());
            }
            u128::from_le_bytes(bytes)
        }
    };
}

lane_type!(bytes, from_bytes, u8, 16);
lane_type!(words, from_words, u16, 8);
lane_type!(dwords, from_dwords, u32, 4);
lane_type!(qwords, from_qwords, u64, 2);
lane_type!(signed_bytes, from_signed_bytes, i8, 16);
lane_type!(signed_words, from_signed_words, i16, 8);
lane_type!(signed_dwords, from_signed_dwords, i32, 4);
lane_type!(signed_qwords, from_signed_qwords, i64, 2);

/// Applies a function of two lanes to all lanes.
macro_rules! each {
    ($load:ident, $store:ident, $a:expr, $b:expr, $f:expr) => {{
        let (a, b) = ($load($a), $load($b));
        $store(core::array::from_fn(|n| ($f)(a[n], b[n])))
    }};
}
use each;

/// See [`PackedOp`].
#[must_use]
pub fn packed(op: PackedOp, a: u128, b: u128) -> u128 {
    use PackedOp as P;
    match op {
        P::Pand => a & b,
        P::Pandn => !a & b,
        P::Por => a | b,
        P::Pxor => a ^ b,
        P::Psllw | P::Pslld | P::Psllq | P::Psrlw | P::Psrld | P::Psrlq | P::Psraw | P::Psrad => {
            shift::shift(op, a, b as u64)
        }
        P::Packsswb | P::Packssdw | P::Packuswb | P::Packusdw => pack::pack(op, a, b),
        P::Punpcklbw | P::Punpcklwd | P::Punpckldq | P::Punpcklqdq => pack::unpack(op, a, b),
        P::Punpckhbw | P::Punpckhwd | P::Punpckhdq | P::Punpckhqdq => pack::unpack(op, a, b),
        P::Pmovsxbw | P::Pmovsxbd | P::Pmovsxbq | P::Pmovsxwd | P::Pmovsxwq | P::Pmovsxdq => pack::widen(op, b),
        P::Pmovzxbw | P::Pmovzxbd | P::Pmovzxbq | P::Pmovzxwd | P::Pmovzxwq | P::Pmovzxdq => pack::widen(op, b),
        P::Pshufb => shuffle::bytes_by(a, b),
        P::Movddup | P::Movsldup | P::Movshdup | P::Movhlps => shuffle::duplicate(op, a, b),
        P::Pmullw | P::Pmulld | P::Pmulhw | P::Pmulhuw | P::Pmulhrsw | P::Pmuludq | P::Pmuldq => {
            multiply::multiply(op, a, b)
        }
        P::Pmaddwd | P::Pmaddubsw | P::Psadbw | P::Phminposuw => multiply::sum(op, a, b),
        _ => arithmetic::arithmetic(op, a, b),
    }
}

/// See [`PackedImmOp`].
#[must_use]
pub fn packed_imm(op: PackedImmOp, a: u128, b: u128, imm: u8) -> u128 {
    match op {
        PackedImmOp::Pslldq | PackedImmOp::Psrldq | PackedImmOp::Palignr => shift::bytes(op, a, b, imm),
        PackedImmOp::Mpsadbw => multiply::sliding_differences(a, b, imm),
        _ => shuffle::by_immediate(op, a, b, imm),
    }
}

/// See [`BlendOp`].
#[must_use]
pub fn blend(op: BlendOp, a: u128, b: u128, mask: u128) -> u128 {
    let chosen = match op {
        BlendOp::Pblendvb => from_signed_bytes(signed_bytes(mask).map(|lane| lane >> 7)),
        BlendOp::Blendvps => from_signed_dwords(signed_dwords(mask).map(|lane| lane >> 31)),
        BlendOp::Blendvpd => from_signed_qwords(signed_qwords(mask).map(|lane| lane >> 63)),
    };
    (a & !chosen) | (b & chosen)
}

/// The sign bits of the lanes, `bits` (8, 32 or 64) wide, in order.
#[must_use]
pub fn sign_mask(bits: u8, value: u128) -> u64 {
    let gather = |signs: &[bool]| signs.iter().rev().fold(0, |mask, &sign| mask << 1 | u64::from(sign));
    match bits {
        8 => gather(&signed_bytes(value).map(|lane| lane < 0)),
        32 => gather(&signed_dwords(value).map(|lane| lane < 0)),
        _ => gather(&signed_qwords(value).map(|lane| lane < 0)),
    }
}

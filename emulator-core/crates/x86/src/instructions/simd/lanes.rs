//! What each lane operation computes: pure functions of 128-bit values.
//!
//! Lanes are arrays and operations plain loops over them, which the compiler turns into vector instructions: in WebAssembly nearly every
//! operation is the one instruction it is named after.

mod aes;
mod arithmetic;
mod carryless;
mod multiply;
mod pack;
mod sha;
mod shift;
mod shuffle;
mod string;

pub use string::string_compare;

use super::{PackedImmOp, PackedOp, TernaryOp};

/// A value in memory, lowest byte first.
type Bytes = [u8; 16];

macro_rules! lane_type {
    ($load:ident, $store:ident, $lane:ty, $count:literal) => {
        #[doc = concat!("The value as ", stringify!($count), " lanes, lowest first.")]
        #[inline(always)]
        fn $load(bytes: &Bytes) -> [$lane; $count] {
            core::array::from_fn(|n| {
                const BYTES: usize = size_of::<$lane>();
                let mut lane = [0; BYTES];
                lane.copy_from_slice(&bytes[n * BYTES..(n + 1) * BYTES]);
                <$lane>::from_le_bytes(lane)
            })
        }

        #[doc = concat!("The value made of ", stringify!($count), " lanes, lowest first.")]
        #[inline(always)]
        fn $store(lanes: [$lane; $count]) -> Bytes {
            let mut bytes = [0; 16];
            for (place, lane) in bytes.chunks_exact_mut(size_of::<$lane>()).zip(lanes) {
                place.copy_from_slice(&lane.to_le_bytes());
            }
            bytes
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
    match op {
        PackedOp::Pand => a & b,
        PackedOp::Pandn => !a & b,
        PackedOp::Por => a | b,
        PackedOp::Pxor => a ^ b,
        _ => u128::from_le_bytes(in_memory(op, &a.to_le_bytes(), &b.to_le_bytes())),
    }
}

/// Not inlined, because the compiler finds the vector instructions only where the lanes come from memory.
#[inline(never)]
fn in_memory(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    use PackedOp as P;
    match op {
        P::Psllw | P::Pslld | P::Psllq | P::Psrlw | P::Psrld | P::Psrlq | P::Psraw | P::Psrad => {
            shift::shift(op, a, qwords(b)[0])
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
        P::Vpsllvd | P::Vpsllvq | P::Vpsrlvd | P::Vpsrlvq | P::Vpsravd => shift::each_by(op, a, b),
        P::Vpermilps | P::Vpermilpd => shuffle::within(op, a, b),
        P::Aesenc | P::Aesenclast | P::Aesdec | P::Aesdeclast | P::Aesimc => aes::round(op, a, b),
        P::Sha1nexte | P::Sha1msg1 | P::Sha1msg2 | P::Sha256msg1 | P::Sha256msg2 => sha::schedule(op, a, b),
        P::Pmaddwd | P::Pmaddubsw | P::Psadbw | P::Phminposuw => multiply::sum(op, a, b),
        _ => arithmetic::arithmetic(op, a, b),
    }
}

/// See [`PackedImmOp`].
#[must_use]
pub fn packed_imm(op: PackedImmOp, a: u128, b: u128, imm: u8) -> u128 {
    let lanes = match op {
        PackedImmOp::Pslldq | PackedImmOp::Psrldq | PackedImmOp::Palignr => return shift::bytes(op, a, b, imm),
        PackedImmOp::Pclmulqdq => return carryless::multiply(a, b, imm),
        PackedImmOp::Aeskeygenassist => aes::key_assist(&b.to_le_bytes(), imm),
        PackedImmOp::Sha1rnds4 => sha::sha1_rounds(&a.to_le_bytes(), &b.to_le_bytes(), imm),
        PackedImmOp::Mpsadbw => multiply::sliding_differences(&a.to_le_bytes(), &b.to_le_bytes(), imm),
        _ => shuffle::by_immediate(op, &a.to_le_bytes(), &b.to_le_bytes(), imm),
    };
    u128::from_le_bytes(lanes)
}

/// See [`TernaryOp`].
#[must_use]
pub fn ternary(op: TernaryOp, a: u128, b: u128, c: u128) -> u128 {
    let mask = &c.to_le_bytes();
    let chosen = u128::from_le_bytes(match op {
        TernaryOp::Pblendvb => from_signed_bytes(signed_bytes(mask).map(|lane| lane >> 7)),
        TernaryOp::Blendvps => from_signed_dwords(signed_dwords(mask).map(|lane| lane >> 31)),
        TernaryOp::Blendvpd => from_signed_qwords(signed_qwords(mask).map(|lane| lane >> 63)),
        TernaryOp::Sha256rnds2 => return sha::sha256_rounds(a, b, c),
    });
    (a & !chosen) | (b & chosen)
}

/// The doublewords of `value` that the doublewords of `index` name, by three bits.
#[must_use]
pub fn permute_dwords(index: [u128; 2], value: [u128; 2]) -> [u128; 2] {
    let [low, high] = value.map(|half| dwords(&half.to_le_bytes()));
    let pick = |n: u32| if n & 4 == 0 { low[(n & 3) as usize] } else { high[(n & 3) as usize] };
    index.map(|half| u128::from_le_bytes(from_dwords(dwords(&half.to_le_bytes()).map(pick))))
}

/// The sign bits of the lanes, `bits` (8, 32 or 64) wide, in order.
#[must_use]
pub fn sign_mask(bits: u8, value: u128) -> u64 {
    let (low, high) = (value as u64, (value >> 64) as u64);
    match bits {
        8 => byte_signs(low) | byte_signs(high) << 8,
        32 => dword_signs(low) | dword_signs(high) << 2,
        _ => low >> 63 | (high >> 63) << 1,
    }
}

/// Bit n is the sign of byte n: the multiplication moves bit 8n + 7 to bit 56 + n, and no two partial products meet.
fn byte_signs(half: u64) -> u64 {
    const SIGNS: u64 = 0x8080_8080_8080_8080;
    const GATHER: u64 = 0x0002_0408_1020_4081;
    (half & SIGNS).wrapping_mul(GATHER) >> 56
}

/// Bit n is the sign of doubleword n.
fn dword_signs(half: u64) -> u64 {
    half >> 31 & 1 | half >> 63 << 1
}

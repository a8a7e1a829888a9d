//! Encodings of the packed integer instructions.

use crate::Feature::{self, Mmx, Sse, Sse2, Sse41, Sse42, Ssse3};
use crate::instructions::simd::{PackedImmOp, PackedOp, Simd, TernaryOp};
use crate::{Row, Sem, Width, row};

const fn lanes(mnemonic: &'static str, encoding: &'static str, kind: PackedOp, feature: Feature) -> Row {
    row(mnemonic, encoding, "V+ Wdq", Sem::Simd(Simd::Packed(kind))).on(feature)
}

/// The second operand's lanes alone make the result; memory holds only those that are used.
const fn widen(mnemonic: &'static str, encoding: &'static str, operands: &'static str, kind: PackedOp) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(Simd::Packed(kind))).on(Sse41)
}

const fn mmx(mnemonic: &'static str, encoding: &'static str, kind: PackedOp, feature: Feature) -> Row {
    row(mnemonic, encoding, "P+ Qq", Sem::Simd(Simd::PackedMmx(kind))).on(feature)
}

/// Interleaving low halves reads only half of an MMX operand in memory.
const fn mmx_low(mnemonic: &'static str, encoding: &'static str, kind: PackedOp) -> Row {
    row(mnemonic, encoding, "P+ Qd", Sem::Simd(Simd::PackedMmx(kind))).on(Mmx)
}

const fn shift(mnemonic: &'static str, encoding: &'static str, kind: PackedOp) -> Row {
    row(mnemonic, encoding, "U+ Ib", Sem::Simd(Simd::Shift(kind))).on(Sse2)
}

const fn shift_mmx(mnemonic: &'static str, encoding: &'static str, kind: PackedOp) -> Row {
    row(mnemonic, encoding, "N+ Ib", Sem::Simd(Simd::ShiftMmx(kind))).on(Mmx)
}

const fn imm(mnemonic: &'static str, encoding: &'static str, operands: &'static str, kind: PackedImmOp) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(Simd::PackedImm(kind)))
}

const fn imm_mmx(mnemonic: &'static str, encoding: &'static str, operands: &'static str, kind: PackedImmOp) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(Simd::PackedImmMmx(kind)))
}

const fn simd(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd))
}

const fn blend(mnemonic: &'static str, encoding: &'static str, kind: TernaryOp) -> Row {
    row(mnemonic, encoding, "V+ Wdq XMM0", Sem::Simd(Simd::Ternary(kind))).on(Sse41)
}

/// XMM forms.
pub const LANES: &[Row] = &[
    lanes("PUNPCKLBW", "66 0F 60 /r", PackedOp::Punpcklbw, Sse2),
    lanes("PUNPCKLWD", "66 0F 61 /r", PackedOp::Punpcklwd, Sse2),
    lanes("PUNPCKLDQ", "66 0F 62 /r", PackedOp::Punpckldq, Sse2),
    lanes("PACKSSWB", "66 0F 63 /r", PackedOp::Packsswb, Sse2),
    lanes("PCMPGTB", "66 0F 64 /r", PackedOp::Pcmpgtb, Sse2),
    lanes("PCMPGTW", "66 0F 65 /r", PackedOp::Pcmpgtw, Sse2),
    lanes("PCMPGTD", "66 0F 66 /r", PackedOp::Pcmpgtd, Sse2),
    lanes("PACKUSWB", "66 0F 67 /r", PackedOp::Packuswb, Sse2),
    lanes("PUNPCKHBW", "66 0F 68 /r", PackedOp::Punpckhbw, Sse2),
    lanes("PUNPCKHWD", "66 0F 69 /r", PackedOp::Punpckhwd, Sse2),
    lanes("PUNPCKHDQ", "66 0F 6A /r", PackedOp::Punpckhdq, Sse2),
    lanes("PACKSSDW", "66 0F 6B /r", PackedOp::Packssdw, Sse2),
    lanes("PCMPEQB", "66 0F 74 /r", PackedOp::Pcmpeqb, Sse2),
    lanes("PCMPEQW", "66 0F 75 /r", PackedOp::Pcmpeqw, Sse2),
    lanes("PCMPEQD", "66 0F 76 /r", PackedOp::Pcmpeqd, Sse2),
    lanes("PSRLW", "66 0F D1 /r", PackedOp::Psrlw, Sse2),
    lanes("PSRLD", "66 0F D2 /r", PackedOp::Psrld, Sse2),
    lanes("PSRLQ", "66 0F D3 /r", PackedOp::Psrlq, Sse2),
    lanes("PADDQ", "66 0F D4 /r", PackedOp::Paddq, Sse2),
    lanes("PMULLW", "66 0F D5 /r", PackedOp::Pmullw, Sse2),
    lanes("PSUBUSB", "66 0F D8 /r", PackedOp::Psubusb, Sse2),
    lanes("PSUBUSW", "66 0F D9 /r", PackedOp::Psubusw, Sse2),
    lanes("PMINUB", "66 0F DA /r", PackedOp::Pminub, Sse2),
    lanes("PAND", "66 0F DB /r", PackedOp::Pand, Sse2),
    lanes("PADDUSB", "66 0F DC /r", PackedOp::Paddusb, Sse2),
    lanes("PADDUSW", "66 0F DD /r", PackedOp::Paddusw, Sse2),
    lanes("PMAXUB", "66 0F DE /r", PackedOp::Pmaxub, Sse2),
    lanes("PANDN", "66 0F DF /r", PackedOp::Pandn, Sse2),
    lanes("PAVGB", "66 0F E0 /r", PackedOp::Pavgb, Sse2),
    lanes("PSRAW", "66 0F E1 /r", PackedOp::Psraw, Sse2),
    lanes("PSRAD", "66 0F E2 /r", PackedOp::Psrad, Sse2),
    lanes("PAVGW", "66 0F E3 /r", PackedOp::Pavgw, Sse2),
    lanes("PMULHUW", "66 0F E4 /r", PackedOp::Pmulhuw, Sse2),
    lanes("PMULHW", "66 0F E5 /r", PackedOp::Pmulhw, Sse2),
    lanes("PSUBSB", "66 0F E8 /r", PackedOp::Psubsb, Sse2),
    lanes("PSUBSW", "66 0F E9 /r", PackedOp::Psubsw, Sse2),
    lanes("PMINSW", "66 0F EA /r", PackedOp::Pminsw, Sse2),
    lanes("POR", "66 0F EB /r", PackedOp::Por, Sse2),
    lanes("PADDSB", "66 0F EC /r", PackedOp::Paddsb, Sse2),
    lanes("PADDSW", "66 0F ED /r", PackedOp::Paddsw, Sse2),
    lanes("PMAXSW", "66 0F EE /r", PackedOp::Pmaxsw, Sse2),
    lanes("PXOR", "66 0F EF /r", PackedOp::Pxor, Sse2),
    lanes("PSLLW", "66 0F F1 /r", PackedOp::Psllw, Sse2),
    lanes("PSLLD", "66 0F F2 /r", PackedOp::Pslld, Sse2),
    lanes("PSLLQ", "66 0F F3 /r", PackedOp::Psllq, Sse2),
    lanes("PMULUDQ", "66 0F F4 /r", PackedOp::Pmuludq, Sse2),
    lanes("PMADDWD", "66 0F F5 /r", PackedOp::Pmaddwd, Sse2),
    lanes("PSADBW", "66 0F F6 /r", PackedOp::Psadbw, Sse2),
    lanes("PSUBB", "66 0F F8 /r", PackedOp::Psubb, Sse2),
    lanes("PSUBW", "66 0F F9 /r", PackedOp::Psubw, Sse2),
    lanes("PSUBD", "66 0F FA /r", PackedOp::Psubd, Sse2),
    lanes("PSUBQ", "66 0F FB /r", PackedOp::Psubq, Sse2),
    lanes("PADDB", "66 0F FC /r", PackedOp::Paddb, Sse2),
    lanes("PADDW", "66 0F FD /r", PackedOp::Paddw, Sse2),
    lanes("PADDD", "66 0F FE /r", PackedOp::Paddd, Sse2),
    lanes("PSHUFB", "66 0F 38 00 /r", PackedOp::Pshufb, Ssse3),
    lanes("PHADDW", "66 0F 38 01 /r", PackedOp::Phaddw, Ssse3),
    lanes("PHADDD", "66 0F 38 02 /r", PackedOp::Phaddd, Ssse3),
    lanes("PHADDSW", "66 0F 38 03 /r", PackedOp::Phaddsw, Ssse3),
    lanes("PMADDUBSW", "66 0F 38 04 /r", PackedOp::Pmaddubsw, Ssse3),
    lanes("PHSUBW", "66 0F 38 05 /r", PackedOp::Phsubw, Ssse3),
    lanes("PHSUBD", "66 0F 38 06 /r", PackedOp::Phsubd, Ssse3),
    lanes("PHSUBSW", "66 0F 38 07 /r", PackedOp::Phsubsw, Ssse3),
    lanes("PSIGNB", "66 0F 38 08 /r", PackedOp::Psignb, Ssse3),
    lanes("PSIGNW", "66 0F 38 09 /r", PackedOp::Psignw, Ssse3),
    lanes("PSIGND", "66 0F 38 0A /r", PackedOp::Psignd, Ssse3),
    lanes("PMULHRSW", "66 0F 38 0B /r", PackedOp::Pmulhrsw, Ssse3),
    lanes("PABSB", "66 0F 38 1C /r", PackedOp::Pabsb, Ssse3),
    lanes("PABSW", "66 0F 38 1D /r", PackedOp::Pabsw, Ssse3),
    lanes("PABSD", "66 0F 38 1E /r", PackedOp::Pabsd, Ssse3),
    lanes("PUNPCKLQDQ", "66 0F 6C /r", PackedOp::Punpcklqdq, Sse2),
    lanes("PUNPCKHQDQ", "66 0F 6D /r", PackedOp::Punpckhqdq, Sse2),
    lanes("PMULDQ", "66 0F 38 28 /r", PackedOp::Pmuldq, Sse41),
    lanes("PCMPEQQ", "66 0F 38 29 /r", PackedOp::Pcmpeqq, Sse41),
    lanes("PACKUSDW", "66 0F 38 2B /r", PackedOp::Packusdw, Sse41),
    lanes("PCMPGTQ", "66 0F 38 37 /r", PackedOp::Pcmpgtq, Sse42),
    lanes("PMINSB", "66 0F 38 38 /r", PackedOp::Pminsb, Sse41),
    lanes("PMINSD", "66 0F 38 39 /r", PackedOp::Pminsd, Sse41),
    lanes("PMINUW", "66 0F 38 3A /r", PackedOp::Pminuw, Sse41),
    lanes("PMINUD", "66 0F 38 3B /r", PackedOp::Pminud, Sse41),
    lanes("PMAXSB", "66 0F 38 3C /r", PackedOp::Pmaxsb, Sse41),
    lanes("PMAXSD", "66 0F 38 3D /r", PackedOp::Pmaxsd, Sse41),
    lanes("PMAXUW", "66 0F 38 3E /r", PackedOp::Pmaxuw, Sse41),
    lanes("PMAXUD", "66 0F 38 3F /r", PackedOp::Pmaxud, Sse41),
    lanes("PMULLD", "66 0F 38 40 /r", PackedOp::Pmulld, Sse41),
    lanes("PHMINPOSUW", "66 0F 38 41 /r", PackedOp::Phminposuw, Sse41),
    widen("PMOVSXBW", "66 0F 38 20 /r", "V= Wq", PackedOp::Pmovsxbw),
    widen("PMOVSXBD", "66 0F 38 21 /r", "V= Wd", PackedOp::Pmovsxbd),
    widen("PMOVSXBQ", "66 0F 38 22 /r", "V= Ww", PackedOp::Pmovsxbq),
    widen("PMOVSXWD", "66 0F 38 23 /r", "V= Wq", PackedOp::Pmovsxwd),
    widen("PMOVSXWQ", "66 0F 38 24 /r", "V= Wd", PackedOp::Pmovsxwq),
    widen("PMOVSXDQ", "66 0F 38 25 /r", "V= Wq", PackedOp::Pmovsxdq),
    widen("PMOVZXBW", "66 0F 38 30 /r", "V= Wq", PackedOp::Pmovzxbw),
    widen("PMOVZXBD", "66 0F 38 31 /r", "V= Wd", PackedOp::Pmovzxbd),
    widen("PMOVZXBQ", "66 0F 38 32 /r", "V= Ww", PackedOp::Pmovzxbq),
    widen("PMOVZXWD", "66 0F 38 33 /r", "V= Wq", PackedOp::Pmovzxwd),
    widen("PMOVZXWQ", "66 0F 38 34 /r", "V= Wd", PackedOp::Pmovzxwq),
    widen("PMOVZXDQ", "66 0F 38 35 /r", "V= Wq", PackedOp::Pmovzxdq),
    lanes("ANDPS", "NP 0F 54 /r", PackedOp::Pand, Sse),
    lanes("ANDPD", "66 0F 54 /r", PackedOp::Pand, Sse2),
    lanes("ANDNPS", "NP 0F 55 /r", PackedOp::Pandn, Sse),
    lanes("ANDNPD", "66 0F 55 /r", PackedOp::Pandn, Sse2),
    lanes("ORPS", "NP 0F 56 /r", PackedOp::Por, Sse),
    lanes("ORPD", "66 0F 56 /r", PackedOp::Por, Sse2),
    lanes("XORPS", "NP 0F 57 /r", PackedOp::Pxor, Sse),
    lanes("XORPD", "66 0F 57 /r", PackedOp::Pxor, Sse2),
    lanes("UNPCKLPS", "NP 0F 14 /r", PackedOp::Punpckldq, Sse),
    lanes("UNPCKLPD", "66 0F 14 /r", PackedOp::Punpcklqdq, Sse2),
    lanes("UNPCKHPS", "NP 0F 15 /r", PackedOp::Punpckhdq, Sse),
    lanes("UNPCKHPD", "66 0F 15 /r", PackedOp::Punpckhqdq, Sse2),
];

/// MMX forms.
pub const LANES_MMX: &[Row] = &[
    mmx_low("PUNPCKLBW", "NP 0F 60 /r", PackedOp::Punpcklbw),
    mmx_low("PUNPCKLWD", "NP 0F 61 /r", PackedOp::Punpcklwd),
    mmx_low("PUNPCKLDQ", "NP 0F 62 /r", PackedOp::Punpckldq),
    mmx("PACKSSWB", "NP 0F 63 /r", PackedOp::Packsswb, Mmx),
    mmx("PCMPGTB", "NP 0F 64 /r", PackedOp::Pcmpgtb, Mmx),
    mmx("PCMPGTW", "NP 0F 65 /r", PackedOp::Pcmpgtw, Mmx),
    mmx("PCMPGTD", "NP 0F 66 /r", PackedOp::Pcmpgtd, Mmx),
    mmx("PACKUSWB", "NP 0F 67 /r", PackedOp::Packuswb, Mmx),
    mmx("PUNPCKHBW", "NP 0F 68 /r", PackedOp::Punpckhbw, Mmx),
    mmx("PUNPCKHWD", "NP 0F 69 /r", PackedOp::Punpckhwd, Mmx),
    mmx("PUNPCKHDQ", "NP 0F 6A /r", PackedOp::Punpckhdq, Mmx),
    mmx("PACKSSDW", "NP 0F 6B /r", PackedOp::Packssdw, Mmx),
    mmx("PCMPEQB", "NP 0F 74 /r", PackedOp::Pcmpeqb, Mmx),
    mmx("PCMPEQW", "NP 0F 75 /r", PackedOp::Pcmpeqw, Mmx),
    mmx("PCMPEQD", "NP 0F 76 /r", PackedOp::Pcmpeqd, Mmx),
    mmx("PSRLW", "NP 0F D1 /r", PackedOp::Psrlw, Mmx),
    mmx("PSRLD", "NP 0F D2 /r", PackedOp::Psrld, Mmx),
    mmx("PSRLQ", "NP 0F D3 /r", PackedOp::Psrlq, Mmx),
    mmx("PADDQ", "NP 0F D4 /r", PackedOp::Paddq, Sse2),
    mmx("PMULLW", "NP 0F D5 /r", PackedOp::Pmullw, Mmx),
    mmx("PSUBUSB", "NP 0F D8 /r", PackedOp::Psubusb, Mmx),
    mmx("PSUBUSW", "NP 0F D9 /r", PackedOp::Psubusw, Mmx),
    mmx("PMINUB", "NP 0F DA /r", PackedOp::Pminub, Sse),
    mmx("PAND", "NP 0F DB /r", PackedOp::Pand, Mmx),
    mmx("PADDUSB", "NP 0F DC /r", PackedOp::Paddusb, Mmx),
    mmx("PADDUSW", "NP 0F DD /r", PackedOp::Paddusw, Mmx),
    mmx("PMAXUB", "NP 0F DE /r", PackedOp::Pmaxub, Sse),
    mmx("PANDN", "NP 0F DF /r", PackedOp::Pandn, Mmx),
    mmx("PAVGB", "NP 0F E0 /r", PackedOp::Pavgb, Sse),
    mmx("PSRAW", "NP 0F E1 /r", PackedOp::Psraw, Mmx),
    mmx("PSRAD", "NP 0F E2 /r", PackedOp::Psrad, Mmx),
    mmx("PAVGW", "NP 0F E3 /r", PackedOp::Pavgw, Sse),
    mmx("PMULHUW", "NP 0F E4 /r", PackedOp::Pmulhuw, Sse),
    mmx("PMULHW", "NP 0F E5 /r", PackedOp::Pmulhw, Mmx),
    mmx("PSUBSB", "NP 0F E8 /r", PackedOp::Psubsb, Mmx),
    mmx("PSUBSW", "NP 0F E9 /r", PackedOp::Psubsw, Mmx),
    mmx("PMINSW", "NP 0F EA /r", PackedOp::Pminsw, Sse),
    mmx("POR", "NP 0F EB /r", PackedOp::Por, Mmx),
    mmx("PADDSB", "NP 0F EC /r", PackedOp::Paddsb, Mmx),
    mmx("PADDSW", "NP 0F ED /r", PackedOp::Paddsw, Mmx),
    mmx("PMAXSW", "NP 0F EE /r", PackedOp::Pmaxsw, Sse),
    mmx("PXOR", "NP 0F EF /r", PackedOp::Pxor, Mmx),
    mmx("PSLLW", "NP 0F F1 /r", PackedOp::Psllw, Mmx),
    mmx("PSLLD", "NP 0F F2 /r", PackedOp::Pslld, Mmx),
    mmx("PSLLQ", "NP 0F F3 /r", PackedOp::Psllq, Mmx),
    mmx("PMULUDQ", "NP 0F F4 /r", PackedOp::Pmuludq, Sse2),
    mmx("PMADDWD", "NP 0F F5 /r", PackedOp::Pmaddwd, Mmx),
    mmx("PSADBW", "NP 0F F6 /r", PackedOp::Psadbw, Sse),
    mmx("PSUBB", "NP 0F F8 /r", PackedOp::Psubb, Mmx),
    mmx("PSUBW", "NP 0F F9 /r", PackedOp::Psubw, Mmx),
    mmx("PSUBD", "NP 0F FA /r", PackedOp::Psubd, Mmx),
    mmx("PSUBQ", "NP 0F FB /r", PackedOp::Psubq, Sse2),
    mmx("PADDB", "NP 0F FC /r", PackedOp::Paddb, Mmx),
    mmx("PADDW", "NP 0F FD /r", PackedOp::Paddw, Mmx),
    mmx("PADDD", "NP 0F FE /r", PackedOp::Paddd, Mmx),
    mmx("PSHUFB", "NP 0F 38 00 /r", PackedOp::Pshufb, Ssse3),
    mmx("PHADDW", "NP 0F 38 01 /r", PackedOp::Phaddw, Ssse3),
    mmx("PHADDD", "NP 0F 38 02 /r", PackedOp::Phaddd, Ssse3),
    mmx("PHADDSW", "NP 0F 38 03 /r", PackedOp::Phaddsw, Ssse3),
    mmx("PMADDUBSW", "NP 0F 38 04 /r", PackedOp::Pmaddubsw, Ssse3),
    mmx("PHSUBW", "NP 0F 38 05 /r", PackedOp::Phsubw, Ssse3),
    mmx("PHSUBD", "NP 0F 38 06 /r", PackedOp::Phsubd, Ssse3),
    mmx("PHSUBSW", "NP 0F 38 07 /r", PackedOp::Phsubsw, Ssse3),
    mmx("PSIGNB", "NP 0F 38 08 /r", PackedOp::Psignb, Ssse3),
    mmx("PSIGNW", "NP 0F 38 09 /r", PackedOp::Psignw, Ssse3),
    mmx("PSIGND", "NP 0F 38 0A /r", PackedOp::Psignd, Ssse3),
    mmx("PMULHRSW", "NP 0F 38 0B /r", PackedOp::Pmulhrsw, Ssse3),
    mmx("PABSB", "NP 0F 38 1C /r", PackedOp::Pabsb, Ssse3),
    mmx("PABSW", "NP 0F 38 1D /r", PackedOp::Pabsw, Ssse3),
    mmx("PABSD", "NP 0F 38 1E /r", PackedOp::Pabsd, Ssse3),
];

/// With an immediate or by XMM0.
pub const WITH_IMMEDIATE: &[Row] = &[
    shift("PSRLW", "66 0F 71 /2", PackedOp::Psrlw),
    shift_mmx("PSRLW", "NP 0F 71 /2", PackedOp::Psrlw),
    shift("PSRAW", "66 0F 71 /4", PackedOp::Psraw),
    shift_mmx("PSRAW", "NP 0F 71 /4", PackedOp::Psraw),
    shift("PSLLW", "66 0F 71 /6", PackedOp::Psllw),
    shift_mmx("PSLLW", "NP 0F 71 /6", PackedOp::Psllw),
    shift("PSRLD", "66 0F 72 /2", PackedOp::Psrld),
    shift_mmx("PSRLD", "NP 0F 72 /2", PackedOp::Psrld),
    shift("PSRAD", "66 0F 72 /4", PackedOp::Psrad),
    shift_mmx("PSRAD", "NP 0F 72 /4", PackedOp::Psrad),
    shift("PSLLD", "66 0F 72 /6", PackedOp::Pslld),
    shift_mmx("PSLLD", "NP 0F 72 /6", PackedOp::Pslld),
    shift("PSRLQ", "66 0F 73 /2", PackedOp::Psrlq),
    shift_mmx("PSRLQ", "NP 0F 73 /2", PackedOp::Psrlq),
    shift("PSLLQ", "66 0F 73 /6", PackedOp::Psllq),
    shift_mmx("PSLLQ", "NP 0F 73 /6", PackedOp::Psllq),
    imm("PSRLDQ", "66 0F 73 /3", "U+ Ib", PackedImmOp::Psrldq).on(Sse2),
    imm("PSLLDQ", "66 0F 73 /7", "U+ Ib", PackedImmOp::Pslldq).on(Sse2),
    imm("PSHUFD", "66 0F 70 /r", "V= Wdq Ib", PackedImmOp::Pshufd).on(Sse2),
    imm("PSHUFLW", "F2 0F 70 /r", "V= Wdq Ib", PackedImmOp::Pshuflw).on(Sse2),
    imm("PSHUFHW", "F3 0F 70 /r", "V= Wdq Ib", PackedImmOp::Pshufhw).on(Sse2),
    imm_mmx("PSHUFW", "NP 0F 70 /r", "P= Qq Ib", PackedImmOp::Pshuflw).on(Sse),
    imm("SHUFPS", "NP 0F C6 /r", "V+ Wdq Ib", PackedImmOp::Shufps).on(Sse),
    imm("SHUFPD", "66 0F C6 /r", "V+ Wdq Ib", PackedImmOp::Shufpd).on(Sse2),
    imm("PALIGNR", "66 0F 3A 0F /r", "V+ Wdq Ib", PackedImmOp::Palignr).on(Ssse3),
    imm_mmx("PALIGNR", "NP 0F 3A 0F /r", "P+ Qq Ib", PackedImmOp::Palignr).on(Ssse3),
    imm("BLENDPS", "66 0F 3A 0C /r", "V+ Wdq Ib", PackedImmOp::Blendps).on(Sse41),
    imm("BLENDPD", "66 0F 3A 0D /r", "V+ Wdq Ib", PackedImmOp::Blendpd).on(Sse41),
    imm("PBLENDW", "66 0F 3A 0E /r", "V+ Wdq Ib", PackedImmOp::Pblendw).on(Sse41),
    imm("MPSADBW", "66 0F 3A 42 /r", "V+ Wdq Ib", PackedImmOp::Mpsadbw).on(Sse41),
    imm("INSERTPS", "66 0F 3A 21 /r", "V+ Wd Ib", PackedImmOp::Insertps).on(Sse41),
    blend("PBLENDVB", "66 0F 38 10 /r", TernaryOp::Pblendvb),
    blend("BLENDVPS", "66 0F 38 14 /r", TernaryOp::Blendvps),
    blend("BLENDVPD", "66 0F 38 15 /r", TernaryOp::Blendvpd),
];

/// Single elements, and tests of whole registers.
pub const ELEMENTS: &[Row] = &[
    simd("PINSRW", "66 0F C4 /r", "V+ Rd/Mw Ib", Simd::Insert(Width::W16)).on(Sse2),
    simd("PINSRW", "NP 0F C4 /r", "P+ Rd/Mw Ib", Simd::InsertMmx).on(Sse),
    simd("PINSRB", "66 0F 3A 20 /r", "V+ Rd/Mb Ib", Simd::Insert(Width::W8)).on(Sse41),
    simd("PINSRD", "66 W0 0F 3A 22 /r", "V+ Ed Ib", Simd::Insert(Width::W32)).on(Sse41),
    simd("PINSRQ", "66 W1 0F 3A 22 /r", "V+ Eq Ib", Simd::Insert(Width::W64)).on(Sse41),
    simd("PEXTRW", "66 0F C5 /r", "Gd= U Ib", Simd::Extract(Width::W16)).on(Sse2),
    simd("PEXTRW", "NP 0F C5 /r", "Gd= N Ib", Simd::ExtractMmx).on(Sse),
    simd("PEXTRB", "66 0F 3A 14 /r", "Rd/Mb= V Ib", Simd::Extract(Width::W8)).on(Sse41),
    simd("PEXTRW", "66 0F 3A 15 /r", "Rd/Mw= V Ib", Simd::Extract(Width::W16)).on(Sse41),
    simd("PEXTRD", "66 W0 0F 3A 16 /r", "Ed= V Ib", Simd::Extract(Width::W32)).on(Sse41),
    simd("PEXTRQ", "66 W1 0F 3A 16 /r", "Eq= V Ib", Simd::Extract(Width::W64)).on(Sse41),
    simd("EXTRACTPS", "66 0F 3A 17 /r", "Ed= V Ib", Simd::Extract(Width::W32)).on(Sse41),
    simd("PTEST", "66 0F 38 17 /r", "V Wdq", Simd::Ptest).flags("OSZAPC").on(Sse41),
    simd("PMOVMSKB", "66 0F D7 /r", "Gd= U", Simd::SignMask(8)).on(Sse2),
    simd("PMOVMSKB", "NP 0F D7 /r", "Gd= N", Simd::SignMaskMmx).on(Sse),
    simd("MOVMSKPS", "NP 0F 50 /r", "Gd= U", Simd::SignMask(32)).on(Sse),
    simd("MOVMSKPD", "66 0F 50 /r", "Gd= U", Simd::SignMask(64)).on(Sse2),
];

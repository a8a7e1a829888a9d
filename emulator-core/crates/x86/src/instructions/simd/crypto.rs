//! AES, SHA and carry-less multiplication (Intel SDM vol. 1, 12.13 and 12.14): lane operations like any other.

use super::{PackedImmOp, PackedOp, Simd, TernaryOp};
use crate::Feature::{self, Aes, Pclmulqdq, Sha};
use crate::{Row, Sem, row};

const fn lanes(mnemonic: &'static str, encoding: &'static str, kind: PackedOp, feature: Feature) -> Row {
    row(mnemonic, encoding, "V+ Wdq", Sem::Simd(Simd::Packed(kind))).on(feature)
}

const fn vex(mnemonic: &'static str, encoding: &'static str, kind: PackedOp) -> Row {
    row(mnemonic, encoding, "V= H Wdq", Sem::Simd(Simd::Packed(kind))).on(Aes)
}

const fn imm(mnemonic: &'static str, encoding: &'static str, operands: &'static str, kind: PackedImmOp) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(Simd::PackedImm(kind)))
}

pub const ROWS: &[Row] = &[
    lanes("AESIMC", "66 0F 38 DB /r", PackedOp::Aesimc, Aes),
    lanes("AESENC", "66 0F 38 DC /r", PackedOp::Aesenc, Aes),
    lanes("AESENCLAST", "66 0F 38 DD /r", PackedOp::Aesenclast, Aes),
    lanes("AESDEC", "66 0F 38 DE /r", PackedOp::Aesdec, Aes),
    lanes("AESDECLAST", "66 0F 38 DF /r", PackedOp::Aesdeclast, Aes),
    imm("AESKEYGENASSIST", "66 0F 3A DF /r", "V= Wdq Ib", PackedImmOp::Aeskeygenassist).on(Aes),
    imm("PCLMULQDQ", "66 0F 3A 44 /r", "V+ Wdq Ib", PackedImmOp::Pclmulqdq).on(Pclmulqdq),
    row("VAESIMC", "VEX.128.66.0F38.WIG DB /r", "V= Wdq", Sem::Simd(Simd::Packed(PackedOp::Aesimc))).on(Aes),
    vex("VAESENC", "VEX.128.66.0F38.WIG DC /r", PackedOp::Aesenc),
    vex("VAESENCLAST", "VEX.128.66.0F38.WIG DD /r", PackedOp::Aesenclast),
    vex("VAESDEC", "VEX.128.66.0F38.WIG DE /r", PackedOp::Aesdec),
    vex("VAESDECLAST", "VEX.128.66.0F38.WIG DF /r", PackedOp::Aesdeclast),
    imm("VAESKEYGENASSIST", "VEX.128.66.0F3A.WIG DF /r", "V= Wdq Ib", PackedImmOp::Aeskeygenassist).on(Aes),
    imm("VPCLMULQDQ", "VEX.128.66.0F3A.WIG 44 /r", "V= H Wdq Ib", PackedImmOp::Pclmulqdq).on(Pclmulqdq),
    lanes("SHA1NEXTE", "NP 0F 38 C8 /r", PackedOp::Sha1nexte, Sha),
    lanes("SHA1MSG1", "NP 0F 38 C9 /r", PackedOp::Sha1msg1, Sha),
    lanes("SHA1MSG2", "NP 0F 38 CA /r", PackedOp::Sha1msg2, Sha),
    row("SHA256RNDS2", "NP 0F 38 CB /r", "V+ Wdq XMM0", Sem::Simd(Simd::Ternary(TernaryOp::Sha256rnds2))).on(Sha),
    lanes("SHA256MSG1", "NP 0F 38 CC /r", PackedOp::Sha256msg1, Sha),
    lanes("SHA256MSG2", "NP 0F 38 CD /r", PackedOp::Sha256msg2, Sha),
    imm("SHA1RNDS4", "NP 0F 3A CC /r", "V+ Wdq Ib", PackedImmOp::Sha1rnds4).on(Sha),
];

//! The operations on 128-bit values that an engine supplies, each a pure function of its operands.

use crate::Width;

/// A lane operation of two 128-bit values, named by its SSE mnemonic. One-operand operations ignore the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum PackedOp {
    Paddb,
    Paddw,
    Paddd,
    Paddq,
    Paddsb,
    Paddsw,
    Paddusb,
    Paddusw,
    Psubb,
    Psubw,
    Psubd,
    Psubq,
    Psubsb,
    Psubsw,
    Psubusb,
    Psubusw,
    Pavgb,
    Pavgw,
    Pmullw,
    Pmulld,
    Pmulhw,
    Pmulhuw,
    Pmulhrsw,
    Pmuludq,
    Pmuldq,
    Pmaddwd,
    Pmaddubsw,
    Psadbw,
    Pminub,
    Pminsb,
    Pminuw,
    Pminsw,
    Pminud,
    Pminsd,
    Pmaxub,
    Pmaxsb,
    Pmaxuw,
    Pmaxsw,
    Pmaxud,
    Pmaxsd,
    Pabsb,
    Pabsw,
    Pabsd,
    Psignb,
    Psignw,
    Psignd,
    Phaddw,
    Phaddd,
    Phaddsw,
    Phsubw,
    Phsubd,
    Phsubsw,
    Phminposuw,
    Pcmpeqb,
    Pcmpeqw,
    Pcmpeqd,
    Pcmpeqq,
    Pcmpgtb,
    Pcmpgtw,
    Pcmpgtd,
    Pcmpgtq,
    Pand,
    Pandn,
    Por,
    Pxor,
    Psllw,
    Pslld,
    Psllq,
    Psrlw,
    Psrld,
    Psrlq,
    Psraw,
    Psrad,
    Packsswb,
    Packssdw,
    Packuswb,
    Packusdw,
    Punpcklbw,
    Punpcklwd,
    Punpckldq,
    Punpcklqdq,
    Punpckhbw,
    Punpckhwd,
    Punpckhdq,
    Punpckhqdq,
    Pshufb,
    Pmovsxbw,
    Pmovsxbd,
    Pmovsxbq,
    Pmovsxwd,
    Pmovsxwq,
    Pmovsxdq,
    Pmovzxbw,
    Pmovzxbd,
    Pmovzxbq,
    Pmovzxwd,
    Pmovzxwq,
    Pmovzxdq,
    Movddup,
    Movsldup,
    Movshdup,
    Movhlps,
    Vpermilps,
    Vpermilpd,
    Vpsllvd,
    Vpsllvq,
    Vpsrlvd,
    Vpsrlvq,
    Vpsravd,
    Aesenc,
    Aesenclast,
    Aesdec,
    Aesdeclast,
    Aesimc,
    Sha1nexte,
    Sha1msg1,
    Sha1msg2,
    Sha256msg1,
    Sha256msg2,
}

/// A lane operation of two 128-bit values and an immediate byte. `Pslldq` and the shuffles of one operand take the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum PackedImmOp {
    Pshufd,
    Pshuflw,
    Pshufhw,
    Shufps,
    Shufpd,
    Palignr,
    Pslldq,
    Psrldq,
    Pblendw,
    Blendps,
    Blendpd,
    Mpsadbw,
    Insertps,
    /// `VPERMILPD` with an immediate.
    Vpermilpd,
    Aeskeygenassist,
    Pclmulqdq,
    Sha1rnds4,
}

/// An operation of three vectors: a blend by the sign bits of the third operand's lanes, or two rounds of SHA-256 with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum TernaryOp {
    Pblendvb,
    Blendvps,
    Blendvpd,
    Sha256rnds2,
}

/// A floating-point operation; with [`Lanes`] it is an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum FpOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Sqrt,
    Rcp,
    Rsqrt,
    /// `CMPccPS` and its family, the predicate in the immediate's low three bits.
    Compare,
    /// `ROUNDPS` and its family.
    Round,
    /// `DPPS`, `DPPD`.
    DotProduct,
    AddSub,
    HorizontalAdd,
    HorizontalSub,
}

/// Which lanes of its operands a floating-point instruction computes. Scalar forms keep the rest of the first operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Lanes {
    /// Four single-precision lanes.
    Ps,
    /// Two double-precision lanes.
    Pd,
    /// The lowest single-precision lane.
    Ss,
    /// The lowest double-precision lane.
    Sd,
}

impl Lanes {
    /// Single precision.
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(self, Lanes::Ps | Lanes::Ss)
    }

    /// The lowest lane alone.
    #[must_use]
    pub const fn is_scalar(self) -> bool {
        matches!(self, Lanes::Ss | Lanes::Sd)
    }
}

/// A conversion between vectors. Scalar ones keep the rest of the first operand; the others ignore it, and clear the upper
/// half of the result where they produce two doublewords or single-precision numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum ConvertOp {
    Cvtdq2ps,
    Cvtdq2pd,
    Cvtps2dq,
    Cvttps2dq,
    Cvtpd2dq,
    Cvttpd2dq,
    Cvtps2pd,
    Cvtpd2ps,
    Cvtss2sd,
    Cvtsd2ss,
    /// `CVTPI2PS`: two doublewords of the second operand; the upper half of the first is kept.
    Cvtpi2ps,
    /// `CVTPS2PI`: two lanes only.
    Cvtps2pi,
    /// `CVTTPS2PI`.
    Cvttps2pi,
}

/// Which string comparison: what the length of a string is, and what is produced (Intel SDM vol. 2, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum StringOp {
    Pcmpestrm,
    Pcmpestri,
    Pcmpistrm,
    Pcmpistri,
}

/// Where a fused multiplication and addition takes its operands from, by their places: the digits are multiplicand, multiplier
/// and addend (Intel SDM vol. 1, 14.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics'")]
pub enum FmaOrder {
    Order132,
    Order213,
    Order231,
}

/// What a fused multiplication and addition computes of `a`, `b` and `c`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum FmaKind {
    /// `a * b + c`.
    Add,
    /// `a * b - c`.
    Sub,
    /// `-(a * b) + c`.
    NegatedAdd,
    /// `-(a * b) - c`.
    NegatedSub,
    /// `a * b + c` in odd lanes, `a * b - c` in even ones.
    AddSub,
    /// The other way round.
    SubAdd,
}

/// A gather, by the widths of its indices and elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum GatherOp {
    /// Doublewords by doublewords.
    Dd,
    /// Quadwords by doublewords.
    Dq,
    /// Doublewords by quadwords.
    Qd,
    /// Quadwords by quadwords.
    Qq,
}

impl GatherOp {
    /// Width of an index.
    #[must_use]
    pub const fn index(self) -> Width {
        if matches!(self, GatherOp::Dd | GatherOp::Dq) { Width::W32 } else { Width::W64 }
    }

    /// Width of an element.
    #[must_use]
    pub const fn element(self) -> Width {
        if matches!(self, GatherOp::Dd | GatherOp::Qd) { Width::W32 } else { Width::W64 }
    }
}

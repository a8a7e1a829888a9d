//! The VEX encodings of what MMX and SSE registers have had before (Intel SDM vol. 1, 14.1 and 14.6).

use super::{ConvertOp, FloatOp, FpOp, Lanes, PackedImmOp, PackedOp, Simd, StringOp, TernaryOp};
use crate::Feature::{Avx, Avx2};
use crate::{Row, Sem, Width, row};

/// Rows with a VEX prefix: length and feature of all, then mnemonic, rest of the encoding, operands and meaning of each.
macro_rules! vex_rows {
    ($length:literal $feature:ident; $( $mnemonic:literal $encoding:literal $operands:literal $simd:expr; )*) => {
        &[$(
            $crate::row($mnemonic, concat!("VEX.", $length, ".", $encoding), $operands, $crate::Sem::Simd($simd))
                .on($feature),
        )*]
    };
}
pub(super) use vex_rows;

const fn lanes(kind: PackedOp) -> Simd {
    Simd::Packed(kind)
}

const fn imm(kind: PackedImmOp) -> Simd {
    Simd::PackedImm(kind)
}

const fn float(op: FpOp, lanes: Lanes) -> Simd {
    Simd::Float(FloatOp::new(op, lanes))
}

const fn convert(op: ConvertOp) -> Simd {
    Simd::Convert(op)
}

/// Integers: 128 bits came with AVX, 256 with AVX2.
macro_rules! integers {
    ($length:literal $feature:ident) => {
        vex_rows!($length $feature;
            "VPUNPCKLBW" "66.0F.WIG 60 /r" "Vx= Hx Wx" lanes(PackedOp::Punpcklbw);
            "VPUNPCKLWD" "66.0F.WIG 61 /r" "Vx= Hx Wx" lanes(PackedOp::Punpcklwd);
            "VPUNPCKLDQ" "66.0F.WIG 62 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckldq);
            "VPACKSSWB" "66.0F.WIG 63 /r" "Vx= Hx Wx" lanes(PackedOp::Packsswb);
            "VPCMPGTB" "66.0F.WIG 64 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpgtb);
            "VPCMPGTW" "66.0F.WIG 65 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpgtw);
            "VPCMPGTD" "66.0F.WIG 66 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpgtd);
            "VPACKUSWB" "66.0F.WIG 67 /r" "Vx= Hx Wx" lanes(PackedOp::Packuswb);
            "VPUNPCKHBW" "66.0F.WIG 68 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhbw);
            "VPUNPCKHWD" "66.0F.WIG 69 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhwd);
            "VPUNPCKHDQ" "66.0F.WIG 6A /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhdq);
            "VPACKSSDW" "66.0F.WIG 6B /r" "Vx= Hx Wx" lanes(PackedOp::Packssdw);
            "VPCMPEQB" "66.0F.WIG 74 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpeqb);
            "VPCMPEQW" "66.0F.WIG 75 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpeqw);
            "VPCMPEQD" "66.0F.WIG 76 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpeqd);
            "VPSRLW" "66.0F.WIG D1 /r" "Vx= Hx Wdq" lanes(PackedOp::Psrlw);
            "VPSRLD" "66.0F.WIG D2 /r" "Vx= Hx Wdq" lanes(PackedOp::Psrld);
            "VPSRLQ" "66.0F.WIG D3 /r" "Vx= Hx Wdq" lanes(PackedOp::Psrlq);
            "VPADDQ" "66.0F.WIG D4 /r" "Vx= Hx Wx" lanes(PackedOp::Paddq);
            "VPMULLW" "66.0F.WIG D5 /r" "Vx= Hx Wx" lanes(PackedOp::Pmullw);
            "VPSUBUSB" "66.0F.WIG D8 /r" "Vx= Hx Wx" lanes(PackedOp::Psubusb);
            "VPSUBUSW" "66.0F.WIG D9 /r" "Vx= Hx Wx" lanes(PackedOp::Psubusw);
            "VPMINUB" "66.0F.WIG DA /r" "Vx= Hx Wx" lanes(PackedOp::Pminub);
            "VPAND" "66.0F.WIG DB /r" "Vx= Hx Wx" lanes(PackedOp::Pand);
            "VPADDUSB" "66.0F.WIG DC /r" "Vx= Hx Wx" lanes(PackedOp::Paddusb);
            "VPADDUSW" "66.0F.WIG DD /r" "Vx= Hx Wx" lanes(PackedOp::Paddusw);
            "VPMAXUB" "66.0F.WIG DE /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxub);
            "VPANDN" "66.0F.WIG DF /r" "Vx= Hx Wx" lanes(PackedOp::Pandn);
            "VPAVGB" "66.0F.WIG E0 /r" "Vx= Hx Wx" lanes(PackedOp::Pavgb);
            "VPSRAW" "66.0F.WIG E1 /r" "Vx= Hx Wdq" lanes(PackedOp::Psraw);
            "VPSRAD" "66.0F.WIG E2 /r" "Vx= Hx Wdq" lanes(PackedOp::Psrad);
            "VPAVGW" "66.0F.WIG E3 /r" "Vx= Hx Wx" lanes(PackedOp::Pavgw);
            "VPMULHUW" "66.0F.WIG E4 /r" "Vx= Hx Wx" lanes(PackedOp::Pmulhuw);
            "VPMULHW" "66.0F.WIG E5 /r" "Vx= Hx Wx" lanes(PackedOp::Pmulhw);
            "VPSUBSB" "66.0F.WIG E8 /r" "Vx= Hx Wx" lanes(PackedOp::Psubsb);
            "VPSUBSW" "66.0F.WIG E9 /r" "Vx= Hx Wx" lanes(PackedOp::Psubsw);
            "VPMINSW" "66.0F.WIG EA /r" "Vx= Hx Wx" lanes(PackedOp::Pminsw);
            "VPOR" "66.0F.WIG EB /r" "Vx= Hx Wx" lanes(PackedOp::Por);
            "VPADDSB" "66.0F.WIG EC /r" "Vx= Hx Wx" lanes(PackedOp::Paddsb);
            "VPADDSW" "66.0F.WIG ED /r" "Vx= Hx Wx" lanes(PackedOp::Paddsw);
            "VPMAXSW" "66.0F.WIG EE /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxsw);
            "VPXOR" "66.0F.WIG EF /r" "Vx= Hx Wx" lanes(PackedOp::Pxor);
            "VPSLLW" "66.0F.WIG F1 /r" "Vx= Hx Wdq" lanes(PackedOp::Psllw);
            "VPSLLD" "66.0F.WIG F2 /r" "Vx= Hx Wdq" lanes(PackedOp::Pslld);
            "VPSLLQ" "66.0F.WIG F3 /r" "Vx= Hx Wdq" lanes(PackedOp::Psllq);
            "VPMULUDQ" "66.0F.WIG F4 /r" "Vx= Hx Wx" lanes(PackedOp::Pmuludq);
            "VPMADDWD" "66.0F.WIG F5 /r" "Vx= Hx Wx" lanes(PackedOp::Pmaddwd);
            "VPSADBW" "66.0F.WIG F6 /r" "Vx= Hx Wx" lanes(PackedOp::Psadbw);
            "VPSUBB" "66.0F.WIG F8 /r" "Vx= Hx Wx" lanes(PackedOp::Psubb);
            "VPSUBW" "66.0F.WIG F9 /r" "Vx= Hx Wx" lanes(PackedOp::Psubw);
            "VPSUBD" "66.0F.WIG FA /r" "Vx= Hx Wx" lanes(PackedOp::Psubd);
            "VPSUBQ" "66.0F.WIG FB /r" "Vx= Hx Wx" lanes(PackedOp::Psubq);
            "VPADDB" "66.0F.WIG FC /r" "Vx= Hx Wx" lanes(PackedOp::Paddb);
            "VPADDW" "66.0F.WIG FD /r" "Vx= Hx Wx" lanes(PackedOp::Paddw);
            "VPADDD" "66.0F.WIG FE /r" "Vx= Hx Wx" lanes(PackedOp::Paddd);
            "VPSHUFB" "66.0F38.WIG 00 /r" "Vx= Hx Wx" lanes(PackedOp::Pshufb);
            "VPHADDW" "66.0F38.WIG 01 /r" "Vx= Hx Wx" lanes(PackedOp::Phaddw);
            "VPHADDD" "66.0F38.WIG 02 /r" "Vx= Hx Wx" lanes(PackedOp::Phaddd);
            "VPHADDSW" "66.0F38.WIG 03 /r" "Vx= Hx Wx" lanes(PackedOp::Phaddsw);
            "VPMADDUBSW" "66.0F38.WIG 04 /r" "Vx= Hx Wx" lanes(PackedOp::Pmaddubsw);
            "VPHSUBW" "66.0F38.WIG 05 /r" "Vx= Hx Wx" lanes(PackedOp::Phsubw);
            "VPHSUBD" "66.0F38.WIG 06 /r" "Vx= Hx Wx" lanes(PackedOp::Phsubd);
            "VPHSUBSW" "66.0F38.WIG 07 /r" "Vx= Hx Wx" lanes(PackedOp::Phsubsw);
            "VPSIGNB" "66.0F38.WIG 08 /r" "Vx= Hx Wx" lanes(PackedOp::Psignb);
            "VPSIGNW" "66.0F38.WIG 09 /r" "Vx= Hx Wx" lanes(PackedOp::Psignw);
            "VPSIGND" "66.0F38.WIG 0A /r" "Vx= Hx Wx" lanes(PackedOp::Psignd);
            "VPMULHRSW" "66.0F38.WIG 0B /r" "Vx= Hx Wx" lanes(PackedOp::Pmulhrsw);
            "VPABSB" "66.0F38.WIG 1C /r" "Vx= Wx" lanes(PackedOp::Pabsb);
            "VPABSW" "66.0F38.WIG 1D /r" "Vx= Wx" lanes(PackedOp::Pabsw);
            "VPABSD" "66.0F38.WIG 1E /r" "Vx= Wx" lanes(PackedOp::Pabsd);
            "VPUNPCKLQDQ" "66.0F.WIG 6C /r" "Vx= Hx Wx" lanes(PackedOp::Punpcklqdq);
            "VPUNPCKHQDQ" "66.0F.WIG 6D /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhqdq);
            "VPMULDQ" "66.0F38.WIG 28 /r" "Vx= Hx Wx" lanes(PackedOp::Pmuldq);
            "VPCMPEQQ" "66.0F38.WIG 29 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpeqq);
            "VPACKUSDW" "66.0F38.WIG 2B /r" "Vx= Hx Wx" lanes(PackedOp::Packusdw);
            "VPCMPGTQ" "66.0F38.WIG 37 /r" "Vx= Hx Wx" lanes(PackedOp::Pcmpgtq);
            "VPMINSB" "66.0F38.WIG 38 /r" "Vx= Hx Wx" lanes(PackedOp::Pminsb);
            "VPMINSD" "66.0F38.WIG 39 /r" "Vx= Hx Wx" lanes(PackedOp::Pminsd);
            "VPMINUW" "66.0F38.WIG 3A /r" "Vx= Hx Wx" lanes(PackedOp::Pminuw);
            "VPMINUD" "66.0F38.WIG 3B /r" "Vx= Hx Wx" lanes(PackedOp::Pminud);
            "VPMAXSB" "66.0F38.WIG 3C /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxsb);
            "VPMAXSD" "66.0F38.WIG 3D /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxsd);
            "VPMAXUW" "66.0F38.WIG 3E /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxuw);
            "VPMAXUD" "66.0F38.WIG 3F /r" "Vx= Hx Wx" lanes(PackedOp::Pmaxud);
            "VPMULLD" "66.0F38.WIG 40 /r" "Vx= Hx Wx" lanes(PackedOp::Pmulld);
            "VPMOVSXBW" "66.0F38.WIG 20 /r" "Vx= Wx2" lanes(PackedOp::Pmovsxbw);
            "VPMOVSXBD" "66.0F38.WIG 21 /r" "Vx= Wx4" lanes(PackedOp::Pmovsxbd);
            "VPMOVSXBQ" "66.0F38.WIG 22 /r" "Vx= Wx8" lanes(PackedOp::Pmovsxbq);
            "VPMOVSXWD" "66.0F38.WIG 23 /r" "Vx= Wx2" lanes(PackedOp::Pmovsxwd);
            "VPMOVSXWQ" "66.0F38.WIG 24 /r" "Vx= Wx4" lanes(PackedOp::Pmovsxwq);
            "VPMOVSXDQ" "66.0F38.WIG 25 /r" "Vx= Wx2" lanes(PackedOp::Pmovsxdq);
            "VPMOVZXBW" "66.0F38.WIG 30 /r" "Vx= Wx2" lanes(PackedOp::Pmovzxbw);
            "VPMOVZXBD" "66.0F38.WIG 31 /r" "Vx= Wx4" lanes(PackedOp::Pmovzxbd);
            "VPMOVZXBQ" "66.0F38.WIG 32 /r" "Vx= Wx8" lanes(PackedOp::Pmovzxbq);
            "VPMOVZXWD" "66.0F38.WIG 33 /r" "Vx= Wx2" lanes(PackedOp::Pmovzxwd);
            "VPMOVZXWQ" "66.0F38.WIG 34 /r" "Vx= Wx4" lanes(PackedOp::Pmovzxwq);
            "VPMOVZXDQ" "66.0F38.WIG 35 /r" "Vx= Wx2" lanes(PackedOp::Pmovzxdq);
            "VPSRLW" "66.0F.WIG 71 /2" "Hx= Ux Ib" Simd::Shift(PackedOp::Psrlw);
            "VPSRAW" "66.0F.WIG 71 /4" "Hx= Ux Ib" Simd::Shift(PackedOp::Psraw);
            "VPSLLW" "66.0F.WIG 71 /6" "Hx= Ux Ib" Simd::Shift(PackedOp::Psllw);
            "VPSRLD" "66.0F.WIG 72 /2" "Hx= Ux Ib" Simd::Shift(PackedOp::Psrld);
            "VPSRAD" "66.0F.WIG 72 /4" "Hx= Ux Ib" Simd::Shift(PackedOp::Psrad);
            "VPSLLD" "66.0F.WIG 72 /6" "Hx= Ux Ib" Simd::Shift(PackedOp::Pslld);
            "VPSRLQ" "66.0F.WIG 73 /2" "Hx= Ux Ib" Simd::Shift(PackedOp::Psrlq);
            "VPSLLQ" "66.0F.WIG 73 /6" "Hx= Ux Ib" Simd::Shift(PackedOp::Psllq);
            "VPSRLDQ" "66.0F.WIG 73 /3" "Hx= Ux Ib" imm(PackedImmOp::Psrldq);
            "VPSLLDQ" "66.0F.WIG 73 /7" "Hx= Ux Ib" imm(PackedImmOp::Pslldq);
            "VPSHUFD" "66.0F.WIG 70 /r" "Vx= Wx Ib" imm(PackedImmOp::Pshufd);
            "VPSHUFLW" "F2.0F.WIG 70 /r" "Vx= Wx Ib" imm(PackedImmOp::Pshuflw);
            "VPSHUFHW" "F3.0F.WIG 70 /r" "Vx= Wx Ib" imm(PackedImmOp::Pshufhw);
            "VPALIGNR" "66.0F3A.WIG 0F /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Palignr);
            "VPBLENDW" "66.0F3A.WIG 0E /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Pblendw);
            "VMPSADBW" "66.0F3A.WIG 42 /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Mpsadbw);
            "VPBLENDVB" "66.0F3A.W0 4C /r" "Vx= Hx Wx Lx" Simd::Ternary(TernaryOp::Pblendvb);
            "VPMOVMSKB" "66.0F.WIG D7 /r" "Gd= Ux" Simd::SignMask(8);
            "VMOVNTDQA" "66.0F38.WIG 2A /r" "Vx= Mx" Simd::Move;
        )
    };
}

/// Floating point, and moves of whatever: both lengths came with AVX.
macro_rules! floats {
    ($length:literal) => {
        vex_rows!($length Avx;
            "VANDPS" "NP.0F.WIG 54 /r" "Vx= Hx Wx" lanes(PackedOp::Pand);
            "VANDPD" "66.0F.WIG 54 /r" "Vx= Hx Wx" lanes(PackedOp::Pand);
            "VANDNPS" "NP.0F.WIG 55 /r" "Vx= Hx Wx" lanes(PackedOp::Pandn);
            "VANDNPD" "66.0F.WIG 55 /r" "Vx= Hx Wx" lanes(PackedOp::Pandn);
            "VORPS" "NP.0F.WIG 56 /r" "Vx= Hx Wx" lanes(PackedOp::Por);
            "VORPD" "66.0F.WIG 56 /r" "Vx= Hx Wx" lanes(PackedOp::Por);
            "VXORPS" "NP.0F.WIG 57 /r" "Vx= Hx Wx" lanes(PackedOp::Pxor);
            "VXORPD" "66.0F.WIG 57 /r" "Vx= Hx Wx" lanes(PackedOp::Pxor);
            "VUNPCKLPS" "NP.0F.WIG 14 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckldq);
            "VUNPCKLPD" "66.0F.WIG 14 /r" "Vx= Hx Wx" lanes(PackedOp::Punpcklqdq);
            "VUNPCKHPS" "NP.0F.WIG 15 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhdq);
            "VUNPCKHPD" "66.0F.WIG 15 /r" "Vx= Hx Wx" lanes(PackedOp::Punpckhqdq);
            "VSHUFPS" "NP.0F.WIG C6 /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Shufps);
            "VSHUFPD" "66.0F.WIG C6 /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Shufpd);
            "VBLENDPS" "66.0F3A.WIG 0C /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Blendps);
            "VBLENDPD" "66.0F3A.WIG 0D /r" "Vx= Hx Wx Ib" imm(PackedImmOp::Blendpd);
            "VBLENDVPS" "66.0F3A.W0 4A /r" "Vx= Hx Wx Lx" Simd::Ternary(TernaryOp::Blendvps);
            "VBLENDVPD" "66.0F3A.W0 4B /r" "Vx= Hx Wx Lx" Simd::Ternary(TernaryOp::Blendvpd);
            "VMOVMSKPS" "NP.0F.WIG 50 /r" "Gd= Ux" Simd::SignMask(32);
            "VMOVMSKPD" "66.0F.WIG 50 /r" "Gd= Ux" Simd::SignMask(64);
            "VSQRTPS" "NP.0F.WIG 51 /r" "Vx= Wx" float(FpOp::Sqrt, Lanes::Ps);
            "VSQRTPD" "66.0F.WIG 51 /r" "Vx= Wx" float(FpOp::Sqrt, Lanes::Pd);
            "VADDPS" "NP.0F.WIG 58 /r" "Vx= Hx Wx" float(FpOp::Add, Lanes::Ps);
            "VADDPD" "66.0F.WIG 58 /r" "Vx= Hx Wx" float(FpOp::Add, Lanes::Pd);
            "VMULPS" "NP.0F.WIG 59 /r" "Vx= Hx Wx" float(FpOp::Mul, Lanes::Ps);
            "VMULPD" "66.0F.WIG 59 /r" "Vx= Hx Wx" float(FpOp::Mul, Lanes::Pd);
            "VSUBPS" "NP.0F.WIG 5C /r" "Vx= Hx Wx" float(FpOp::Sub, Lanes::Ps);
            "VSUBPD" "66.0F.WIG 5C /r" "Vx= Hx Wx" float(FpOp::Sub, Lanes::Pd);
            "VMINPS" "NP.0F.WIG 5D /r" "Vx= Hx Wx" float(FpOp::Min, Lanes::Ps);
            "VMINPD" "66.0F.WIG 5D /r" "Vx= Hx Wx" float(FpOp::Min, Lanes::Pd);
            "VDIVPS" "NP.0F.WIG 5E /r" "Vx= Hx Wx" float(FpOp::Div, Lanes::Ps);
            "VDIVPD" "66.0F.WIG 5E /r" "Vx= Hx Wx" float(FpOp::Div, Lanes::Pd);
            "VMAXPS" "NP.0F.WIG 5F /r" "Vx= Hx Wx" float(FpOp::Max, Lanes::Ps);
            "VMAXPD" "66.0F.WIG 5F /r" "Vx= Hx Wx" float(FpOp::Max, Lanes::Pd);
            "VRCPPS" "NP.0F.WIG 53 /r" "Vx= Wx" float(FpOp::Rcp, Lanes::Ps);
            "VRSQRTPS" "NP.0F.WIG 52 /r" "Vx= Wx" float(FpOp::Rsqrt, Lanes::Ps);
            "VADDSUBPS" "F2.0F.WIG D0 /r" "Vx= Hx Wx" float(FpOp::AddSub, Lanes::Ps);
            "VADDSUBPD" "66.0F.WIG D0 /r" "Vx= Hx Wx" float(FpOp::AddSub, Lanes::Pd);
            "VHADDPS" "F2.0F.WIG 7C /r" "Vx= Hx Wx" float(FpOp::HorizontalAdd, Lanes::Ps);
            "VHADDPD" "66.0F.WIG 7C /r" "Vx= Hx Wx" float(FpOp::HorizontalAdd, Lanes::Pd);
            "VHSUBPS" "F2.0F.WIG 7D /r" "Vx= Hx Wx" float(FpOp::HorizontalSub, Lanes::Ps);
            "VHSUBPD" "66.0F.WIG 7D /r" "Vx= Hx Wx" float(FpOp::HorizontalSub, Lanes::Pd);
            "VCMPPS" "NP.0F.WIG C2 /r" "Vx= Hx Wx Ib" float(FpOp::Compare, Lanes::Ps);
            "VCMPPD" "66.0F.WIG C2 /r" "Vx= Hx Wx Ib" float(FpOp::Compare, Lanes::Pd);
            "VROUNDPS" "66.0F3A.WIG 08 /r" "Vx= Wx Ib" float(FpOp::Round, Lanes::Ps);
            "VROUNDPD" "66.0F3A.WIG 09 /r" "Vx= Wx Ib" float(FpOp::Round, Lanes::Pd);
            "VDPPS" "66.0F3A.WIG 40 /r" "Vx= Hx Wx Ib" float(FpOp::DotProduct, Lanes::Ps);
            "VMOVAPS" "NP.0F.WIG 28 /r" "Vx= Wx" Simd::Move;
            "VMOVAPS" "NP.0F.WIG 29 /r" "Wx= Vx" Simd::Move;
            "VMOVAPD" "66.0F.WIG 28 /r" "Vx= Wx" Simd::Move;
            "VMOVAPD" "66.0F.WIG 29 /r" "Wx= Vx" Simd::Move;
            "VMOVDQA" "66.0F.WIG 6F /r" "Vx= Wx" Simd::Move;
            "VMOVDQA" "66.0F.WIG 7F /r" "Wx= Vx" Simd::Move;
            "VMOVUPS" "NP.0F.WIG 10 /r" "Vx= Wx" Simd::MoveUnaligned;
            "VMOVUPS" "NP.0F.WIG 11 /r" "Wx= Vx" Simd::MoveUnaligned;
            "VMOVUPD" "66.0F.WIG 10 /r" "Vx= Wx" Simd::MoveUnaligned;
            "VMOVUPD" "66.0F.WIG 11 /r" "Wx= Vx" Simd::MoveUnaligned;
            "VMOVDQU" "F3.0F.WIG 6F /r" "Vx= Wx" Simd::MoveUnaligned;
            "VMOVDQU" "F3.0F.WIG 7F /r" "Wx= Vx" Simd::MoveUnaligned;
            "VLDDQU" "F2.0F.WIG F0 /r" "Vx= Mx" Simd::MoveUnaligned;
            "VMOVNTPS" "NP.0F.WIG 2B /r" "Mx= Vx" Simd::Move;
            "VMOVNTPD" "66.0F.WIG 2B /r" "Mx= Vx" Simd::Move;
            "VMOVNTDQ" "66.0F.WIG E7 /r" "Mx= Vx" Simd::Move;
            "VMOVSLDUP" "F3.0F.WIG 12 /r" "Vx= Wx" lanes(PackedOp::Movsldup);
            "VMOVSHDUP" "F3.0F.WIG 16 /r" "Vx= Wx" lanes(PackedOp::Movshdup);
            "VCVTDQ2PS" "NP.0F.WIG 5B /r" "Vx= Wx" convert(ConvertOp::Cvtdq2ps);
            "VCVTPS2DQ" "66.0F.WIG 5B /r" "Vx= Wx" convert(ConvertOp::Cvtps2dq);
            "VCVTTPS2DQ" "F3.0F.WIG 5B /r" "Vx= Wx" convert(ConvertOp::Cvttps2dq);
            "VCVTDQ2PD" "F3.0F.WIG E6 /r" "Vx= Wx2" convert(ConvertOp::Cvtdq2pd);
            "VCVTPD2DQ" "F2.0F.WIG E6 /r" "Vdq= Wx" convert(ConvertOp::Cvtpd2dq);
            "VCVTTPD2DQ" "66.0F.WIG E6 /r" "Vdq= Wx" convert(ConvertOp::Cvttpd2dq);
            "VCVTPS2PD" "NP.0F.WIG 5A /r" "Vx= Wx2" convert(ConvertOp::Cvtps2pd);
            "VCVTPD2PS" "66.0F.WIG 5A /r" "Vdq= Wx" convert(ConvertOp::Cvtpd2ps);
        )
    };
}

pub const INTEGERS_128: &[Row] = integers!("128" Avx);
pub const INTEGERS_256: &[Row] = integers!("256" Avx2);
pub const FLOATS_128: &[Row] = floats!("128");
pub const FLOATS_256: &[Row] = floats!("256");

/// Of 128 bits only.
pub const ONLY_128: &[Row] = vex_rows!("128" Avx;
    "VPHMINPOSUW" "66.0F38.WIG 41 /r" "V= Wdq" lanes(PackedOp::Phminposuw);
    "VINSERTPS" "66.0F3A.WIG 21 /r" "V= H Wd Ib" imm(PackedImmOp::Insertps);
    "VDPPD" "66.0F3A.WIG 41 /r" "V= H Wdq Ib" float(FpOp::DotProduct, Lanes::Pd);
    "VMOVDDUP" "F2.0F.WIG 12 /r" "V= Wq" lanes(PackedOp::Movddup);
    "VMOVQ" "F3.0F.WIG 7E /r" "V= Wq" Simd::MoveQuadword;
    "VMOVQ" "66.0F.WIG D6 /r" "Wq= V" Simd::MoveQuadword;
    "VMOVLPS" "NP.0F.WIG 12 /r" "V= H Mq" Simd::MoveLow;
    "VMOVLPS" "NP.0F.WIG 13 /r" "Mq= V" Simd::MoveLow;
    "VMOVLPD" "66.0F.WIG 12 /r" "V= H Mq" Simd::MoveLow;
    "VMOVLPD" "66.0F.WIG 13 /r" "Mq= V" Simd::MoveLow;
    "VMOVHPS" "NP.0F.WIG 16 /r" "V= H Mq" Simd::MoveHigh;
    "VMOVHPS" "NP.0F.WIG 17 /r" "Mq= V" Simd::MoveHigh;
    "VMOVHPD" "66.0F.WIG 16 /r" "V= H Mq" Simd::MoveHigh;
    "VMOVHPD" "66.0F.WIG 17 /r" "Mq= V" Simd::MoveHigh;
    "VMOVHLPS" "NP.0F.WIG 12 /r" "V= H U" lanes(PackedOp::Movhlps);
    "VMOVLHPS" "NP.0F.WIG 16 /r" "V= H U" lanes(PackedOp::Punpcklqdq);
    "VMOVD" "66.0F 6E /r" "V= Ey" Simd::MoveFromGeneral;
    "VMOVD" "66.0F 7E /r" "Ey= V" Simd::MoveToGeneral;
    "VMASKMOVDQU" "66.0F.WIG F7 /r" "Masked= V U" Simd::Maskmovdqu;
    "VPINSRW" "66.0F.WIG C4 /r" "V= H Rd/Mw Ib" Simd::Insert(Width::W16);
    "VPINSRB" "66.0F3A.WIG 20 /r" "V= H Rd/Mb Ib" Simd::Insert(Width::W8);
    "VPEXTRW" "66.0F.WIG C5 /r" "Gd= U Ib" Simd::Extract(Width::W16);
    "VPEXTRB" "66.0F3A.WIG 14 /r" "Rd/Mb= V Ib" Simd::Extract(Width::W8);
    "VPEXTRW" "66.0F3A.WIG 15 /r" "Rd/Mw= V Ib" Simd::Extract(Width::W16);
    "VEXTRACTPS" "66.0F3A.WIG 17 /r" "Ed= V Ib" Simd::Extract(Width::W32);
);

pub const ONLY_256: &[Row] = vex_rows!("256" Avx;
    "VMOVDDUP" "F2.0F.WIG 12 /r" "Vqq= Wqq" lanes(PackedOp::Movddup);
);

pub const SCALARS: &[Row] = vex_rows!("LIG" Avx;
    "VSQRTSS" "F3.0F.WIG 51 /r" "V= H Wd" float(FpOp::Sqrt, Lanes::Ss);
    "VSQRTSD" "F2.0F.WIG 51 /r" "V= H Wq" float(FpOp::Sqrt, Lanes::Sd);
    "VADDSS" "F3.0F.WIG 58 /r" "V= H Wd" float(FpOp::Add, Lanes::Ss);
    "VADDSD" "F2.0F.WIG 58 /r" "V= H Wq" float(FpOp::Add, Lanes::Sd);
    "VMULSS" "F3.0F.WIG 59 /r" "V= H Wd" float(FpOp::Mul, Lanes::Ss);
    "VMULSD" "F2.0F.WIG 59 /r" "V= H Wq" float(FpOp::Mul, Lanes::Sd);
    "VSUBSS" "F3.0F.WIG 5C /r" "V= H Wd" float(FpOp::Sub, Lanes::Ss);
    "VSUBSD" "F2.0F.WIG 5C /r" "V= H Wq" float(FpOp::Sub, Lanes::Sd);
    "VMINSS" "F3.0F.WIG 5D /r" "V= H Wd" float(FpOp::Min, Lanes::Ss);
    "VMINSD" "F2.0F.WIG 5D /r" "V= H Wq" float(FpOp::Min, Lanes::Sd);
    "VDIVSS" "F3.0F.WIG 5E /r" "V= H Wd" float(FpOp::Div, Lanes::Ss);
    "VDIVSD" "F2.0F.WIG 5E /r" "V= H Wq" float(FpOp::Div, Lanes::Sd);
    "VMAXSS" "F3.0F.WIG 5F /r" "V= H Wd" float(FpOp::Max, Lanes::Ss);
    "VMAXSD" "F2.0F.WIG 5F /r" "V= H Wq" float(FpOp::Max, Lanes::Sd);
    "VRCPSS" "F3.0F.WIG 53 /r" "V= H Wd" float(FpOp::Rcp, Lanes::Ss);
    "VRSQRTSS" "F3.0F.WIG 52 /r" "V= H Wd" float(FpOp::Rsqrt, Lanes::Ss);
    "VCMPSS" "F3.0F.WIG C2 /r" "V= H Wd Ib" float(FpOp::Compare, Lanes::Ss);
    "VCMPSD" "F2.0F.WIG C2 /r" "V= H Wq Ib" float(FpOp::Compare, Lanes::Sd);
    "VROUNDSS" "66.0F3A.WIG 0A /r" "V= H Wd Ib" float(FpOp::Round, Lanes::Ss);
    "VROUNDSD" "66.0F3A.WIG 0B /r" "V= H Wq Ib" float(FpOp::Round, Lanes::Sd);
    "VMOVSS" "F3.0F.WIG 10 /r" "V= Md" Simd::MoveScalar(Lanes::Ss);
    "VMOVSS" "F3.0F.WIG 10 /r" "V= H U" Simd::MoveScalar(Lanes::Ss);
    "VMOVSS" "F3.0F.WIG 11 /r" "Md= V" Simd::MoveScalar(Lanes::Ss);
    "VMOVSS" "F3.0F.WIG 11 /r" "U= H V" Simd::MoveScalar(Lanes::Ss);
    "VMOVSD" "F2.0F.WIG 10 /r" "V= Mq" Simd::MoveScalar(Lanes::Sd);
    "VMOVSD" "F2.0F.WIG 10 /r" "V= H U" Simd::MoveScalar(Lanes::Sd);
    "VMOVSD" "F2.0F.WIG 11 /r" "Mq= V" Simd::MoveScalar(Lanes::Sd);
    "VMOVSD" "F2.0F.WIG 11 /r" "U= H V" Simd::MoveScalar(Lanes::Sd);
    "VCVTSS2SD" "F3.0F.WIG 5A /r" "V= H Wd" convert(ConvertOp::Cvtss2sd);
    "VCVTSD2SS" "F2.0F.WIG 5A /r" "V= H Wq" convert(ConvertOp::Cvtsd2ss);
    "VCVTSI2SS" "F3.0F 2A /r" "V= H Ey" Simd::IntegerToScalar(Lanes::Ss);
    "VCVTSI2SD" "F2.0F 2A /r" "V= H Ey" Simd::IntegerToScalar(Lanes::Sd);
    "VCVTSS2SI" "F3.0F 2D /r" "Gy= Wd" Simd::ScalarToInteger(Lanes::Ss);
    "VCVTSD2SI" "F2.0F 2D /r" "Gy= Wq" Simd::ScalarToInteger(Lanes::Sd);
    "VCVTTSS2SI" "F3.0F 2C /r" "Gy= Wd" Simd::ScalarToIntegerTruncating(Lanes::Ss);
    "VCVTTSD2SI" "F2.0F 2C /r" "Gy= Wq" Simd::ScalarToIntegerTruncating(Lanes::Sd);
);

const fn to_flags(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd)).flags("OSZAPC").on(Avx)
}

/// What sets status flags.
pub const TO_FLAGS: &[Row] = &[
    to_flags("VUCOMISS", "VEX.LIG.NP.0F.WIG 2E /r", "V Wd", Simd::CompareUnordered(Lanes::Ss)),
    to_flags("VUCOMISD", "VEX.LIG.66.0F.WIG 2E /r", "V Wq", Simd::CompareUnordered(Lanes::Sd)),
    to_flags("VCOMISS", "VEX.LIG.NP.0F.WIG 2F /r", "V Wd", Simd::CompareOrdered(Lanes::Ss)),
    to_flags("VCOMISD", "VEX.LIG.66.0F.WIG 2F /r", "V Wq", Simd::CompareOrdered(Lanes::Sd)),
    to_flags("VPTEST", "VEX.128.66.0F38.WIG 17 /r", "Vx Wx", Simd::Ptest),
    to_flags("VPTEST", "VEX.256.66.0F38.WIG 17 /r", "Vx Wx", Simd::Ptest),
    to_flags("VTESTPS", "VEX.128.66.0F38.W0 0E /r", "Vx Wx", Simd::TestSigns(32)),
    to_flags("VTESTPS", "VEX.256.66.0F38.W0 0E /r", "Vx Wx", Simd::TestSigns(32)),
    to_flags("VTESTPD", "VEX.128.66.0F38.W0 0F /r", "Vx Wx", Simd::TestSigns(64)),
    to_flags("VTESTPD", "VEX.256.66.0F38.W0 0F /r", "Vx Wx", Simd::TestSigns(64)),
    to_flags("VPCMPESTRM", "VEX.128.66.0F3A 60 /r", "V Wdq Ib", Simd::String(StringOp::Pcmpestrm)),
    to_flags("VPCMPESTRI", "VEX.128.66.0F3A 61 /r", "V Wdq Ib", Simd::String(StringOp::Pcmpestri)),
    to_flags("VPCMPISTRM", "VEX.128.66.0F3A.WIG 62 /r", "V Wdq Ib", Simd::String(StringOp::Pcmpistrm)),
    to_flags("VPCMPISTRI", "VEX.128.66.0F3A.WIG 63 /r", "V Wdq Ib", Simd::String(StringOp::Pcmpistri)),
];

const fn element(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd)).on(Avx)
}

/// Doublewords or, where 64-bit mode has VEX.W set, quadwords.
pub const ELEMENTS: &[Row] = &[
    element("VPINSRD", "VEX.128.66.0F3A 22 /r", "V= H Ed Ib", Simd::Insert(Width::W32)),
    element("VPINSRQ", "VEX.128.66.0F3A.W1 22 /r", "V= H Eq Ib", Simd::Insert(Width::W64)).notes("o64"),
    element("VPEXTRD", "VEX.128.66.0F3A 16 /r", "Ed= V Ib", Simd::Extract(Width::W32)),
    element("VPEXTRQ", "VEX.128.66.0F3A.W1 16 /r", "Eq= V Ib", Simd::Extract(Width::W64)).notes("o64"),
];

/// The state of the unit.
pub const STATE: &[Row] = &[
    row("VLDMXCSR", "VEX.LZ.NP.0F.WIG AE /2", "Md", Sem::Simd(Simd::Ldmxcsr)).on(Avx),
    row("VSTMXCSR", "VEX.LZ.NP.0F.WIG AE /3", "Md=", Sem::Simd(Simd::Stmxcsr)).on(Avx),
    row("VZEROUPPER", "VEX.128.NP.0F.WIG 77", "", Sem::Simd(Simd::Vzeroupper)).on(Avx),
    row("VZEROALL", "VEX.256.NP.0F.WIG 77", "", Sem::Simd(Simd::Vzeroall)).on(Avx),
];

//! Floating-point arithmetic and comparison (Intel SDM vol. 1, 10.4, 11.4.1, 12.3, 12.10).

use super::{FloatOp, FpOp, Lanes, Simd, VectorEngine, enabled, first, set_vector, source};
use crate::Feature::{self, Sse, Sse2, Sse3, Sse41};
use crate::flags::set_status;
use crate::{Op, Row, Sem, Vex, row};

const fn arithmetic(mnemonic: &'static str, encoding: &'static str, op: FpOp, lanes: Lanes, feature: Feature) -> Row {
    let operands = match lanes {
        Lanes::Ss => "V+ Wd",
        Lanes::Sd => "V+ Wq",
        Lanes::Ps | Lanes::Pd => "V+ Wdq",
    };
    row(mnemonic, encoding, operands, Sem::Simd(Simd::Float(FloatOp::new(op, lanes)))).on(feature)
}

const fn with_imm(mnemonic: &'static str, encoding: &'static str, op: FpOp, lanes: Lanes, feature: Feature) -> Row {
    let operands = match lanes {
        Lanes::Ss => "V+ Wd Ib",
        Lanes::Sd => "V+ Wq Ib",
        Lanes::Ps | Lanes::Pd => "V+ Wdq Ib",
    };
    row(mnemonic, encoding, operands, Sem::Simd(Simd::Float(FloatOp::new(op, lanes)))).on(feature)
}

const fn compare_row(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd)).flags("OSZAPC")
}

/// By the number [`FloatOp`] packs.
pub const OPERATIONS: [FpOp; 15] = [
    FpOp::Add,
    FpOp::Sub,
    FpOp::Mul,
    FpOp::Div,
    FpOp::Min,
    FpOp::Max,
    FpOp::Sqrt,
    FpOp::Rcp,
    FpOp::Rsqrt,
    FpOp::Compare,
    FpOp::Round,
    FpOp::DotProduct,
    FpOp::AddSub,
    FpOp::HorizontalAdd,
    FpOp::HorizontalSub,
];

pub const ROWS: &[Row] = &[
    arithmetic("SQRTPS", "NP 0F 51 /r", FpOp::Sqrt, Lanes::Ps, Sse),
    arithmetic("SQRTPD", "66 0F 51 /r", FpOp::Sqrt, Lanes::Pd, Sse2),
    arithmetic("SQRTSS", "F3 0F 51 /r", FpOp::Sqrt, Lanes::Ss, Sse),
    arithmetic("SQRTSD", "F2 0F 51 /r", FpOp::Sqrt, Lanes::Sd, Sse2),
    arithmetic("ADDPS", "NP 0F 58 /r", FpOp::Add, Lanes::Ps, Sse),
    arithmetic("ADDPD", "66 0F 58 /r", FpOp::Add, Lanes::Pd, Sse2),
    arithmetic("ADDSS", "F3 0F 58 /r", FpOp::Add, Lanes::Ss, Sse),
    arithmetic("ADDSD", "F2 0F 58 /r", FpOp::Add, Lanes::Sd, Sse2),
    arithmetic("MULPS", "NP 0F 59 /r", FpOp::Mul, Lanes::Ps, Sse),
    arithmetic("MULPD", "66 0F 59 /r", FpOp::Mul, Lanes::Pd, Sse2),
    arithmetic("MULSS", "F3 0F 59 /r", FpOp::Mul, Lanes::Ss, Sse),
    arithmetic("MULSD", "F2 0F 59 /r", FpOp::Mul, Lanes::Sd, Sse2),
    arithmetic("SUBPS", "NP 0F 5C /r", FpOp::Sub, Lanes::Ps, Sse),
    arithmetic("SUBPD", "66 0F 5C /r", FpOp::Sub, Lanes::Pd, Sse2),
    arithmetic("SUBSS", "F3 0F 5C /r", FpOp::Sub, Lanes::Ss, Sse),
    arithmetic("SUBSD", "F2 0F 5C /r", FpOp::Sub, Lanes::Sd, Sse2),
    arithmetic("MINPS", "NP 0F 5D /r", FpOp::Min, Lanes::Ps, Sse),
    arithmetic("MINPD", "66 0F 5D /r", FpOp::Min, Lanes::Pd, Sse2),
    arithmetic("MINSS", "F3 0F 5D /r", FpOp::Min, Lanes::Ss, Sse),
    arithmetic("MINSD", "F2 0F 5D /r", FpOp::Min, Lanes::Sd, Sse2),
    arithmetic("DIVPS", "NP 0F 5E /r", FpOp::Div, Lanes::Ps, Sse),
    arithmetic("DIVPD", "66 0F 5E /r", FpOp::Div, Lanes::Pd, Sse2),
    arithmetic("DIVSS", "F3 0F 5E /r", FpOp::Div, Lanes::Ss, Sse),
    arithmetic("DIVSD", "F2 0F 5E /r", FpOp::Div, Lanes::Sd, Sse2),
    arithmetic("MAXPS", "NP 0F 5F /r", FpOp::Max, Lanes::Ps, Sse),
    arithmetic("MAXPD", "66 0F 5F /r", FpOp::Max, Lanes::Pd, Sse2),
    arithmetic("MAXSS", "F3 0F 5F /r", FpOp::Max, Lanes::Ss, Sse),
    arithmetic("MAXSD", "F2 0F 5F /r", FpOp::Max, Lanes::Sd, Sse2),
    arithmetic("RCPPS", "NP 0F 53 /r", FpOp::Rcp, Lanes::Ps, Sse),
    arithmetic("RCPSS", "F3 0F 53 /r", FpOp::Rcp, Lanes::Ss, Sse),
    arithmetic("RSQRTPS", "NP 0F 52 /r", FpOp::Rsqrt, Lanes::Ps, Sse),
    arithmetic("RSQRTSS", "F3 0F 52 /r", FpOp::Rsqrt, Lanes::Ss, Sse),
    arithmetic("ADDSUBPS", "F2 0F D0 /r", FpOp::AddSub, Lanes::Ps, Sse3),
    arithmetic("ADDSUBPD", "66 0F D0 /r", FpOp::AddSub, Lanes::Pd, Sse3),
    arithmetic("HADDPS", "F2 0F 7C /r", FpOp::HorizontalAdd, Lanes::Ps, Sse3),
    arithmetic("HADDPD", "66 0F 7C /r", FpOp::HorizontalAdd, Lanes::Pd, Sse3),
    arithmetic("HSUBPS", "F2 0F 7D /r", FpOp::HorizontalSub, Lanes::Ps, Sse3),
    arithmetic("HSUBPD", "66 0F 7D /r", FpOp::HorizontalSub, Lanes::Pd, Sse3),
    with_imm("CMPPS", "NP 0F C2 /r", FpOp::Compare, Lanes::Ps, Sse),
    with_imm("CMPPD", "66 0F C2 /r", FpOp::Compare, Lanes::Pd, Sse2),
    with_imm("CMPSS", "F3 0F C2 /r", FpOp::Compare, Lanes::Ss, Sse),
    with_imm("CMPSD", "F2 0F C2 /r", FpOp::Compare, Lanes::Sd, Sse2),
    with_imm("ROUNDPS", "66 0F 3A 08 /r", FpOp::Round, Lanes::Ps, Sse41),
    with_imm("ROUNDPD", "66 0F 3A 09 /r", FpOp::Round, Lanes::Pd, Sse41),
    with_imm("ROUNDSS", "66 0F 3A 0A /r", FpOp::Round, Lanes::Ss, Sse41),
    with_imm("ROUNDSD", "66 0F 3A 0B /r", FpOp::Round, Lanes::Sd, Sse41),
    with_imm("DPPS", "66 0F 3A 40 /r", FpOp::DotProduct, Lanes::Ps, Sse41),
    with_imm("DPPD", "66 0F 3A 41 /r", FpOp::DotProduct, Lanes::Pd, Sse41),
    compare_row("UCOMISS", "NP 0F 2E /r", "V Wd", Simd::CompareUnordered(Lanes::Ss)).on(Sse),
    compare_row("UCOMISD", "66 0F 2E /r", "V Wq", Simd::CompareUnordered(Lanes::Sd)).on(Sse2),
    compare_row("COMISS", "NP 0F 2F /r", "V Wd", Simd::CompareOrdered(Lanes::Ss)).on(Sse),
    compare_row("COMISD", "66 0F 2F /r", "V Wq", Simd::CompareOrdered(Lanes::Sd)).on(Sse2),
];

/// The immediate, of which a comparison without VEX prefix looks at three bits only.
pub(super) fn immediate(op: &Op, kind: FloatOp) -> u8 {
    let predicates = if op.vex == Vex::None { 7 } else { 0x1f };
    if kind.op() == FpOp::Compare { op.imm as u8 & predicates } else { op.imm as u8 }
}

pub fn float<E: VectorEngine>(e: &mut E, op: &Op, kind: FloatOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let a = first(e, op);
    let [value] = e.float(kind, [a], [b], immediate(op, kind))?;
    set_vector(e, op, op.dst, value);
    Ok(())
}

/// OF, SF and AF are cleared. A quiet comparison minds signaling NaNs only.
pub fn compare<E: VectorEngine>(e: &mut E, op: &Op, lanes: Lanes, quiet: bool) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let a = e.xmm(op.dst);
    let eflags = e.compare(lanes, quiet, a, b)?;
    set_status(e, eflags);
    Ok(())
}

//! Conversions (Intel SDM vol. 1, 10.4.3, 11.4.1.6).

use super::{ConvertOp, Lanes, Simd, VectorEngine, enabled, first, set_vector, source, source_mmx, zero_extended};
use crate::Feature::{Sse, Sse2};
use crate::{Form, Op, Row, Sem, row};

const fn simd(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd))
}

const fn between(mnemonic: &'static str, encoding: &'static str, operands: &'static str, op: ConvertOp) -> Row {
    simd(mnemonic, encoding, operands, Simd::Convert(op)).on(Sse2)
}

pub const ROWS: &[Row] = &[
    between("CVTDQ2PS", "NP 0F 5B /r", "V= Wdq", ConvertOp::Cvtdq2ps),
    between("CVTPS2DQ", "66 0F 5B /r", "V= Wdq", ConvertOp::Cvtps2dq),
    between("CVTTPS2DQ", "F3 0F 5B /r", "V= Wdq", ConvertOp::Cvttps2dq),
    between("CVTDQ2PD", "F3 0F E6 /r", "V= Wq", ConvertOp::Cvtdq2pd),
    between("CVTPD2DQ", "F2 0F E6 /r", "V= Wdq", ConvertOp::Cvtpd2dq),
    between("CVTTPD2DQ", "66 0F E6 /r", "V= Wdq", ConvertOp::Cvttpd2dq),
    between("CVTPS2PD", "NP 0F 5A /r", "V= Wq", ConvertOp::Cvtps2pd),
    between("CVTPD2PS", "66 0F 5A /r", "V= Wdq", ConvertOp::Cvtpd2ps),
    between("CVTSS2SD", "F3 0F 5A /r", "V+ Wd", ConvertOp::Cvtss2sd),
    between("CVTSD2SS", "F2 0F 5A /r", "V+ Wq", ConvertOp::Cvtsd2ss),
    simd("CVTPI2PS", "NP 0F 2A /r", "V+ Qq", Simd::ConvertFromMmx(ConvertOp::Cvtpi2ps)).on(Sse),
    simd("CVTPI2PD", "66 0F 2A /r", "V= Qq", Simd::ConvertFromMmx(ConvertOp::Cvtdq2pd)).on(Sse2),
    simd("CVTPS2PI", "NP 0F 2D /r", "P= Wq", Simd::ConvertToMmx(ConvertOp::Cvtps2pi)).on(Sse),
    simd("CVTTPS2PI", "NP 0F 2C /r", "P= Wq", Simd::ConvertToMmx(ConvertOp::Cvttps2pi)).on(Sse),
    simd("CVTPD2PI", "66 0F 2D /r", "P= Wdq", Simd::ConvertToMmx(ConvertOp::Cvtpd2dq)).on(Sse2),
    simd("CVTTPD2PI", "66 0F 2C /r", "P= Wdq", Simd::ConvertToMmx(ConvertOp::Cvttpd2dq)).on(Sse2),
    simd("CVTSI2SS", "F3 0F 2A /r", "V+ Ey", Simd::IntegerToScalar(Lanes::Ss)).on(Sse),
    simd("CVTSI2SD", "F2 0F 2A /r", "V+ Ey", Simd::IntegerToScalar(Lanes::Sd)).on(Sse2),
    simd("CVTSS2SI", "F3 0F 2D /r", "Gy= Wd", Simd::ScalarToInteger(Lanes::Ss)).on(Sse),
    simd("CVTSD2SI", "F2 0F 2D /r", "Gy= Wq", Simd::ScalarToInteger(Lanes::Sd)).on(Sse2),
    simd("CVTTSS2SI", "F3 0F 2C /r", "Gy= Wd", Simd::ScalarToIntegerTruncating(Lanes::Ss)).on(Sse),
    simd("CVTTSD2SI", "F2 0F 2C /r", "Gy= Wq", Simd::ScalarToIntegerTruncating(Lanes::Sd)).on(Sse2),
];

pub fn convert<E: VectorEngine>(e: &mut E, op: &Op, kind: ConvertOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = source(e, op)?;
    let a = first(e, op);
    let [value] = e.convert(kind, [a], [b])?;
    set_vector(e, op, op.dst, value);
    Ok(())
}

/// A memory operand leaves the x87 alone (SDM vol. 2, CVTPI2PD; processors do so for CVTPI2PS as well).
pub fn from_mmx<E: VectorEngine>(e: &mut E, op: &Op, kind: ConvertOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let untouched = op.form == Form::Rm;
    if !untouched {
        e.mmx_enabled()?;
    }
    let b = source_mmx(e, op)?;
    if !untouched {
        e.enter_mmx();
    }
    let (a, b) = (e.xmm(op.dst), zero_extended(e, b));
    let [value] = e.convert(kind, [a], [b])?;
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn to_mmx<E: VectorEngine>(e: &mut E, op: &Op, kind: ConvertOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    e.mmx_enabled()?;
    let b = source(e, op)?;
    let [value] = e.convert(kind, [b], [b])?;
    let value = e.low(value);
    e.enter_mmx();
    e.set_mmx(op.dst, value);
    Ok(())
}

pub fn from_integer<E: VectorEngine>(e: &mut E, op: &Op, lanes: Lanes) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let integer = if op.form == Form::Rm { e.load(op.width, op)? } else { e.register(op.width, op.src) };
    let a = first(e, op);
    let value = e.integer_to_lane(lanes, op.width, a, integer)?;
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn to_integer<E: VectorEngine>(e: &mut E, op: &Op, lanes: Lanes, truncate: bool) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let a = source(e, op)?;
    let value = e.lane_to_integer(lanes, op.width, truncate, a)?;
    e.set_register(op.width, op.dst, value);
    Ok(())
}

//! Data movement (Intel SDM vol. 1, 9.4.1, 10.4.1.1, 11.4.1.1, 11.4.2).

use super::{
    Lanes, PackedOp, Simd, VectorEngine, enabled, first, set_vector, source, source_mmx, with_low, zero_extended,
};
use crate::Feature::{Mmx, Sse, Sse2, Sse3, Sse41};
use crate::{Feature, Form, Op, Row, Sem, Width, row};

const fn simd(mnemonic: &'static str, encoding: &'static str, operands: &'static str, simd: Simd) -> Row {
    row(mnemonic, encoding, operands, Sem::Simd(simd))
}

const fn load(mnemonic: &'static str, encoding: &'static str, simd: Simd, feature: Feature) -> Row {
    row(mnemonic, encoding, "V= Wdq", Sem::Simd(simd)).on(feature)
}

const fn store(mnemonic: &'static str, encoding: &'static str, simd: Simd, feature: Feature) -> Row {
    row(mnemonic, encoding, "Wdq= V", Sem::Simd(simd)).on(feature)
}

const fn stream(mnemonic: &'static str, encoding: &'static str, feature: Feature) -> Row {
    row(mnemonic, encoding, "Mdq= V", Sem::Simd(Simd::Move)).on(feature)
}

pub const ROWS: &[Row] = &[
    load("MOVAPS", "NP 0F 28 /r", Simd::Move, Sse),
    load("MOVAPD", "66 0F 28 /r", Simd::Move, Sse2),
    load("MOVDQA", "66 0F 6F /r", Simd::Move, Sse2),
    load("MOVUPS", "NP 0F 10 /r", Simd::MoveUnaligned, Sse),
    load("MOVUPD", "66 0F 10 /r", Simd::MoveUnaligned, Sse2),
    load("MOVDQU", "F3 0F 6F /r", Simd::MoveUnaligned, Sse2),
    simd("LDDQU", "F2 0F F0 /r", "V= Mdq", Simd::MoveUnaligned).on(Sse3),
    simd("MOVNTDQA", "66 0F 38 2A /r", "V= Mdq", Simd::Move).on(Sse41),
    store("MOVAPS", "NP 0F 29 /r", Simd::Move, Sse),
    store("MOVAPD", "66 0F 29 /r", Simd::Move, Sse2),
    store("MOVDQA", "66 0F 7F /r", Simd::Move, Sse2),
    store("MOVUPS", "NP 0F 11 /r", Simd::MoveUnaligned, Sse),
    store("MOVUPD", "66 0F 11 /r", Simd::MoveUnaligned, Sse2),
    store("MOVDQU", "F3 0F 7F /r", Simd::MoveUnaligned, Sse2),
    stream("MOVNTPS", "NP 0F 2B /r", Sse),
    stream("MOVNTPD", "66 0F 2B /r", Sse2),
    stream("MOVNTDQ", "66 0F E7 /r", Sse2),
    simd("MOVSS", "F3 0F 10 /r", "V+ Wd", Simd::MoveScalar(Lanes::Ss)).on(Sse),
    simd("MOVSS", "F3 0F 11 /r", "Wd+ V", Simd::MoveScalar(Lanes::Ss)).on(Sse),
    simd("MOVSD", "F2 0F 10 /r", "V+ Wq", Simd::MoveScalar(Lanes::Sd)).on(Sse2),
    simd("MOVSD", "F2 0F 11 /r", "Wq+ V", Simd::MoveScalar(Lanes::Sd)).on(Sse2),
    simd("MOVQ", "F3 0F 7E /r", "V= Wq", Simd::MoveQuadword).on(Sse2),
    simd("MOVQ", "66 0F D6 /r", "Wq= V", Simd::MoveQuadword).on(Sse2),
    simd("MOVLPS", "NP 0F 12 /r", "V+ Mq", Simd::MoveLow).on(Sse),
    simd("MOVLPS", "NP 0F 13 /r", "Mq= V", Simd::MoveLow).on(Sse),
    simd("MOVLPD", "66 0F 12 /r", "V+ Mq", Simd::MoveLow).on(Sse2),
    simd("MOVLPD", "66 0F 13 /r", "Mq= V", Simd::MoveLow).on(Sse2),
    simd("MOVHPS", "NP 0F 16 /r", "V+ Mq", Simd::MoveHigh).on(Sse),
    simd("MOVHPS", "NP 0F 17 /r", "Mq= V", Simd::MoveHigh).on(Sse),
    simd("MOVHPD", "66 0F 16 /r", "V+ Mq", Simd::MoveHigh).on(Sse2),
    simd("MOVHPD", "66 0F 17 /r", "Mq= V", Simd::MoveHigh).on(Sse2),
    simd("MOVHLPS", "NP 0F 12 /r", "V+ U", Simd::Packed(PackedOp::Movhlps)).on(Sse),
    simd("MOVLHPS", "NP 0F 16 /r", "V+ U", Simd::Packed(PackedOp::Punpcklqdq)).on(Sse),
    simd("MOVDDUP", "F2 0F 12 /r", "V= Wq", Simd::Packed(PackedOp::Movddup)).on(Sse3),
    simd("MOVSLDUP", "F3 0F 12 /r", "V= Wdq", Simd::Packed(PackedOp::Movsldup)).on(Sse3),
    simd("MOVSHDUP", "F3 0F 16 /r", "V= Wdq", Simd::Packed(PackedOp::Movshdup)).on(Sse3),
    simd("MOVD", "66 0F 6E /r", "V= Ey", Simd::MoveFromGeneral).on(Sse2),
    simd("MOVD", "66 0F 7E /r", "Ey= V", Simd::MoveToGeneral).on(Sse2),
    simd("MOVD", "NP 0F 6E /r", "P= Ey", Simd::MoveFromGeneralMmx).on(Mmx),
    simd("MOVD", "NP 0F 7E /r", "Ey= P", Simd::MoveToGeneralMmx).on(Mmx),
    simd("MOVQ", "NP 0F 6F /r", "P= Qq", Simd::MoveMmx).on(Mmx),
    simd("MOVQ", "NP 0F 7F /r", "Qq= P", Simd::MoveMmx).on(Mmx),
    simd("MOVNTQ", "NP 0F E7 /r", "Mq= P", Simd::MoveMmx).on(Sse),
    simd("MOVQ2DQ", "F3 0F D6 /r", "V= N", Simd::Movq2dq).on(Sse2),
    simd("MOVDQ2Q", "F2 0F D6 /r", "P= U", Simd::Movdq2q).on(Sse2),
    simd("MASKMOVDQU", "66 0F F7 /r", "Masked= V U", Simd::Maskmovdqu).on(Sse2),
    simd("MASKMOVQ", "NP 0F F7 /r", "Masked= P N", Simd::Maskmovq).on(Sse),
];

pub fn whole<E: VectorEngine>(e: &mut E, op: &Op, aligned: bool) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = if op.form == Form::Rm { e.load_vector(op, aligned)? } else { e.xmm(op.src) };
    if op.form == Form::Mr {
        return e.store_vector(op, aligned, value);
    }
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let value = source_mmx(e, op)?;
    if op.form == Form::Mr {
        e.store(Width::W64, op, value)?;
        e.enter_mmx();
        return Ok(());
    }
    e.enter_mmx();
    e.set_mmx(op.dst, value);
    Ok(())
}

/// From memory the rest of the register is cleared, from a register it is kept.
pub fn scalar<E: VectorEngine>(e: &mut E, op: &Op, lanes: Lanes) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let width = if lanes == Lanes::Ss { Width::W32 } else { Width::W64 };
    let value = source(e, op)?;
    match op.form {
        Form::Rm => set_vector(e, op, op.dst, value),
        Form::Mr => {
            let low = e.low(value);
            let low = e.truncate(width, low);
            return e.store(width, op, low);
        }
        _ => {
            let (old, new) = (first(e, op), e.low(value));
            let old_low = e.low(old);
            let mask = e.imm(!width.mask());
            let kept = e.and(old_low, mask);
            let new = e.truncate(width, new);
            let low = e.or(kept, new);
            let merged = with_low(e, old, low);
            set_vector(e, op, op.dst, merged);
        }
    }
    Ok(())
}

pub fn quadword<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = source(e, op)?;
    let low = e.low(value);
    if op.form == Form::Mr {
        return e.store(Width::W64, op, low);
    }
    let value = zero_extended(e, low);
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn half<E: VectorEngine>(e: &mut E, op: &Op, upper: bool) -> Result<(), E::Stop> {
    enabled(e, op)?;
    if op.form == Form::Mr {
        let value = e.xmm(op.src);
        let part = if upper { e.high(value) } else { e.low(value) };
        return e.store(Width::W64, op, part);
    }
    let part = e.load(Width::W64, op)?;
    let old = first(e, op);
    let value = if upper {
        let low = e.low(old);
        e.join(low, part)
    } else {
        with_low(e, old, part)
    };
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn from_general<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = if op.form == Form::Rm { e.load(op.width, op)? } else { e.register(op.width, op.src) };
    let value = zero_extended(e, value);
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn to_general<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = e.xmm(op.src);
    let value = e.low(value);
    let value = e.truncate(op.width, value);
    if op.form == Form::Mr {
        return e.store(op.width, op, value);
    }
    e.set_register(op.width, op.dst, value);
    Ok(())
}

pub fn from_general_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let value = if op.form == Form::Rm { e.load(op.width, op)? } else { e.register(op.width, op.src) };
    e.enter_mmx();
    e.set_mmx(op.dst, value);
    Ok(())
}

pub fn to_general_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let value = e.mmx(op.src);
    let value = e.truncate(op.width, value);
    if op.form == Form::Mr {
        e.store(op.width, op, value)?;
    } else {
        e.set_register(op.width, op.dst, value);
    }
    e.enter_mmx();
    Ok(())
}

pub fn movq2dq<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    e.mmx_enabled()?;
    e.enter_mmx();
    let value = e.mmx(op.src);
    let value = zero_extended(e, value);
    set_vector(e, op, op.dst, value);
    Ok(())
}

pub fn movdq2q<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    e.mmx_enabled()?;
    e.enter_mmx();
    let value = e.xmm(op.src);
    let value = e.low(value);
    e.set_mmx(op.dst, value);
    Ok(())
}

pub fn maskmovdqu<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let (value, mask) = (e.xmm(op.src), e.xmm(op.aux));
    e.store_masked(op, 16, value, mask)
}

pub fn maskmovq<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    let (value, mask) = (e.mmx(op.src), e.mmx(op.aux));
    let (value, mask) = (zero_extended(e, value), zero_extended(e, mask));
    e.store_masked(op, 8, value, mask)?;
    e.enter_mmx();
    Ok(())
}

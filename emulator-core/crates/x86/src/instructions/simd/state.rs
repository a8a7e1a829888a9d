//! State and ordering (Intel SDM vol. 1, 9.4.8, 10.4.6).

use super::{Simd, VectorEngine};
use crate::Feature::{Clfsh, Mmx, Sse, Sse2};
use crate::instructions::integer::Int;
use crate::{Op, Row, Sem, Width, row};

pub const ROWS: &[Row] = &[
    row("EMMS", "NP 0F 77", "", Sem::Simd(Simd::Emms)).on(Mmx),
    row("LDMXCSR", "NP 0F AE /2", "Md", Sem::Simd(Simd::Ldmxcsr)).on(Sse),
    row("STMXCSR", "NP 0F AE /3", "Md=", Sem::Simd(Simd::Stmxcsr)).on(Sse),
    row("CLFLUSH", "NP 0F AE /7", "Mb", Sem::Simd(Simd::Clflush)).on(Clfsh),
    // Memory is always in program order here.
    row("LFENCE", "NP 0F AE =E8+i", "", Sem::Int(Int::Nop)).on(Sse2),
    row("MFENCE", "NP 0F AE =F0+i", "", Sem::Int(Int::Nop)).on(Sse2),
    row("SFENCE", "NP 0F AE =F8+i", "", Sem::Int(Int::Nop)).on(Sse),
];

pub fn emms<E: VectorEngine>(e: &mut E) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    e.leave_mmx();
    Ok(())
}

pub fn ldmxcsr<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.sse_enabled()?;
    let value = e.load(Width::W32, op)?;
    e.set_mxcsr(value)
}

pub fn stmxcsr<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.sse_enabled()?;
    let value = e.mxcsr();
    e.store(Width::W32, op, value)
}

/// There is no cache to flush, but the address is checked as a load checks it.
pub fn clflush<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    e.load(Width::W8, op).map(|_| ())
}

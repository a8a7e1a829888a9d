//! The state of the MMX and SSE units (Intel SDM vol. 1, 9.4.8, 10.4.5).

use super::{Simd, VectorEngine, enabled};
use crate::Feature::{Mmx, Sse};
use crate::{Op, Row, Sem, Width, row};

pub const ROWS: &[Row] = &[
    row("EMMS", "NP 0F 77", "", Sem::Simd(Simd::Emms)).on(Mmx),
    row("LDMXCSR", "NP 0F AE /2", "Md", Sem::Simd(Simd::Ldmxcsr)).on(Sse),
    row("STMXCSR", "NP 0F AE /3", "Md=", Sem::Simd(Simd::Stmxcsr)).on(Sse),
];

pub fn emms<E: VectorEngine>(e: &mut E) -> Result<(), E::Stop> {
    e.mmx_enabled()?;
    e.leave_mmx();
    Ok(())
}

pub fn ldmxcsr<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = e.load(Width::W32, op)?;
    e.set_mxcsr(value)
}

pub fn stmxcsr<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let value = e.mxcsr();
    e.store(Width::W32, op, value)
}

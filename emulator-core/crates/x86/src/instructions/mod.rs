//! All rows, and the one function that says what each instruction does.

pub mod fpu;
pub mod integer;
pub mod simd;
pub mod system;

use std::sync::LazyLock;

use crate::{Engine, Op, Row, Sem};

/// Every row of every family. The index of a row is stable within a build.
#[must_use]
pub fn rows() -> &'static [&'static Row] {
    static ROWS: LazyLock<Vec<&'static Row>> = LazyLock::new(|| {
        let families = [integer::ROWS, system::ROWS, fpu::ROWS, simd::ROWS];
        families.into_iter().flatten().copied().flatten().collect()
    });
    &ROWS
}

/// Performs `op` on `e`.
///
/// # Errors
/// The instruction faults; the engine's state is as before it.
#[inline]
pub fn execute<E: Engine + simd::VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    match op.sem {
        Sem::Int(int) => integer::execute_any(e, op, int, op.width, op.form),
        Sem::Sys(sys) => e.system(op, sys),
        Sem::Fpu(fpu) => e.fpu(op, fpu),
        Sem::Simd(simd) => simd::execute(e, op, simd),
    }
}

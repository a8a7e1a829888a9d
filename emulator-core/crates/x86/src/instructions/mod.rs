//! All rows, and the one function that says what each instruction does.

pub mod fpu;
pub mod integer;
pub mod simd;
pub mod system;

use std::sync::LazyLock;

use crate::{Engine, Op, Row, Sem};

/// The rows of one file of this folder.
pub struct Family {
    /// The file's path in this folder, without `.rs`. The family's tests lie beside it, with `.filetest` in its place.
    pub name: &'static str,
    /// Its rows, in groups.
    pub rows: &'static [&'static [Row]],
}

const fn family(name: &'static str, rows: &'static [&'static [Row]]) -> Family {
    Family { name, rows }
}

/// Every family, in the order of [`rows`].
pub fn families() -> impl Iterator<Item = &'static Family> {
    [integer::FAMILIES, system::FAMILIES, fpu::FAMILIES, simd::FAMILIES].into_iter().flatten()
}

/// Every row of every family. The index of a row is stable within a build.
#[must_use]
pub fn rows() -> &'static [&'static Row] {
    static ROWS: LazyLock<Vec<&'static Row>> =
        LazyLock::new(|| families().flat_map(|family| family.rows).copied().flatten().collect());
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

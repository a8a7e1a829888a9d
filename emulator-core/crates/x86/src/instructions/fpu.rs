//! x87 (Intel SDM vol. 1, chapter 8): rows only; the processor crate runs them.

use crate::{Row, Sem, row};

/// What an x87 instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Fpu {
    Fninit,
}

/// Rows of all x87 instructions.
pub const ROWS: &[&[Row]] = &[&[row("FNINIT", "DB =E3", "", Sem::Fpu(Fpu::Fninit)).on(crate::Feature::Fpu)]];

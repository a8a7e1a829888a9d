//! Irregular instructions: far transfers, strings, port I/O, flag and control registers, descriptor tables, MSRs,
//! decimal adjustment. Rows only; the processor crate runs them.

use crate::{Row, Sem, row};

/// What an irregular instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Sys {
    Hlt,
}

/// Rows of all irregular instructions.
pub const ROWS: &[&[Row]] = &[&[row("HLT", "F4", "", Sem::Sys(Sys::Hlt)).notes("end")]];

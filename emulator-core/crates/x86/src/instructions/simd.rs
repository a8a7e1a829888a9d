//! MMX and SSE to SSE4.2 (Intel SDM vol. 1, chapters 9 to 12).

use crate::{Engine, Op, Row, Sem, row};

/// What a vector instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Simd {
    Emms,
}

/// Rows of all vector instructions.
pub const ROWS: &[&[Row]] = &[&[row("EMMS", "NP 0F 77", "", Sem::Simd(Simd::Emms)).on(crate::Feature::Mmx)]];

/// What vector semantics may ask of an engine beyond [`Engine`].
pub trait VectorEngine: Engine {
    /// A 128-bit value.
    type X: Copy;
}

/// Performs `simd`.
///
/// # Errors
/// The instruction faults.
pub fn execute<E: VectorEngine>(e: &mut E, _op: &Op, simd: Simd) -> Result<(), E::Stop> {
    match simd {
        Simd::Emms => e.raise(crate::Exception::InvalidOpcode),
    }
}

//! Placeholders while the parts are written side by side: each goes when its owner's file lands.

use crate::exec::Exec;

impl x86::instructions::simd::VectorEngine for Exec<'_> {
    type X = u128;
}

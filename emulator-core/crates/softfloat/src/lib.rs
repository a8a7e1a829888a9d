//! IEEE 754 arithmetic as x86 processors do it: pure functions on bit patterns.
//!
//! Two rule sets share one core:
//!
//! - [`x87`]: the 80-bit extended format [`F80`] with precision control, "unsupported" encodings, the larger-significand
//!   NaN rule, C1 and the transcendental functions (Intel SDM volume 1, chapter 8).
//! - [`sse`]: [`F32`] and [`F64`] with the first-operand NaN rule, DAZ and FTZ (Intel SDM volume 1, chapters 10 and 11).
//!
//! Every operation takes a [`Context`], made from the control register ([`Context::x87`], [`Context::sse`]), and leaves
//! in it the exception flags it raised. Results are the masked responses of the manual; a caller that finds an unmasked
//! flag ([`Context::unmasked`]) decides by its own rules whether the result is delivered.
//!
//! Inside, an operand is unpacked to a 64-bit significand ([`Unpacked`]), `arith` computes a 128-bit result whose lowest
//! bit is sticky, and `round` fits that into the destination format. No operation holds state, allocates or panics.
#![forbid(unsafe_code)]

mod arith;
mod binary;
mod context;
mod f80;
mod round;
pub mod sse;
mod unpacked;
mod wide;
pub mod x87;

pub use binary::{Binary, F32, F64};
pub use context::{Context, Flags, Precision, Rounding};
pub use f80::F80;
pub use unpacked::{Class, Unpacked};

/// How two numbers compare. `Unordered` when at least one is a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The first operand is smaller.
    Less,
    /// Equal; zeros of either sign are equal.
    Equal,
    /// The first operand is larger.
    Greater,
    /// At least one operand is not a number.
    Unordered,
}

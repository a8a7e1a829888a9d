//! FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1.
//!
//! Each is computed from series to well over 90 bits and rounded once, so results are within one unit in the last place
//! (SDM volume 1, section 8.3.10) and, with the rare exception that 90 bits cannot decide, correctly rounded in every mode
//! (`tests/correct_rounding.rs`).
//! Precision control does not apply.

mod atan;
mod exp;
mod log;
mod trig;
mod wide;

pub use atan::atan2;
pub use exp::exp2_minus_1;
pub use log::{y_log2_x, y_log2_x_plus_1};
pub use trig::{cos, sin, sin_cos, tan};

use crate::context::Context;
use crate::f80::F80;
use crate::round::{Destination, Exact, round};

/// Rounds a series result. It is never exact, whatever its bits say.
fn deliver_inexact(value: Exact, ctx: &mut Context) -> F80 {
    round(Exact { significand: value.significand | 1, ..value }, 64, Destination::Register, ctx)
}

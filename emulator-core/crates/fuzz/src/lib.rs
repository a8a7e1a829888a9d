//! Fuzz targets: functions over bytes that panic where an invariant breaks, and what runs them.
//!
//! `cargo test` runs each for a bounded number of inputs; `cargo run -p fuzz -- --minutes 60` goes on. Both draw the same
//! deterministic inputs from a seed: valid ones, mutated, and plain noise.

mod board;
mod input;
mod random;
mod runner;
mod targets;

pub use runner::{Report, run};
pub use targets::{TARGETS, Target};

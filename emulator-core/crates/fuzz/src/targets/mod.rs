//! One file a target.

mod boot;
mod decoder;
mod descriptors;
mod guest;
mod snapshot;
mod walker;

/// A function over bytes with what helps to run it.
pub struct Target {
    /// For `--target`.
    pub name: &'static str,
    /// Panics where an invariant breaks.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Length beyond which inputs get no more interesting.
    pub longest: usize,
    /// Inputs `cargo test` runs: a few seconds.
    pub bounded: u64,
}

/// Every target.
pub const TARGETS: &[Target] =
    &[decoder::TARGET, walker::TARGET, descriptors::TARGET, boot::TARGET, snapshot::TARGET, guest::TARGET];

//! The host's own processor as judge of ours: the same instructions, the same registers and memory, on both, and a
//! comparison of everything they may have changed.
//!
//! [`campaign`] draws cases from the instruction rows ([`generate`]), runs each on the [`host`] and on our processor
//! ([`guest`]), compares what [`judge`] finds comparable, and shrinks what differs ([`shrink`]) to a case that fits a line
//! ([`text`]). [`bless`] and [`draft`] write the tests beside the instructions, whose format, cases and processors are those of [`filetest`].
//!
//! A development tool for Linux on x86-64; on other hosts the crate is empty, and no other crate depends on it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub mod assemble;
pub mod bless;
pub mod campaign;
pub mod compare;
pub mod deviations;
pub mod draft;
pub mod engines;
pub mod gas;
pub mod generate;
pub mod host;
pub mod judge;
pub mod other;
pub mod shrink;
pub mod text;
pub mod vendors;

pub use filetest::{CODE, DATA, ENTRY, FS_BASE, GS_BASE, PAGE, STACK, case, guest, random};

//! The host's own processor as judge of ours: the same instructions, the same registers and memory, on both, and a
//! comparison of everything they may have changed.
//!
//! [`campaign`] draws cases from the instruction rows ([`generate`]), runs each on the [`host`] and on our processor
//! ([`guest`]), compares what [`judge`] finds comparable, and shrinks what differs ([`shrink`]) to a case that fits a line
//! ([`text`]).
//!
//! A development tool for Linux on x86-64; on other hosts the crate is empty, and no other crate depends on it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub mod assemble;
pub mod campaign;
pub mod case;
pub mod compare;
pub mod deviations;
pub mod generate;
pub mod guest;
pub mod host;
pub mod judge;
pub mod other;
pub mod random;
pub mod shrink;
pub mod text;
pub mod vendors;

use core::ops::Range;

/// Bytes in a page.
pub const PAGE: u64 = 0x1000;
/// The page the instructions lie in, which programs may run and read but not write; the rest of it traps. All pages are below 64 KiB,
/// where 16-bit addresses reach them, and what lies between them is not mapped.
pub const CODE: Range<u64> = 0x4000..0x5000;
/// Address of the first instruction: branches reach 2 KiB either way.
pub const ENTRY: u64 = CODE.start + 0x800;
/// The two pages memory operands lie in, which programs may read and write but not run.
pub const DATA: Range<u64> = 0x6000..0x8000;
/// The stack's page, of the same kind.
pub const STACK: Range<u64> = 0x9000..0xa000;
/// Base of FS in 64-bit mode.
pub const FS_BASE: u64 = 0x240;
/// Base of GS in 64-bit mode. The harness keeps its own registers far behind it.
pub const GS_BASE: u64 = 0x3b5a_4d00_0000;

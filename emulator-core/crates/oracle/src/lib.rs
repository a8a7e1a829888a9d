//! The host's own processor as judge of ours: the same instruction, the same registers and memory, on both, and a
//! comparison of everything the instruction may have changed.
//!
//! A development tool for Linux on x86-64; on other hosts the crate is empty, and no other crate depends on it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

pub mod assemble;
pub mod case;
pub mod compare;
pub mod guest;
pub mod host;
pub mod random;
pub mod runner;

/// Linear address of the page the instruction under test lies in; the rest of the page traps. All pages are below 64 KiB, where
/// 16-bit addresses reach them.
pub const CODE: u64 = 0x4000;
/// Offset in the code page of the instruction under test: branches reach 2 KiB either way.
pub const ENTRY: u64 = CODE + 0x800;
/// Linear address of the two pages memory operands lie in.
pub const DATA: u64 = 0x6000;
/// Linear address of the stack page.
pub const STACK: u64 = 0x9000;
/// Bytes of the code and stack pages.
pub const PAGE: u64 = 0x1000;
/// The part of the data pages that is set before and compared after each case: it straddles the page boundary.
pub const DATA_WINDOW: core::ops::Range<u64> = DATA + 0xe00..DATA + 0x1200;
/// The part of the stack page that is set before and compared after each case.
pub const STACK_WINDOW: core::ops::Range<u64> = STACK + 0x700..STACK + 0x900;

//! Runs the same instructions, from the same state, interpreted and compiled: on two processors that are the same otherwise.
//!
//! Of the data area two pages are writable, one is read-only, and all around is missing; nothing in it can be executed.

pub mod generate;
pub mod processor;

use x86::Width;

/// Address of the first instruction.
pub const CODE: u64 = 0x1e_0000;
/// The data area: present pages, the last of them read-only.
pub const DATA: u64 = 0x10_0000;
pub const DATA_BYTES: u64 = 0x3000;
pub const READ_ONLY: u64 = DATA + 0x2000;
/// Bases of FS and GS.
pub const FS_BASE: u64 = DATA + 0x800;
pub const GS_BASE: u64 = (DATA + 0x1000).wrapping_sub(0xffff_ffff);

/// What both start from.
#[derive(Clone, Debug)]
pub struct Case {
    /// Width of the code segment: 64 bits, or 32 with flat segments.
    pub mode: Width,
    pub code: Vec<u8>,
    pub registers: [u64; 16],
    pub rflags: u64,
    pub vectors: [u128; 16],
    pub mxcsr: u32,
    pub x87: cpu::X87,
    pub data: Vec<u8>,
}

/// EFLAGS bits that programs change.
pub const FLAGS: u64 = x86::flags::STATUS | cpu::eflags::DF;

//! Runs the same instructions, from the same state, through the interpreter and as compiled code.
//!
//! Both see one address space: the data area, of which two pages are writable, one is read-only and all
//! around is missing, and the code. The interpreter has page tables that say so, the compiled code's helpers know it.

pub mod compiled;
pub mod generate;
pub mod interpreter;

use x86::Width;

/// Address of the block.
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
    /// One block; its last instruction ends it.
    pub code: Vec<u8>,
    pub registers: [u64; 16],
    pub rflags: u64,
    pub data: Vec<u8>,
}

/// Where the guest stands afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The block is done; RIP.
    At(u64),
    /// An exception: vector, and RIP of the instruction that raised it.
    Exception(u8, u64),
    /// An exception, and no handler: 32-bit cases have none.
    Shutdown,
}

/// What both must agree on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub registers: [u64; 16],
    /// The status flags and DF.
    pub rflags: u64,
    pub data: Vec<u8>,
    pub end: End,
}

/// EFLAGS bits that general-purpose instructions change.
pub const FLAGS: u64 = x86::flags::STATUS | cpu::eflags::DF;

/// Whether a write (or read) of `bytes` at `address` may go ahead in the data area; else the vector it raises.
pub fn permitted(address: u64, bytes: u64, write: bool, stack: bool) -> Result<(), u8> {
    let end = if write { READ_ONLY } else { DATA + DATA_BYTES };
    let last = address.wrapping_add(bytes - 1);
    let canonical = |a: u64| ((a as i64) << 16 >> 16) as u64 == a;
    if !canonical(address) || !canonical(last) {
        return Err(if stack { 12 } else { 13 });
    }
    if (DATA..=last).contains(&address) && last < end { Ok(()) } else { Err(14) }
}

//! A made-up kernel for guests of a few instructions.

use std::rc::Rc;

use machine::{Boot, Entry};

/// Where the code of [`kernel`] starts.
pub const START: u32 = 0x10_0020;

/// A multiboot kernel loaded to 1 MiB whose 32-bit code, flat and without paging, starts behind the header.
pub fn kernel(code: &[u8]) -> Boot {
    let flags = 0x1_0000u32;
    let checksum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let words = [0x1bad_b002, flags, checksum, 0x10_0000, 0x10_0000, 0, 0, START];
    let kernel: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).chain(code.iter().copied()).collect();
    let (initrd, modules, command_line) = (None, Vec::new(), String::new());
    Boot::Kernel { kernel: Rc::new(kernel), initrd, modules, command_line, entry: Entry::Auto }
}

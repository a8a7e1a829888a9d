//! Where everything lies in a guest's memory, and the selectors of its descriptor table.
//!
//! The image is a firmware of 128 KiB that copies itself to address 0, so that tables are writable and real mode
//! reaches programs, handlers and data with segments of zero.

/// Bytes of the image.
pub const IMAGE: usize = 0x2_0000;
/// Where the next exception goes on: address of an entry of [`LANDINGS`].
pub const LANDING: u64 = 0x500;
/// What exceptions do after their report, in order: 0 ends the guest, [`RETURN`] and [`RESUME`] return, else an address
/// to go on at.
pub const LANDINGS: u64 = 0x600;
/// See [`LANDINGS`].
pub const RETURN: u32 = u32::MAX;
/// To return with RF set: what made an instruction breakpoint is run.
pub const RESUME: u32 = u32::MAX - 1;
/// Operand of `LIDT` for real mode.
pub const REAL_IDTR: u64 = 0x800;
/// Operand of `LGDT`.
pub const GDTR: u64 = 0x808;
/// Operand of `LIDT` for protected mode.
pub const IDTR: u64 = 0x810;
pub const GDT: u64 = 0x1000;
pub const GDT_LIMIT: u16 = 0xff;
pub const LDT: u64 = 0x1400;
pub const IDT: u64 = 0x2000;
/// The task-state segment the guest starts with: interrupt redirection bitmap, then an I/O bitmap that opens every port
/// below 0x400.
pub const TSS: u64 = 0x3000;
pub const TSS_LIMIT: u64 = REDIRECTION + 32 + 0x80;
/// Offset of the interrupt redirection bitmap in [`TSS`].
pub const REDIRECTION: u64 = 0x68;
/// Another task-state segment.
pub const TASK: u64 = 0x3400;
/// Stubs of the interrupt handlers: 8, 16 and 16 bytes each.
pub const STUBS16: u64 = 0x4000;
pub const STUBS32: u64 = 0x4800;
pub const STUBS64: u64 = 0x5800;
pub const HANDLER16: u64 = 0x6800;
pub const HANDLER32: u64 = 0x6900;
pub const HANDLER64: u64 = 0x6a00;
/// From the reset vector's copy loop to the program.
pub const ENTRY: u64 = 0x6c00;
/// Where programs start.
pub const PROGRAM: u64 = 0x7000;
/// Free for further code of programs.
pub const MORE: u64 = 0x9000;
pub const EVEN_MORE: u64 = 0xa000;
/// Free for data, filled with zeros.
pub const DATA_AREA: u64 = 0xc000;
/// Stack pointers: of the program, of level 0 in the TSS, of level 3.
pub const STACK: u64 = 0xef00;
pub const KERNEL_STACK: u64 = 0xe700;
pub const USER_STACK: u64 = 0xf700;
/// Page tables of 64-bit mode: the first 2 MiB one to one in 4-KiB pages for everybody, the next 2 MiB by [`PAGES`].
pub const PML4: u64 = 0x1_0000;
pub const PDPT: u64 = 0x1_1000;
pub const DIRECTORY: u64 = 0x1_2000;
pub const IDENTITY: u64 = 0x1_3000;
/// Last-level table for [`PAGE`] of every paging mode: nothing is present before a test says so.
pub const PAGES: u64 = 0x1_4000;
/// The same map for 32-bit paging: directory and table of the first 2 MiB.
pub const LEGACY_DIRECTORY: u64 = 0x1_5000;
pub const LEGACY_IDENTITY: u64 = 0x1_6000;
/// The same map for PAE paging: pointers; its directory is that of 64-bit mode.
pub const PAE_POINTERS: u64 = 0x1_7000;
/// A page for translations to lead to.
pub const FRAME: u64 = 0x1_8000;
/// Another.
pub const OTHER_FRAME: u64 = 0x1_9000;
/// The first linear address translated by [`PAGES`]. In 32-bit paging the same table serves 4 MiB further up.
pub const PAGE: u64 = 0x20_0000;
pub const LEGACY_PAGE: u64 = 0x40_0000;
/// Copies the image and leaves for [`ENTRY`]; runs in the ROM itself.
pub const COPY: u64 = 0x1_ff00;

pub const CODE32: u16 = 0x08;
pub const DATA: u16 = 0x10;
pub const USER_CODE32: u16 = 0x1b;
pub const USER_DATA: u16 = 0x23;
pub const CODE64: u16 = 0x28;
pub const USER_CODE64: u16 = 0x33;
/// Two entries: 64-bit mode takes both.
pub const TSS_SELECTOR: u16 = 0x38;
/// Two entries.
pub const LDT_SELECTOR: u16 = 0x48;
pub const CODE16: u16 = 0x58;
pub const DATA16: u16 = 0x60;
pub const TASK_SELECTOR: u16 = 0x68;
/// Free ones, up to the limit of the table.
pub const FREE: u16 = 0x78;
pub const FREE2: u16 = 0x80;
pub const FREE3: u16 = 0x88;
/// The first selector beyond the table.
pub const BEYOND: u16 = 0x100;

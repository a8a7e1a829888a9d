//! Instruction tests beside the instructions: each family of rows `x86/src/instructions/F.rs` has its tests in `F.filetest`, plain text
//! that every engine runs.
//!
//! ```text
//! ; Shifts by the count of CL: it is cut to five bits, and a count of zero changes nothing.
//! 64: shl eax, cl = d3 e0
//!   eax=80000001 cl=1 -> eax=2 flags=OszPC
//!   eax=1 cl=20 flags=OSZ ->
//!
//! 64: div bl = f6 f3
//!   ax=100 -> #DE
//! ```
//!
//! **The first line** is the width of the code segment, the instruction as [`x86::Disassembly`] writes it, and its bytes. `~` in place
//! of `=` says that an assembler would choose other bytes for this text; `(bad)` is what is no instruction. Tools write the bytes where
//! they are missing.
//!
//! **Each further line** is an example: what differs from the default state, an arrow, what the instruction has changed. Lines indented
//! by six columns go on with the one before. What is not named has not changed, but for RIP, which is behind the instruction or, with an
//! exception, on it. By default everything is zero but RSP, which is 9800; floating-point exceptions are masked and the x87 stack is
//! empty. The data pages are 6000 to 7fff, the stack's is 9000 to 9fff, the code (at 4800) can only be read, and nothing else is mapped.
//! Programs have privilege level 3; in 64-bit mode the base of FS is [`FS_BASE`] and that of GS is [`GS_BASE`].
//!
//! | name | stands for | value |
//! |---|---|---|
//! | `rax`, `eax`, `ax`, `ah`, `al`, ... | that part of the register; the rest stays | hexadecimal, like all numbers; `_` separates digits |
//! | `flags` | status flags | before: the letters of those that are set. After: upper case set, lower case clear, left out undefined; `?` none defined |
//! | `tf`, `if`, `df`, `iopl`, `nt`, `ac`, `id` | the other flags | a number |
//! | `xmm0`, `ymm0`, ... | that part of the register | a number, or elements with commas between them, the highest first: hexadecimal, `1.5` or `-inf` |
//! | `mm0`, ... | an MMX register; marks all as in use | a number |
//! | `st0`, ... | relative to TOP; marks it as in use | `1.5`, `exponent:significand`, or `empty` |
//! | `fcw`, `fsw`, `top`, `tags`, `mxcsr` | x87 control and status, TOP in it, the abridged tag word (bit set: in use), MXCSR | a number |
//! | `rip`, `cs`, `ss`, `ds`, `es`, `fs`, `gs` | only after the arrow | a number |
//! | `[6000]`, `[6000:16]` | memory; with its bytes where it has elements | a little-endian number, whose digits tell how many bytes; elements |
//! | `#PF(6)`, `cr2` | the exception and its error code; the linear address of a page fault | |
//!
//! `NAME=?` behind the arrow: not compared. `st0~1.5`: two units in the last place and C1 may differ. `-> ?`: not known yet.
//!
//! `; manual: ...` at the end of an example says where its result is from. All others are what a real processor did:
//! `cargo run -p oracle --bin filetests -- --bless` asks the host's and writes them, leaves alone what is from the manual, and refuses
//! what ours does otherwise. With `--draft` it also adds first tests of what has none.

pub mod case;
mod check;
pub mod family;
mod file;
pub mod guest;
mod place;
pub mod random;
mod setting;
mod value;

use core::ops::Range;

pub use check::{Difference, Report, difference, run};
pub use file::{Example, File, Instruction, Line, Note};
pub use place::Place;
pub use setting::Setting;
pub use value::Value;

use case::{Case, Outcome};

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
/// Base of GS in 64-bit mode. The host's harness keeps its own registers far behind it.
pub const GS_BASE: u64 = 0x3b5a_4d00_0000;

/// What runs a case: an engine of ours, or a real processor.
pub trait Processor {
    /// Why it does not run `case`, of `example`, if so.
    fn declines(&self, _example: &Example, _case: &Case) -> Option<String> {
        None
    }

    /// Runs `case` in user mode, until it leaves its bytes or raises an exception.
    fn run(&mut self, case: &Case) -> Outcome;
}

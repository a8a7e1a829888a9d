//! A bench for small guests on the bare board.
//!
//! A test builds a [`Program`]: instructions, descriptors and page-table entries. The guest reports every exception and
//! every value it is told to on port 0xE9; the test says what lines these are. The same image runs under QEMU,
//! interpreted and on the host's own processor, and must report the same.

pub mod descriptor;
mod judges;
pub mod map;
mod memory;
mod program;
mod report;
mod runtime;

pub use program::Program;

/// Appends instructions (and the program's own `mark`, `land`, `say`) to a program.
macro_rules! asm {
    ($program:ident; $($operation:ident($($operand:expr),* $(,)?));* $(;)?) => {{
        $($program.$operation($($operand),*).expect("the manual has this instruction");)*
    }};
}
pub(crate) use asm;

/// Why QEMU's interpreter is not asked about segment limits.
pub const NO_LIMITS: &str = "it ignores segment limits";
/// Why it is not asked about types.
pub const NO_TYPES: &str = "it checks a segment's type when it is loaded, not when it is used";

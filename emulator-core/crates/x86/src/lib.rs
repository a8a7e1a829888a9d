//! The x86 instruction set: rows, decoder, disassembler and semantics, written once.
//!
//! - A [`Row`] describes one encoding the way the manual's tables do (Intel SDM vol. 2, appendix A notation).
//!   Everything countable is generated from rows: decode tables, disassembly, the support table, flag masks.
//! - [`decode::decode`] turns bytes into an [`Inst`]; [`Op::lower`] turns that into the compact predecoded [`Op`].
//! - [`execute`] is the one description of what an instruction does: a function generic over an [`Engine`].
//!   The interpreter's engine computes values; the JIT's engine emits WebAssembly that computes them.
//!
//! Invariant: there is no machine state in this crate.

pub mod decode;
mod disassemble;
mod engine;
mod exception;
mod feature;
pub mod flags;
mod inst;
pub mod instructions;
mod op;
mod row;
mod width;

pub use disassemble::{Disassembly, register_name};
pub use engine::Engine;
pub use exception::Exception;
pub use feature::{Feature, FeatureSet};
pub use inst::{Inst, Mem, Operand, Rep, Vex};
pub use instructions::execute;
pub use op::{Form, Op, RIP_SLOT, SEG_NONE, SLOTS, ZERO_SLOT, gpr_slot};
pub use row::{Row, Sem, VexRule, row};
pub use width::Width;

/// Segment registers by their encoding in ModR/M.reg.
pub mod seg {
    /// Extra segment.
    pub const ES: u8 = 0;
    /// Code segment.
    pub const CS: u8 = 1;
    /// Stack segment.
    pub const SS: u8 = 2;
    /// Data segment.
    pub const DS: u8 = 3;
    /// F segment.
    pub const FS: u8 = 4;
    /// G segment.
    pub const GS: u8 = 5;
}

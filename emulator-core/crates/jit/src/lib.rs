//! Compiles blocks of guest code to WebAssembly.
//!
//! The semantics are those of the `x86` crate, run once per instruction on an [`x86::Engine`] that emits instead of
//! computing (`emitter`). What it emits is a list of pure values and ordered steps (`ir`, `graph`); a liveness pass finds what
//! must be computed (`liveness`), and the rest is written as WebAssembly (`codegen`, `module`).
//!
//! Invariant: there is no instruction semantics in this crate. An instruction is compiled by being described in `x86`.

mod codegen;
mod emitter;
mod graph;
mod ir;
mod layout;
mod liveness;
mod module;

use cpu::Mode;
use wasm_encoder::Function;
use x86::{Exception, Op, Sem, Width, seg};

pub use module::module;

/// Why compiled code stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It did what it was to do.
    Done,
    /// A helper said that a memory access faults; it knows how.
    Fault,
    /// The instruction raises this.
    Raised(Exception),
}

/// One of the points where a compiled block stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub reason: Reason,
    /// Instructions completed.
    pub retired: u16,
    /// Where the guest stands, in bytes from the block's first; none where a jump has put the address into the state.
    pub next_offset: Option<u16>,
}

/// A compiled block.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) function: Function,
    /// Where it stops; the function's result is an index into this.
    pub exits: Vec<Exit>,
    /// Instructions compiled: all, or those before the first that cannot be.
    pub instructions: usize,
}

impl Compiled {
    /// Size of the function in a module, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        codegen::encoded_bytes(&self.function)
    }
}

/// Whether `op` can be compiled for `mode`: a general-purpose instruction whose segments need no check.
#[must_use]
pub fn compilable(op: &Op, mode: Mode) -> bool {
    let flat = mode.code == Width::W64 || (mode.flat && !matches!(op.seg, seg::FS | seg::GS));
    matches!(op.sem, Sem::Int(_)) && !op.checked && flat && !mode.aligned && !mode.single
}

/// Compiles the instructions of one predecoded block, up to the first that is not [`compilable`]; none where
/// that is the first.
///
/// The function is `(context, state, tlb) -> exit`, all i32, the first three addresses in linear memory: of 16 bytes for the
/// helpers' two answers, of [`cpu::State`], and of the TLB's tables for the view in force. On entry `state.rip` is the block's address.
/// When it returns, the state is that of the guest at that point, but for `rip`, which follows from [`Exit::next_offset`].
#[must_use]
pub fn compile(ops: &[Op], mode: Mode) -> Option<Compiled> {
    let instructions = ops.iter().take_while(|op| compilable(op, mode)).count();
    if instructions == 0 {
        return None;
    }
    let mut emitter = emitter::Emitter::new(mode);
    for op in &ops[..instructions] {
        emitter.instruction(op);
    }
    let block = emitter.finish();
    Some(Compiled { function: codegen::generate(&block), exits: block.exits, instructions })
}

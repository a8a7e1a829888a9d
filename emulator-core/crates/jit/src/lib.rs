//! Compiles regions of guest code to WebAssembly.
//!
//! The semantics are those of the `x86` crate, run once per instruction on an [`x86::Engine`] that emits instead of
//! computing (`emitter`). What it emits is a list of pure values and ordered steps (`ir`, `graph`) for each block; the blocks are nested as
//! WebAssembly wants it (`structure`); two liveness passes find what must be computed (`flags`, `liveness`), and the rest is written as WebAssembly
//! (`codegen`, `module`). [`Jit`] is the processor's [`cpu::compiled::Translator`].
//!
//! Invariant: there is no instruction semantics in this crate. An instruction is compiled by being described in `x86`.

mod codegen;
mod effects;
mod emitter;
mod flags;
mod graph;
mod ir;
mod layout;
mod liveness;
mod module;
mod structure;
mod translator;

use cpu::Mode;
use cpu::compiled::{Region, Shared};
use wasm_encoder::Function;
use x86::instructions::integer::Int;
use x86::{Op, Sem, Width};

use effects::Role;
use emitter::Block;
use structure::Structure;

pub use module::{RegionCode, region_module, stub_module};
pub use translator::{Jit, Linker};

/// Whether there is code for anything in `mode`.
#[must_use]
pub fn compilable(mode: Mode) -> bool {
    mode.flat && mode.code != Width::W16 && mode.stack == mode.code && !mode.aligned && !mode.single
}

/// A compiled region.
pub struct Compiled {
    pub(crate) function: Function,
    /// The operations that helpers are given, at the addresses that the code has.
    _ops: Vec<Vec<Op>>,
    /// Instructions compiled, those that a helper runs among them.
    pub instructions: usize,
    /// Where it can be entered, by the number of the entry: offsets from the region's first byte.
    pub entries: Vec<i64>,
}

impl Compiled {
    /// Size of the function in a module, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        codegen::encoded_bytes(&self.function)
    }
}

/// Compiles a region; none where its first instruction is not of those that may stand in one.
///
/// The function's parameters are all i64: the sixteen general registers, the two values of the lazy flags ([`x86::flags`]), RIP, and how many instructions are
/// left of the slice; then, an i32, the number of the entry. It ends by a tail call to another region, or to the function that stores them ([`stub_module`]).
#[must_use]
pub fn compile(region: Region, shared: &Shared) -> Option<Compiled> {
    if !compilable(region.mode) {
        return None;
    }
    let (mut blocks, mut ops) = (Vec::new(), Vec::new());
    let vectors = effects::vectors_of(region.blocks.iter().flat_map(|block| &block.ops));
    for block in region.blocks {
        let count = block.ops.iter().take_while(|op| effects::role(op) != Role::Stops).count();
        if count == 0 && blocks.is_empty() {
            return None;
        }
        if count == 0 {
            continue;
        }
        let mut emitter = emitter::Emitter::new(region.mode, block.start, vectors);
        for (number, op) in block.ops[..count].iter().enumerate() {
            emitter.instruction(number, op);
        }
        blocks.push(emitter.finish());
        ops.push(block.ops);
    }
    let resumes: Vec<_> = blocks.iter().zip(&ops).map(|(block, ops)| resumed(block, ops, &blocks)).collect();
    let structure = Structure::of(&blocks, &resumes);
    let source =
        codegen::Source { shared, code: region.mode.code, blocks: &blocks, ops: &ops, structure: &structure, vectors };
    let function = codegen::generate(&source);
    let instructions = blocks.iter().map(|block| block.instructions).sum();
    let entries = structure.entries.iter().map(|&entry| blocks[entry].start).collect();
    Some(Compiled { function, _ops: ops, instructions, entries })
}

/// Where in the region execution may go on behind `block` after something else: a call, or what the interpreter had to see.
fn resumed(block: &Block, ops: &[Op], blocks: &[Block]) -> Option<usize> {
    let last = ops.get(block.instructions - 1)?;
    let interrupted = matches!(last.sem, Sem::Int(Int::Call | Int::CallIndirect)) || effects::role(last) != Role::Plain;
    let behind = block.start + last.next_offset() as i64;
    blocks.iter().position(|other| interrupted && other.start == behind)
}

//! Compiles regions of guest code to WebAssembly.
//!
//! The semantics are those of the `x86` crate, run once per instruction on an [`x86::Engine`] that emits instead of
//! computing (`emitter`). What it emits is a list of pure values and ordered steps (`ir`, `graph`) for each block; the blocks are nested as
//! WebAssembly wants it (`structure`); two liveness passes find what must be computed (`flags`, `liveness`), and the rest is written as WebAssembly
//! (`codegen`, `module`). [`Jit`] is the processor's [`cpu::compiled::Translator`].
//!
//! Invariant: there is no instruction semantics in this crate, but for what the x87, single elements of strings and a few system instructions come down to
//! (`emitter/x87.rs`, `emitter/strings.rs`, `emitter/system.rs`). Any other is compiled by being described in `x86`.

mod ahead;
mod codegen;
mod counters;
mod depth;
mod effects;
mod emitter;
mod flags;
mod graph;
mod groups;
mod homes;
mod ir;
mod job;
mod layout;
mod liveness;
mod module;
mod scalars;
mod structure;
mod translator;

use cpu::Mode;
use cpu::compiled::{Region, RegionBlock, Shared};
use wasm_encoder::Function;
use x86::Sem;
use x86::instructions::integer::Int;

use depth::Depths;
use effects::{Role, Units};
use emitter::Block;
use graph::Places;
use ir::{Cell, End, Step};
use scalars::Scalars;
use structure::{BlockId, Flow, Structure};

pub use counters::Counters;
pub use job::{Job, Work, job, work};
pub use module::{RegionCode, STUBS, named_module, region_module, stub_module};
pub use translator::{Answer, Jit, Linker};

/// Whether there is code for anything in `mode`: not where alignment is checked, or where instructions run one by one.
#[must_use]
pub fn compilable(mode: Mode) -> bool {
    !mode.aligned && !mode.single
}

/// A compiled region.
pub struct Compiled {
    pub(crate) function: Function,
    /// Its locals that are general cells.
    pub(crate) cells: Vec<(u32, Cell)>,
    /// Places of blocks in the region of which operations are given to helpers: they have to stay at their [`RegionBlock::home`].
    pub(crate) homes: Vec<usize>,
    /// Instructions compiled, those that a helper runs among them.
    pub instructions: usize,
    /// Where it can be entered, by the number of the entry: places of blocks in the region.
    pub entries: Vec<usize>,
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
/// The function's parameters are two i64, the linear address of the region's first byte and how many instructions are left of the slice, and an i32, the number of the entry.
/// It finds the guest's state in memory, and leaves it there. With `counters` it counts there. It ends by a tail call to one of the [`STUBS`], which may go on to another region.
#[must_use]
pub fn compile(region: &Region, shared: &Shared, counters: Option<&Counters>) -> Option<Compiled> {
    if !compilable(region.mode) {
        return None;
    }
    let depths = Depths::of(region);
    let mut units = Units::of(region, &depths);
    let (blocks, kept) = emit(region, units, &depths).or_else(|| {
        units.scalars = Scalars::default();
        emit(region, units, &depths)
    })?;
    kept[0]?;
    let places: Vec<usize> = (0..kept.len()).filter(|&place| kept[place].is_some()).collect();
    let flows: Vec<Flow> = blocks
        .iter()
        .zip(&places)
        .map(|(block, &place)| {
            let mut flow = flow(block, &region.blocks[place], &kept);
            let fits = |&next: &BlockId| depths.at[places[next]] == depths.behind[place];
            flow.targets.iter_mut().for_each(|target| *target = target.filter(fits));
            flow
        })
        .collect();
    let structure = Structure::of(&flows);
    let entries = structure.entries.iter().map(|&entry| places[entry]).collect();
    let sources: Vec<&RegionBlock> = places.iter().map(|&place| &region.blocks[place]).collect();
    let source = codegen::Source {
        shared,
        mode: region.mode,
        blocks: &blocks,
        sources: &sources,
        structure: &structure,
        units,
        depths: places.iter().map(|&place| depths.at[place]).collect(),
        sharing: region.sharing,
        counters: counters.map(Counters::address),
    };
    let (function, cells) = codegen::generate(&source);
    let instructions = blocks.iter().map(|block| block.instructions).sum();
    let is_named = |block: &Block| block.steps.iter().any(|step| matches!(step, Step::Interpret(_)));
    let homes = blocks.iter().zip(&places).filter(|(block, _)| is_named(block)).map(|(_, &place)| place).collect();
    Some(Compiled { function, cells, homes, instructions, entries })
}

/// The blocks of a region. Those of which nothing can be compiled are left out; the second list says where the others are. None where a helper has to
/// do with [`Units::scalars`].
fn emit(region: &Region, units: Units, depths: &Depths) -> Option<(Vec<Block>, Vec<Option<BlockId>>)> {
    let (mut blocks, mut kept) = (Vec::with_capacity(region.blocks.len()), Vec::with_capacity(region.blocks.len()));
    let mut places = Places::default();
    for (place, block) in region.blocks.iter().enumerate() {
        let count = block.ops.iter().take_while(|op| effects::role(op) != Role::Stops).count();
        kept.push((count > 0).then_some(blocks.len()));
        if count == 0 {
            continue;
        }
        let mut emitter = emitter::Emitter::new(region.mode, block.start, count, units, depths.at[place], places);
        for (number, op) in block.ops[..count].iter().enumerate() {
            emitter.instruction(number, op, number + 1 < count);
        }
        if emitter.meets_scalars {
            return None;
        }
        let mut block = emitter.finish();
        places = block.graph.take_places();
        blocks.push(block);
    }
    Some((blocks, kept))
}

/// Where `block`, compiled from `source`, goes on. `kept` says where the region's blocks are.
fn flow(block: &Block, source: &RegionBlock, kept: &[Option<BlockId>]) -> Flow {
    let next = source.next.and_then(|place| kept[place]);
    let branches = source.targets.iter().map(|&place| kept[place]);
    let flow = Flow { start: block.start, called: source.called, entered: source.entered, ..Flow::default() };
    let Some(last) = source.ops.get(block.instructions - 1).filter(|_| block.instructions == source.ops.len()) else {
        return Flow { targets: vec![None], ..flow };
    };
    let is_call = matches!(last.sem, Sem::Int(Int::Call | Int::CallIndirect));
    let is_plain = effects::role(last) == Role::Plain;
    let is_jump = is_plain && (is_call || matches!(last.sem, Sem::Int(Int::Jmp)));
    let target = source.targets.first().and_then(|&place| kept[place]);
    let targets = match block.end {
        End::Goto(_) => vec![if is_jump { target } else { next }],
        End::Branch(..) => vec![target, next],
        End::Dynamic => branches.collect(),
    };
    // Behind a call that it follows a region goes on by itself, but has to be found there if it was left meanwhile.
    let is_elsewhere = !is_plain || is_call && (source.targets.is_empty() || !source.called);
    Flow { targets, resumes: next.filter(|_| is_elsewhere), ..flow }
}

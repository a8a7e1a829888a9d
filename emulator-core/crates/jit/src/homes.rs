//! Which general cells a region has in locals, and where those may differ from the guest's state in memory.
//!
//! Between regions the guest's state is in memory. A region loads what it touches where it begins and stores where it ends what may have changed on the way there: what
//! it does not touch costs it nothing, at any of its many ends.

use crate::emitter::Block;
use crate::ir::{Cell, End, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, PARAMETERS, RIP, Step, StopId, Value};
use crate::liveness::changed;
use crate::structure::Structure;

/// A bit for each general cell.
pub(crate) type Cells = u32;

const FLAGS: Cells = 1 << FLAG_RESULT | 1 << FLAG_CARRIES | 1 << FLAG_KIND;

/// The cells in `cells`.
pub(crate) fn each(cells: Cells) -> impl Iterator<Item = Cell> {
    (0..PARAMETERS).filter(move |&cell| cells >> cell & 1 != 0)
}

/// See the module.
pub(crate) struct Homes {
    /// Cells that are in locals.
    pub(crate) touched: Cells,
    /// Of them those that some block may change.
    pub(crate) changed: Cells,
    /// For each block those that may have changed before it.
    before: Vec<Cells>,
    /// For each block those that helpers find and leave in memory, where they are not what they were.
    helped: Vec<Cells>,
}

impl Homes {
    pub(crate) fn of(blocks: &[Block], structure: &Structure) -> Homes {
        let helped: Vec<Cells> = blocks.iter().map(helped).collect();
        let behind: Vec<Cells> = blocks.iter().zip(&helped).map(|(block, helped)| at(block, block.end()) | helped).collect();
        let stops = blocks.iter().flat_map(|block| (0..block.stops.len()).map(|stop| at(block, stop)));
        let changed = stops.chain(helped.iter().copied()).fold(0, |all, cells| all | cells);
        let read = blocks.iter().fold(0, |all, block| all | read(block));
        let before = before(&behind, structure);
        Homes { touched: changed | read, changed, before, helped }
    }

    /// Those that may have changed where `block`, which is number `id`, begins.
    pub(crate) fn at_start(&self, id: usize) -> Cells {
        self.before[id] | self.helped[id]
    }

    /// The same at `stop` of it.
    pub(crate) fn at(&self, id: usize, block: &Block, stop: StopId) -> Cells {
        self.at_start(id) | at(block, stop)
    }
}

/// Cells that hold something new at `stop`.
fn at(block: &Block, stop: StopId) -> Cells {
    only_general(changed(block, stop).map(|(cell, _)| cell))
}

fn only_general(cells: impl Iterator<Item = Cell>) -> Cells {
    let all = cells.filter(|&cell| cell < PARAMETERS && cell != RIP).fold(0, |all, cell| all | 1 << cell);
    // The three tell the flags together.
    if all & FLAGS != 0 { all | FLAGS } else { all }
}

fn helped(block: &Block) -> Cells {
    let cells = block.steps.iter().filter_map(|step| match step {
        Step::Interpret(interpreted) => Some(interpreted),
        _ => None,
    });
    only_general(cells.flat_map(|interpreted| {
        let stored = interpreted.stored.iter().map(|&(cell, _)| cell);
        stored.chain(interpreted.loaded.iter().map(|&(cell, ..)| cell))
    }))
}

/// Cells of which something is made.
fn read(block: &Block) -> Cells {
    let mut cells = 0;
    let mut note = |value: Value| {
        if value.index() < PARAMETERS && value.index() != RIP {
            cells |= 1 << value.index();
        }
    };
    for index in 0..block.graph.len() {
        block.graph.node(Value(index as u32)).for_operands(&mut note);
    }
    for step in &block.steps {
        step.for_operands(&mut note);
    }
    if let End::Branch(condition, _) = block.end {
        note(condition);
    }
    for stop in 0..block.stops.len() {
        changed(block, stop).for_each(|(_, value)| note(value));
        block.stops[stop].doubt.into_iter().for_each(&mut note);
    }
    if cells & FLAGS != 0 { cells | FLAGS } else { cells }
}

/// For each block the cells that may have changed before it, where `behind` are those that itself may change.
fn before(behind: &[Cells], structure: &Structure) -> Vec<Cells> {
    let mut before = vec![0; behind.len()];
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for &block in structure.order.iter().filter(|&&block| structure.is_block(block)) {
            let now = before[block] | behind[block];
            for next in structure.successors(block) {
                goes_on |= before[next] | now != before[next];
                before[next] |= now;
            }
        }
    }
    before
}

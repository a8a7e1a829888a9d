//! Which general cells a region has in locals, and where those may differ from the guest's state in memory.
//!
//! Between regions the guest's state is in memory. A region loads what it touches where it begins, and stores where it ends what may have changed on the way there: what
//! it does not touch costs it nothing, at none of its many ends.

use crate::effects::CellSet;
use crate::emitter::Block;
use crate::ir::{Cell, End, RIP, Step, StopId, Value, XMM};
use crate::liveness::changed;
use crate::structure::{BlockId, Structure};

/// See the module.
pub(crate) struct Homes {
    /// Cells that are in locals.
    pub(crate) touched: CellSet,
    /// For each block those that may have changed before it, and in it where a helper has to find them in memory.
    before: Vec<CellSet>,
}

impl Homes {
    pub(crate) fn of(blocks: &[Block], structure: &Structure) -> Homes {
        let helped: Vec<CellSet> = blocks.iter().map(helped).collect();
        let behind: Vec<CellSet> =
            blocks.iter().zip(&helped).map(|(block, helped)| changed_at(block, block.end()).with(*helped)).collect();
        let touched = blocks.iter().map(read_or_changed).chain(helped.iter().copied()).collect();
        let before = before(&behind, structure).into_iter().zip(helped).map(|(before, helped)| before.with(helped));
        Homes { touched, before: before.collect() }
    }

    /// Those that may have changed where `block` begins.
    pub(crate) fn at_start(&self, block: BlockId) -> CellSet {
        self.before[block]
    }

    /// The same at `stop` of `block`, which is number `id`.
    pub(crate) fn at(&self, id: BlockId, block: &Block, stop: StopId) -> CellSet {
        self.before[id].with(changed_at(block, stop))
    }
}

/// General registers and flags among `cells`, the flags together.
fn general(cells: impl Iterator<Item = Cell>) -> CellSet {
    let cells: CellSet = cells.filter(|&cell| cell < XMM && cell != RIP).map(CellSet::one).collect();
    if cells.and(CellSet::kept_flags()) == CellSet::default() { cells } else { cells.with(CellSet::kept_flags()) }
}

/// Cells that hold something new at `stop`.
fn changed_at(block: &Block, stop: StopId) -> CellSet {
    general(changed(block, stop).map(|(cell, _)| cell))
}

/// Cells that a helper finds, or leaves, in memory: what is there is not what was there where the block began, whatever it is at its end.
fn helped(block: &Block) -> CellSet {
    let interpreted = block.steps.iter().filter_map(|step| match step {
        Step::Interpret(interpreted) => Some(interpreted),
        _ => None,
    });
    general(interpreted.flat_map(|interpreted| {
        let stored = interpreted.stored.iter().map(|&(cell, _)| cell);
        stored.chain(interpreted.loaded.iter().map(|&(cell, ..)| cell))
    }))
}

/// Cells of which something is made, which as a block finds them are its first values, and those that hold something new at some stop.
fn read_or_changed(block: &Block) -> CellSet {
    let mut cells = CellSet::default();
    let mut add = |cell: Cell| cells = cells.with(general([cell].into_iter()));
    for stop in 0..block.stops.len() {
        changed(block, stop).for_each(|(cell, value)| [cell, value.index()].into_iter().for_each(&mut add));
    }
    let mut note = |value: Value| add(value.index());
    for index in 0..block.graph.len() {
        block.graph.node(Value(index as u32)).for_operands(&mut note);
    }
    block.steps.iter().for_each(|step| step.for_operands(&mut note));
    if let End::Branch(condition, _) = block.end {
        note(condition);
    }
    block.stops.iter().filter_map(|stop| stop.doubt).for_each(note);
    cells
}

/// For each block the cells that may have changed before it, where `behind` are those that each may change itself.
fn before(behind: &[CellSet], structure: &Structure) -> Vec<CellSet> {
    let mut before = vec![CellSet::default(); behind.len()];
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for &block in structure.order.iter().filter(|&&block| structure.is_block(block)) {
            let now = before[block].with(behind[block]);
            for next in structure.successors(block) {
                let all = before[next].with(now);
                goes_on |= all != before[next];
                before[next] = all;
            }
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Flow;

    const A: CellSet = CellSet::one(1);
    const B: CellSet = CellSet::one(2);

    /// What may have changed before each block, by where blocks go on and what they change.
    fn before_each(blocks: &[(&[BlockId], CellSet)]) -> Vec<CellSet> {
        let flow = |(start, (targets, _)): (i64, &(&[BlockId], CellSet))| Flow {
            start,
            targets: targets.iter().copied().map(Some).collect(),
            ..Flow::default()
        };
        let flows: Vec<Flow> = (0..).zip(blocks).map(flow).collect();
        let behind: Vec<CellSet> = blocks.iter().map(|&(_, behind)| behind).collect();
        before(&behind, &Structure::of(&flows))
    }

    #[test]
    fn what_one_of_two_ways_has_changed_is_stored_behind_where_they_meet() {
        let none = CellSet::default();
        let before = before_each(&[(&[1, 2], none), (&[3], A), (&[3], B), (&[], none)]);
        assert_eq!(before, [none, none, none, A.with(B)]);
    }

    #[test]
    fn what_a_loop_has_changed_is_stored_in_its_next_turn() {
        let none = CellSet::default();
        let before = before_each(&[(&[1], none), (&[1, 2], A), (&[], none)]);
        assert_eq!(before, [none, A, A]);
    }
}

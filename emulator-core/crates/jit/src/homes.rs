//! Which general cells a region has in locals, and where those may differ from the guest's state in memory.
//!
//! Between regions the guest's state is in memory. A region loads what it touches where it begins, and stores where it ends what may have changed on the way there: what
//! it does not touch costs it nothing, at none of its many ends. Much of that is stored ahead of them: see [`crate::ahead`].

use crate::ahead::{Ahead, REGISTERS};
use crate::effects::CellSet;
use crate::emitter::Block;
use crate::ir::{Cell, End, FLAG_RESULT, RIP, Step, StopId, Value, XMM};
use crate::liveness::changed;
use crate::structure::{BlockId, Structure};

/// See the module.
pub(crate) struct Homes {
    /// Cells that are in locals.
    pub(crate) touched: CellSet,
    /// Those that some way through the region reads, or stores, as it found them.
    pub(crate) found: CellSet,
    /// For each block those that may have changed before it, and in it where a helper has to find them in memory.
    before: Vec<CellSet>,
}

impl Homes {
    pub(crate) fn of(blocks: &[Block], structure: &Structure, ahead: &Ahead) -> Homes {
        let read: Vec<CellSet> = blocks.iter().map(read).collect();
        let changes: Vec<Change> = (0..).zip(blocks).map(|(id, block)| Change::of(id, block, ahead)).collect();
        let mut before = before(&changes, structure);
        for (before, change) in before.iter_mut().zip(&changes) {
            *before = before.with(change.helped);
        }
        let stops = blocks.iter().flat_map(|block| (0..block.stops.len()).map(|stop| changed_at(block, stop)));
        let helped = changes.iter().map(|change| change.helped);
        let touched = read.iter().copied().chain(helped).chain(stops).collect();
        let found = found(&before, &read, &changes, structure);
        Homes { touched, found, before }
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

/// Whether `cell` is a general register or a flag.
pub(crate) fn is_general(cell: Cell) -> bool {
    cell < XMM && cell != RIP
}

/// Those among `cells`, the flags together.
fn general(cells: impl Iterator<Item = Cell>) -> CellSet {
    let cells: CellSet = cells.filter(|&cell| is_general(cell)).map(CellSet::one).collect();
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

/// Cells of which, as the block finds them, something is made, or that are stored with others that it has changed.
fn read(block: &Block) -> CellSet {
    let mut cells = CellSet::default();
    let mut add = |cell: Cell| cells = cells.with(general([cell].into_iter()));
    for stop in 0..block.stops.len() {
        changed(block, stop).for_each(|(_, value)| add(value.index()));
        let flags = CellSet::kept_flags();
        let new = flags.iter().filter(|&flag| block.cells_at(stop)[flag].index() != flag).count() as u32;
        if (1..flags.len()).contains(&new) {
            add(FLAG_RESULT);
        }
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

/// What a block does to general cells.
#[derive(Clone, Copy, Default)]
struct Change {
    /// Those that hold something new at its end.
    put: CellSet,
    /// Those that it changes in memory by helpers.
    helped: CellSet,
    /// Registers that it stores ahead, so that at its end memory has what they hold.
    stored: CellSet,
}

impl Change {
    fn of(id: BlockId, block: &Block, ahead: &Ahead) -> Change {
        let end = block.cells_at(block.end());
        let is_stored = |&cell: &Cell| ahead.stores(id, block, cell, end[cell], 0);
        let stored = (0..REGISTERS).filter(is_stored).map(CellSet::one).collect();
        Change { put: changed_at(block, block.end()), helped: helped(block), stored }
    }
}

/// See [`Homes::found`]: what is `read` in a block, or stored because it may differ from memory there, and was not changed on the way from some entry.
fn found(before: &[CellSet], read: &[CellSet], changes: &[Change], structure: &Structure) -> CellSet {
    let mut found: Vec<CellSet> = before.iter().zip(read).map(|(&before, &read)| before.with(read)).collect();
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for &block in structure.order.iter().rev().filter(|&&block| structure.is_block(block)) {
            let behind: CellSet = structure.successors(block).map(|next| found[next]).collect();
            let all = found[block].with(behind.without(changes[block].put));
            goes_on |= all != found[block];
            found[block] = all;
        }
    }
    structure.entries.iter().map(|&entry| found[entry]).collect()
}

/// For each block the cells that may differ from memory before it.
fn before(changes: &[Change], structure: &Structure) -> Vec<CellSet> {
    let mut before = vec![CellSet::default(); changes.len()];
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for &block in structure.order.iter().filter(|&&block| structure.is_block(block)) {
            let Change { put, helped, stored } = changes[block];
            let now = before[block].with(put).with(helped).without(stored);
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

    /// A region, by where blocks go on and what they change.
    fn region(blocks: &[(&[BlockId], CellSet)]) -> (Structure, Vec<Change>) {
        let flow = |(start, (targets, _)): (i64, &(&[BlockId], CellSet))| Flow {
            start,
            targets: targets.iter().copied().map(Some).collect(),
            ..Flow::default()
        };
        let flows: Vec<Flow> = (0..).zip(blocks).map(flow).collect();
        (Structure::of(&flows), blocks.iter().map(|&(_, put)| Change { put, ..Change::default() }).collect())
    }

    fn before_each(blocks: &[(&[BlockId], CellSet)]) -> Vec<CellSet> {
        let (structure, changes) = region(blocks);
        before(&changes, &structure)
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

    #[test]
    fn what_was_stored_ahead_is_not_stored_again() {
        let none = CellSet::default();
        let (structure, mut changes) = region(&[(&[1], A.with(B)), (&[2], none), (&[], none)]);
        changes[1].stored = A;
        assert_eq!(before(&changes, &structure), [none, A.with(B), B]);
    }

    #[test]
    fn what_every_way_changes_before_it_is_read_is_not_loaded() {
        let none = CellSet::default();
        let (structure, changes) = region(&[(&[1, 2], none), (&[3], A), (&[3], A.with(B)), (&[], none)]);
        let read = [none, none, none, A.with(B)];
        assert_eq!(found(&[none; 4], &read, &changes, &structure), B);
    }
}

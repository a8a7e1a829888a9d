//! Which registers a block stores ahead of the places where it may be left.
//!
//! Each of those would store much the same registers, at seven bytes of machine code apiece, and most of a region's code would be that: it has one for nearly every access to memory, and
//! hardly any is ever gone to. So what many of them would have to store is stored once, where the first of them is passed.

use crate::effects::CellSet;
use crate::emitter::Block;
use crate::groups::Groups;
use crate::ir::{Cell, StopId, Value};
use crate::structure::{BlockId, Edge, Structure};

/// General registers.
pub(crate) const REGISTERS: usize = CellSet::registers().len() as usize;
/// How many exits have to find a value for it to be stored ahead of them.
const WORTH: usize = 2;
/// The same in loops: in a short one a store in each turn takes more time than the bytes do that it saves.
const WORTH_IN_LOOP: usize = 12;

/// See the module.
pub(crate) struct Ahead {
    /// For each block where it may be left with something new to store.
    exits: Vec<Vec<StopId>>,
    /// For each block and register how many exits of those behind it find there what it leaves.
    behind: Vec<[u8; REGISTERS]>,
    worth: Vec<usize>,
}

impl Ahead {
    pub(crate) fn of(blocks: &[Block], structure: &Structure, groups: &Groups) -> Ahead {
        let of_one = |(id, block)| exits(id, block, structure, groups);
        let exits: Vec<Vec<StopId>> = (0..).zip(blocks).map(of_one).collect();
        let behind = behind(blocks, &exits, structure);
        let worth = |id| if structure.is_in_a_loop(id) { WORTH_IN_LOOP } else { WORTH };
        Ahead { exits, behind, worth: (0..blocks.len()).map(worth).collect() }
    }

    /// Whether `value`, which register `cell` holds from `stop` of `block` on or from earlier on, is stored ahead; the block is number `id`.
    pub(crate) fn stores(&self, id: BlockId, block: &Block, cell: Cell, value: Value, stop: StopId) -> bool {
        let finds = |&&exit: &&StopId| exit >= stop && block.cells_at(exit)[cell] == value;
        let here = self.exits[id].iter().filter(finds).count();
        let is_left = block.cells_at(block.end())[cell] == value;
        here + if is_left { usize::from(self.behind[id][cell]) } else { 0 } >= self.worth[id]
    }
}

/// Where `block` may be left and has to leave its own state behind: where it goes back to its start nothing new is to be stored.
fn exits(id: BlockId, block: &Block, structure: &Structure, groups: &Groups) -> Vec<StopId> {
    let ways = &groups.ways[groups.first_ways[id]..];
    let steps = block.steps.iter().zip(ways).filter(|&(step, way)| way.may_leave(step));
    let stops = steps.flat_map(|(step, _)| step.all_stops()).filter(|&stop| !block.stops[stop].restarts);
    let leaves = structure.edges(id).filter(|&edge| edge == Edge::Leaves).map(|_| block.end());
    stops.chain(leaves).collect()
}

/// See [`Ahead::behind`]. What lies behind a branch back is not counted.
fn behind(blocks: &[Block], exits: &[Vec<StopId>], structure: &Structure) -> Vec<[u8; REGISTERS]> {
    let mut behind = vec![[0u8; REGISTERS]; blocks.len()];
    for &id in structure.order.iter().rev().filter(|&&block| structure.is_block(block)) {
        for next in structure.successors(id) {
            let found = found_at_exits(&blocks[next], &exits[next], &behind[next]);
            for (all, found) in behind[id].iter_mut().zip(found) {
                *all = all.saturating_add(found);
            }
        }
    }
    behind
}

/// How many of `exits` of `block`, and of those `behind` it, find in each register what the block does.
fn found_at_exits(block: &Block, exits: &[StopId], behind: &[u8; REGISTERS]) -> [u8; REGISTERS] {
    core::array::from_fn(|cell| {
        let finds = |stop: StopId| block.cells_at(stop)[cell].index() == cell;
        let here = exits.iter().filter(|&&exit| finds(exit)).count();
        let there = if finds(block.end()) { behind[cell] } else { 0 };
        there.saturating_add(here.try_into().unwrap_or(u8::MAX))
    })
}

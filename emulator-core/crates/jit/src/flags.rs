//! Which blocks of a region need the lazy flags they find: where none of those a block goes on to does, it leaves them uncomputed.

use crate::emitter::Block;
use crate::ir::{End, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, Node, StopId, Value};
use crate::structure::{BlockId, Edge, Structure};

/// Bit 0: the result; bit 1: the carry vector, or what stands for it.
pub(crate) type Flags = u8;
const BOTH: Flags = 3;
const RESULT: Flags = 1;
const CARRIES: Flags = 2;

/// For every block the flags that a block of the region may read behind its end; one that leaves there puts its flags in order by itself.
pub(crate) fn needed_behind(blocks: &[Block], structure: &Structure) -> Vec<Flags> {
    let mut made_of = Vec::new();
    let uses: Vec<Uses> = blocks.iter().map(|block| Uses::of(block, &mut made_of)).collect();
    let mut behind = vec![0; blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in structure.order.iter().rev().filter(|&&block| structure.is_block(block)) {
            let needed = behind_one(block, blocks, structure, |next| {
                uses[next].before(if may_leave(structure, next) { BOTH } else { behind[next] })
            });
            changed |= needed != behind[block];
            behind[block] = needed;
        }
    }
    behind
}

fn behind_one(block: BlockId, blocks: &[Block], structure: &Structure, before: impl Fn(BlockId) -> Flags) -> Flags {
    if blocks[block].end == End::Dynamic {
        return BOTH;
    }
    structure.successors(block).map(before).fold(0, |all, flags| all | flags)
}

/// Whether the region may be left at the end of `block`: before a way back too, when the slice ends.
fn may_leave(structure: &Structure, block: BlockId) -> bool {
    structure.edges(block).any(|edge| matches!(edge, Edge::Leaves | Edge::Back(_) | Edge::Enters(..)))
}

/// Which flags a block reads of those it finds.
struct Uses {
    /// In any case.
    always: Flags,
    /// To make the result, and the carry vector, it ends with.
    for_result: Flags,
    for_carries: Flags,
}

impl Uses {
    /// Those of `block`, with room for what its values are made of.
    fn of(block: &Block, made_of: &mut Vec<Flags>) -> Uses {
        // Most blocks may stop before they set flags.
        let finds = |stop: StopId, cell: usize| block.cells_at(stop)[cell].index() == cell;
        let finds_both = |stop: StopId| finds(stop, FLAG_RESULT) && finds(stop, FLAG_CARRIES);
        if (0..block.end()).any(finds_both) {
            return Uses { always: BOTH, for_result: 0, for_carries: 0 };
        }
        made_of.clear();
        for index in 0..block.graph.len() {
            made_of.push(match block.graph.node(Value(index as u32)) {
                Node::Input(FLAG_RESULT) => RESULT,
                Node::Input(FLAG_CARRIES | FLAG_KIND) => CARRIES,
                node => {
                    let mut flags = 0;
                    node.for_operands(|operand| flags |= made_of[operand.index()]);
                    flags
                }
            });
        }
        let of = |value: Value| made_of[value.index()];
        let end = block.cells_at(block.end());
        let held = |stop: StopId| block.cells_at(stop).iter().copied().chain(block.stops[stop].doubt);
        let stops = (0..block.end()).flat_map(held).map(of);
        let is_flag = |cell: usize| matches!(cell, FLAG_RESULT | FLAG_CARRIES | FLAG_KIND);
        let others = (0..block.cells).filter(|&cell| !is_flag(cell)).map(|cell| of(end[cell]));
        let condition = if let End::Branch(condition, _) = block.end { of(condition) } else { 0 };
        let mut always = stops.chain(others).fold(condition, |all, flags| all | flags);
        block.steps.iter().for_each(|step| step.for_operands(|value| always |= of(value)));
        Uses { always, for_result: of(end[FLAG_RESULT]), for_carries: of(end[FLAG_CARRIES]) | of(end[FLAG_KIND]) }
    }

    /// What the block needs where `behind` is needed at its end.
    fn before(&self, behind: Flags) -> Flags {
        let result = if behind & RESULT != 0 { self.for_result } else { 0 };
        let carries = if behind & CARRIES != 0 { self.for_carries } else { 0 };
        self.always | result | carries
    }
}

/// Whether a cell is a flag that is not among those `needed`.
pub(crate) fn is_unneeded(cell: usize, needed: Flags) -> bool {
    match cell {
        FLAG_RESULT => needed & RESULT == 0,
        FLAG_CARRIES | FLAG_KIND => needed & CARRIES == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

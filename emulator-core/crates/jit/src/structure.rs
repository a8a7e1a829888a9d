//! The shape of a region: which blocks loop back to which, and how they nest.
//!
//! WebAssembly has structured control flow. A region is written along its dominator tree (Ramsey, "Beyond Relooper", 2022): a block that several
//! others go on to comes behind a `block` around them, a block that is gone back to starts a `loop`. What does not fit (a jump into
//! a loop, past its head) leaves the region and comes back by the jump cache.

use crate::emitter::Block;
use crate::ir::End;

/// Number of a block in its region.
pub(crate) type BlockId = usize;

/// See the module.
pub(crate) struct Structure {
    /// Blocks that are reached, in reverse postorder; the entry first.
    pub(crate) order: Vec<BlockId>,
    /// For every block its place in `order`.
    place: Vec<Option<usize>>,
    /// For every block the one that dominates it immediately.
    dominator: Vec<BlockId>,
    /// Blocks that a branch goes back to.
    pub(crate) is_loop: Vec<bool>,
    /// Blocks that more than one branch goes forward to.
    pub(crate) is_join: Vec<bool>,
    /// For every block where it goes on inside the region, first where its branch is taken.
    successors: Vec<[Option<BlockId>; 2]>,
}

/// How a branch gets to its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edge {
    /// Out of the region.
    Leaves,
    /// Back to the start of a loop around.
    Back(BlockId),
    /// Forward, to one of those that others go on to as well.
    Joins(BlockId),
    /// To a block that only this branch goes on to.
    Continues(BlockId),
}

impl Structure {
    pub(crate) fn of(blocks: &[Block]) -> Structure {
        let find = |offset: i64| blocks.iter().position(|block| block.start == offset);
        let successors: Vec<_> = blocks
            .iter()
            .map(|block| match block.end {
                End::Goto(offset) => [find(offset), None],
                End::Branch(_, targets) => targets.map(find),
                End::Dynamic => [None; 2],
            })
            .collect();
        let count = blocks.len();
        let order = reverse_postorder(&successors);
        let mut place = vec![None; count];
        for (at, &block) in order.iter().enumerate() {
            place[block] = Some(at);
        }
        let (is_loop, is_join) = (vec![false; count], vec![false; count]);
        let mut structure = Structure { order, place, dominator: vec![0; count], is_loop, is_join, successors };
        structure.find_dominators();
        structure.classify();
        structure
    }

    /// How `block` goes on to its successor `which`.
    pub(crate) fn edge(&self, block: BlockId, which: usize) -> Edge {
        match self.successors[block][which] {
            None => Edge::Leaves,
            Some(target) if self.goes_back(block, target) => Edge::Back(target),
            Some(target) if self.is_join[target] => Edge::Joins(target),
            Some(target) => Edge::Continues(target),
        }
    }

    /// Where `block` goes on inside the region.
    pub(crate) fn successors(&self, block: BlockId) -> impl Iterator<Item = BlockId> {
        self.successors[block].into_iter().flatten()
    }

    /// The blocks behind joins that `block` dominates immediately, in order.
    pub(crate) fn joins_under(&self, block: BlockId) -> Vec<BlockId> {
        let under = |&other: &BlockId| other != block && self.is_join[other] && self.dominator[other] == block;
        self.order.iter().copied().filter(under).collect()
    }

    fn goes_back(&self, from: BlockId, to: BlockId) -> bool {
        self.place[to] <= self.place[from]
    }

    fn dominates(&self, above: BlockId, mut below: BlockId) -> bool {
        while self.place[below] > self.place[above] {
            below = self.dominator[below];
        }
        below == above
    }

    /// Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    fn find_dominators(&mut self) {
        let mut known = vec![false; self.dominator.len()];
        known[0] = true;
        let mut changed = true;
        while changed {
            changed = false;
            for &block in &self.order[1..] {
                let before = self.order.iter().copied().filter(|&other| self.successors[other].contains(&Some(block)));
                let Some(dominator) = before.filter(|&other| known[other]).reduce(|a, b| self.common(a, b)) else {
                    continue;
                };
                changed |= !known[block] || self.dominator[block] != dominator;
                known[block] = true;
                self.dominator[block] = dominator;
            }
        }
    }

    /// The nearest block that dominates both.
    fn common(&self, mut a: BlockId, mut b: BlockId) -> BlockId {
        while a != b {
            if self.place[a] > self.place[b] {
                a = self.dominator[a];
            } else {
                b = self.dominator[b];
            }
        }
        a
    }

    /// Takes out branches back into the middle of a loop, and finds loops and joins among the rest.
    fn classify(&mut self) {
        let mut forward = vec![0; self.dominator.len()];
        for at in 0..self.order.len() {
            let block = self.order[at];
            for which in 0..2 {
                let Some(target) = self.successors[block][which] else { continue };
                if !self.goes_back(block, target) {
                    forward[target] += 1;
                } else if self.dominates(target, block) {
                    self.is_loop[target] = true;
                } else {
                    self.successors[block][which] = None;
                }
            }
        }
        self.is_join = forward.into_iter().map(|count| count > 1).collect();
    }
}

fn reverse_postorder(successors: &[[Option<BlockId>; 2]]) -> Vec<BlockId> {
    let mut seen = vec![false; successors.len()];
    let mut order = Vec::new();
    let mut pending = vec![(0, 0)];
    seen[0] = true;
    while let Some((block, which)) = pending.pop() {
        if which == 2 {
            order.push(block);
            continue;
        }
        pending.push((block, which + 1));
        // The second successor, the fall-through, is visited first so that it comes behind the first in the order.
        if let Some(next) = successors[block][1 - which]
            && !core::mem::replace(&mut seen[next], true)
        {
            pending.push((next, 0));
        }
    }
    order.reverse();
    order
}

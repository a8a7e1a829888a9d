//! The shape of a region: which blocks loop back to which, how they nest, and how each of its entries is reached.
//!
//! WebAssembly has structured control flow. A region is written along its dominator tree (Ramsey, "Beyond Relooper", 2022): a block that several
//! others go on to comes behind a `block` around them, a block that is gone back to starts a `loop`. What does not fit (a jump into
//! a loop, past its head) leaves the region and comes back by the jump cache.
//!
//! A region is entered at its first block, at the heads of its loops and behind its calls. Into a loop there is only one way, so an entry inside
//! is reached by its head, which looks which entry was meant: the head *dispatches* to it.

/// Number of a block in its region. The one behind the last is the *root*, where the function starts.
pub(crate) type BlockId = usize;

/// What a block goes on to. Others are named by their number.
#[derive(Clone, Default)]
pub(crate) struct Flow {
    /// Offset of the block from the region's first byte.
    pub(crate) start: i64,
    /// Where each of its branches leads to; none where that is out of the region.
    pub(crate) targets: Vec<Option<BlockId>>,
    /// The block that is entered when what its last instruction began elsewhere comes back.
    pub(crate) resumes: Option<BlockId>,
    /// It belongs to a call that the region follows: loops in it are no entries.
    pub(crate) called: bool,
    /// It is an entry in any case.
    pub(crate) entered: bool,
}

/// See the module.
pub(crate) struct Structure {
    /// Blocks that are reached, in reverse postorder; the root first.
    pub(crate) order: Vec<BlockId>,
    /// Blocks the function can be entered at, by the number of the entry.
    pub(crate) entries: Vec<BlockId>,
    /// Blocks that a branch goes back to.
    pub(crate) is_loop: Vec<bool>,
    /// Blocks that have a label of their own: more than one branch goes forward to them, or somebody dispatches to them.
    is_join: Vec<bool>,
    tree: Tree,
    /// For every block where it goes on inside the region, first where its branch is taken.
    targets: Vec<Vec<Option<BlockId>>>,
    /// For every block the head of the innermost loop around it (of a head: around its loop), or the root.
    around: Vec<BlockId>,
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
    pub(crate) fn of(flows: &[Flow]) -> Structure {
        let root = flows.len();
        let mut targets: Vec<_> = flows.iter().map(|flow| flow.targets.clone()).collect();
        targets.push(vec![Some(0)]);
        let mut successors: Vec<Vec<BlockId>> = targets.iter().map(|t| t.iter().flatten().copied().collect()).collect();
        for (block, flow) in flows.iter().enumerate() {
            successors[block].extend(flow.resumes);
        }
        let loops = Loops::of(root, &successors, &mut targets);
        let is_loop: Vec<bool> = loops.bodies.iter().map(|body| !body.is_empty()).collect();
        let mut entries = vec![0];
        let places = flows.iter().filter_map(|flow| flow.resumes);
        let is_entry = |block: &BlockId| flows[*block].entered || is_loop[*block] && !flows[*block].called;
        for entry in places.chain((0..root).filter(is_entry)) {
            let is_new = entries.iter().all(|&other: &BlockId| flows[other].start != flows[entry].start);
            if is_new && loops.tree.place[entry].is_some() {
                entries.push(entry);
            }
        }
        Structure::with_dispatch(entries, is_loop, loops.around, targets)
    }

    /// With branches from loop heads, and the root, to the entries that they dispatch to, instead of calls that come back.
    fn with_dispatch(
        entries: Vec<BlockId>,
        is_loop: Vec<bool>,
        around: Vec<BlockId>,
        targets: Vec<Vec<Option<BlockId>>>,
    ) -> Structure {
        let root = targets.len() - 1;
        let mut successors: Vec<Vec<BlockId>> = targets.iter().map(|t| t.iter().flatten().copied().collect()).collect();
        let mut is_join = vec![false; targets.len()];
        for &entry in &entries {
            let mut target = entry;
            while target != root {
                is_join[target] = true;
                successors[around[target]].push(target);
                target = around[target];
            }
        }
        let tree = Tree::of(root, &successors);
        let mut forward = vec![0; targets.len()];
        for (block, targets) in targets.iter().enumerate().filter(|&(block, _)| tree.place[block].is_some()) {
            for &target in targets.iter().flatten().filter(|&&target| tree.place[target] > tree.place[block]) {
                forward[target] += 1;
                is_join[target] |= forward[target] > 1;
            }
        }
        let order = tree.order.clone();
        Structure { order, entries, is_loop, is_join, tree, targets, around }
    }

    /// The root.
    pub(crate) fn root(&self) -> BlockId {
        self.targets.len() - 1
    }

    /// How `block` goes on to its target `which`.
    pub(crate) fn edge(&self, block: BlockId, which: usize) -> Edge {
        match self.targets[block][which] {
            None => Edge::Leaves,
            Some(target) if self.tree.place[target] <= self.tree.place[block] => {
                if self.is_loop[target] && self.tree.dominates(target, block) {
                    Edge::Back(target)
                } else {
                    Edge::Leaves
                }
            }
            Some(target) if self.is_join[target] => Edge::Joins(target),
            Some(target) => Edge::Continues(target),
        }
    }

    /// How `block` goes on, in the order of its targets.
    pub(crate) fn edges(&self, block: BlockId) -> impl Iterator<Item = Edge> {
        (0..self.targets[block].len()).map(move |which| self.edge(block, which))
    }

    /// Where `block` goes on inside the region.
    pub(crate) fn successors(&self, block: BlockId) -> impl Iterator<Item = BlockId> {
        self.targets[block].iter().copied().flatten()
    }

    /// The blocks with labels of their own that `block` dominates immediately, in order.
    pub(crate) fn joins_under(&self, block: BlockId) -> Vec<BlockId> {
        let under = |&other: &BlockId| other != block && self.is_join[other] && self.tree.dominator[other] == block;
        self.order.iter().copied().filter(under).collect()
    }

    /// For every entry, by number, the block that `head`, the head of a loop or the root, goes to for it: the entry, or the head of the next
    /// loop on the way there; none where the entry is not inside, and `head` itself where it is that.
    pub(crate) fn dispatch(&self, head: BlockId) -> Vec<Option<BlockId>> {
        let towards = |&entry: &BlockId| {
            if entry == head {
                return Some(head);
            }
            let mut target = entry;
            while target != self.root() {
                if self.around[target] == head {
                    return Some(target);
                }
                target = self.around[target];
            }
            None
        };
        self.entries.iter().map(towards).collect()
    }
}

/// Reverse postorder and dominators of what is reached from a root.
struct Tree {
    order: Vec<BlockId>,
    /// For every block its place in `order`.
    place: Vec<Option<usize>>,
    /// For every block the one that dominates it immediately.
    dominator: Vec<BlockId>,
}

impl Tree {
    fn of(root: BlockId, successors: &[Vec<BlockId>]) -> Tree {
        let order = reverse_postorder(root, successors);
        let mut place = vec![None; successors.len()];
        for (at, &block) in order.iter().enumerate() {
            place[block] = Some(at);
        }
        let mut tree = Tree { order, place, dominator: vec![root; successors.len()] };
        tree.find_dominators(successors);
        tree
    }

    fn dominates(&self, above: BlockId, mut below: BlockId) -> bool {
        while self.place[below] > self.place[above] {
            below = self.dominator[below];
        }
        below == above
    }

    /// Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    fn find_dominators(&mut self, successors: &[Vec<BlockId>]) {
        let mut predecessors = vec![Vec::new(); successors.len()];
        for &block in &self.order {
            for &next in &successors[block] {
                predecessors[next].push(block);
            }
        }
        let mut known = vec![false; successors.len()];
        known[self.order[0]] = true;
        let mut changed = true;
        while changed {
            changed = false;
            for at in 1..self.order.len() {
                let block = self.order[at];
                let before = predecessors[block].iter().copied().filter(|&other| known[other]);
                let Some(dominator) = before.reduce(|a, b| self.common(a, b)) else { continue };
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
}

/// The loops of a region in which calls come back.
struct Loops {
    tree: Tree,
    /// For every head of a loop the blocks in it.
    bodies: Vec<Vec<BlockId>>,
    around: Vec<BlockId>,
}

impl Loops {
    /// Takes branches back into the middle of a loop out of `targets`.
    fn of(root: BlockId, successors: &[Vec<BlockId>], targets: &mut [Vec<Option<BlockId>>]) -> Loops {
        let tree = Tree::of(root, successors);
        let mut predecessors = vec![Vec::new(); successors.len()];
        let mut latches = vec![Vec::new(); successors.len()];
        for &block in &tree.order {
            for &next in &successors[block] {
                if tree.place[next] > tree.place[block] {
                    predecessors[next].push(block);
                } else if tree.dominates(next, block) {
                    predecessors[next].push(block);
                    latches[next].push(block);
                } else {
                    let back = targets[block].iter_mut().filter(|target| **target == Some(next));
                    back.for_each(|target| *target = None);
                }
            }
        }
        let bodies: Vec<_> =
            latches.into_iter().enumerate().map(|(head, latches)| body(head, latches, &predecessors)).collect();
        let mut around = vec![root; successors.len()];
        for (block, around) in around.iter_mut().enumerate().take(root) {
            let inside = (0..root).filter(|&head| head != block && bodies[head].contains(&block));
            *around = inside.min_by_key(|&head| bodies[head].len()).unwrap_or(root);
        }
        Loops { tree, bodies, around }
    }
}

/// The blocks from which a latch is reached without passing `head`, and `head`; none where there is no latch.
fn body(head: BlockId, latches: Vec<BlockId>, predecessors: &[Vec<BlockId>]) -> Vec<BlockId> {
    if latches.is_empty() {
        return Vec::new();
    }
    let mut body = vec![head];
    let mut pending = latches;
    while let Some(block) = pending.pop() {
        if !body.contains(&block) {
            body.push(block);
            pending.extend(&predecessors[block]);
        }
    }
    body
}

fn reverse_postorder(root: BlockId, successors: &[Vec<BlockId>]) -> Vec<BlockId> {
    let mut seen = vec![false; successors.len()];
    let mut order = Vec::new();
    let mut pending = vec![(root, 0)];
    seen[root] = true;
    while let Some((block, visited)) = pending.pop() {
        // The last successor, the fall-through, is visited first so that it comes behind the others in the order.
        let Some(&next) = successors[block].iter().rev().nth(visited) else {
            order.push(block);
            continue;
        };
        pending.push((block, visited + 1));
        if !core::mem::replace(&mut seen[next], true) {
            pending.push((next, 0));
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests;

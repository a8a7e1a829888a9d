//! The shape of a region: which blocks loop back to which, how they nest, and how each of its entries is reached.
//!
//! WebAssembly has structured control flow. A region is written along its dominator tree (Ramsey, "Beyond Relooper", 2022): a block that several
//! others go on to comes behind a `block` around them, a block that is gone back to starts a `loop`. What does not fit (a jump into
//! a loop, past its head) goes in as from outside, where there is an entry, or leaves the region and comes back by the jump cache.
//!
//! A region is entered at its first block, at the heads of its loops and behind its calls. Into a loop there is only one way, so where an entry lies
//! inside there is a *gate* before the head, which looks which entry was meant. Ways round the loop that nobody takes who came in further inside lead to the head
//! itself: in an inner loop that begins as the outer one does, nothing is looked at.

mod lists;

use lists::Lists;

/// Number of a block in its region. The one behind the last is the *root*, where the function starts; then come gates.
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
    /// Blocks and gates that a branch goes back to.
    pub(crate) is_loop: Vec<bool>,
    /// Blocks and gates that have a label of their own: more than one branch goes forward to them, or a gate or the root leads to them.
    is_join: Vec<bool>,
    tree: Tree,
    /// For every block where it goes on, first where its branch is taken.
    targets: Lists<Option<BlockId>>,
    /// How it gets there.
    edges: Vec<Edge>,
    /// Under every block the joins that it dominates immediately.
    joins: Lists<BlockId>,
    /// Offsets of the blocks from the region's first byte.
    starts: Vec<i64>,
    /// Branches back into the middle of a loop: from where to where.
    irregular: Vec<(BlockId, BlockId)>,
    gates: Gates,
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
    /// Back to a gate around, to be led to the entry of this number.
    Enters(BlockId, usize),
}

impl Structure {
    pub(crate) fn of(flows: &[Flow]) -> Structure {
        let root = flows.len();
        let mut targets = Lists::for_blocks(root + 1);
        let mut successors = Lists::for_blocks(root + 1);
        for flow in flows {
            targets.add(flow.targets.iter().copied());
            successors.add(flow.targets.iter().copied().flatten().chain(flow.resumes));
        }
        targets.add([Some(0)]);
        successors.add([0]);
        let loops = Loops::of(root, &successors);
        let mut entries = vec![0];
        let places = flows.iter().filter_map(|flow| flow.resumes);
        let is_head = |block: BlockId| loops.is_head[block];
        let is_entry = |block: &BlockId| flows[*block].entered || is_head(*block) && !flows[*block].called;
        for entry in places.chain((0..root).filter(is_entry)) {
            let is_new = entries.iter().all(|&other: &BlockId| flows[other].start != flows[entry].start);
            if is_new && loops.tree.place[entry].is_some() {
                entries.push(entry);
            }
        }
        let starts = flows.iter().map(|flow| flow.start).collect();
        Structure::with_gates(entries, loops, targets, starts)
    }

    /// With gates, and their ways, instead of calls that come back.
    fn with_gates(entries: Vec<BlockId>, loops: Loops, targets: Lists<Option<BlockId>>, starts: Vec<i64>) -> Structure {
        let root = targets.len() - 1;
        let Loops { around, irregular, .. } = loops;
        let gates = Gates::of(root, &entries, &around);
        let mut ways = Vec::with_capacity(2 * targets.all.len());
        for block in 0..=root {
            let regular = targets.of(block).iter().flatten().filter(|&&to| !irregular.contains(&(block, to)));
            ways.extend(regular.map(|&to| (block, gates.arrival(to))));
        }
        let count = root + 1 + gates.heads.len();
        let mut is_join = vec![false; count];
        for (gate, &head) in gates.heads.iter().enumerate() {
            ways.push((root + 1 + gate, head));
            is_join[head] = true;
        }
        for &entry in &entries {
            let mut target = entry;
            while target != root {
                let arrival = gates.arrival(target);
                is_join[arrival] = true;
                ways.push((gates.arrival(around[target]), arrival));
                target = around[target];
            }
        }
        let tree = Tree::of(root, &Lists::sorted(count, &ways));
        let (edges, joins) = (Vec::new(), Lists::for_blocks(0));
        let (order, is_loop) = (tree.order.clone(), vec![false; count]);
        let mut structure = Structure {
            order,
            entries,
            is_loop,
            is_join,
            tree,
            targets,
            edges,
            joins,
            starts,
            irregular,
            gates,
            around,
        };
        structure.find_loops_and_joins();
        structure.find_edges();
        structure
    }

    /// How blocks go on, and the joins under each.
    fn find_edges(&mut self) {
        let blocks = 0..self.targets.len();
        let all = blocks.flat_map(|block| (0..self.targets.of(block).len()).map(move |which| (block, which)));
        let mut edges = Vec::with_capacity(self.targets.all.len());
        edges.extend(all.map(|(block, which)| self.find_edge(block, which)));
        self.edges = edges;
        let joins = self.order.iter().filter(|&&block| self.is_join[block] && self.tree.dominator[block] != block);
        let under: Vec<_> = joins.map(|&join| (self.tree.dominator[join], join)).collect();
        self.joins = Lists::sorted(self.is_join.len(), &under);
    }

    /// Those that branches go back to, and those with more than one branch forward to them.
    fn find_loops_and_joins(&mut self) {
        let mut forward = vec![0; self.is_join.len()];
        let root = self.root();
        for at in 0..self.order.len() {
            let block = self.order[at];
            if block > root {
                continue;
            }
            for which in 0..self.targets.of(block).len() {
                match self.find_edge(block, which) {
                    Edge::Leaves => {}
                    Edge::Back(head) | Edge::Enters(head, _) => self.is_loop[head] = true,
                    Edge::Joins(next) | Edge::Continues(next) => {
                        forward[next] += 1;
                        self.is_join[next] |= forward[next] > 1;
                    }
                }
            }
        }
    }

    /// The root.
    pub(crate) fn root(&self) -> BlockId {
        self.targets.len() - 1
    }

    /// Whether it is a block, not a gate or the root.
    pub(crate) fn is_block(&self, block: BlockId) -> bool {
        block < self.root()
    }

    /// The target `which` of `block`.
    pub(crate) fn target(&self, block: BlockId, which: usize) -> Option<BlockId> {
        self.targets.of(block)[which]
    }

    /// How `block` goes on to its target `which`.
    pub(crate) fn edge(&self, block: BlockId, which: usize) -> Edge {
        self.edges[self.targets.places(block)][which]
    }

    fn find_edge(&self, block: BlockId, which: usize) -> Edge {
        let Some(target) = self.target(block, which) else { return Edge::Leaves };
        let arrival = self.gates.arrival(target);
        if self.irregular.contains(&(block, target)) {
            return self.entering(block, target);
        }
        match [target, arrival].into_iter().find(|&head| self.tree.dominates(head, block)) {
            Some(head) => Edge::Back(head),
            None if self.tree.place[arrival] <= self.tree.place[block] => self.entering(block, target),
            None if self.is_join[arrival] => Edge::Joins(arrival),
            None => Edge::Continues(arrival),
        }
    }

    /// From `block` to the entry that begins as `target`, by the nearest gate on its way there that is around `block` as well.
    fn entering(&self, block: BlockId, target: BlockId) -> Edge {
        let number = self.entries.iter().position(|&entry| self.starts[entry] == self.starts[target]);
        let Some(number) = number else { return Edge::Leaves };
        let mut head = self.around[self.entries[number]];
        while head != self.root() {
            let gate = self.gates.arrival(head);
            if self.tree.dominates(gate, block) {
                return Edge::Enters(gate, number);
            }
            head = self.around[head];
        }
        Edge::Leaves
    }

    /// How `block` goes on, in the order of its targets.
    pub(crate) fn edges(&self, block: BlockId) -> impl Iterator<Item = Edge> + Clone {
        self.edges[self.targets.places(block)].iter().copied()
    }

    /// Where `block` goes on inside the region.
    pub(crate) fn successors(&self, block: BlockId) -> impl Iterator<Item = BlockId> {
        let inside = move |(edge, target): (Edge, &Option<BlockId>)| match edge {
            Edge::Leaves => None,
            Edge::Enters(_, number) => Some(self.entries[number]),
            Edge::Back(_) | Edge::Joins(_) | Edge::Continues(_) => *target,
        };
        self.edges(block).zip(self.targets.of(block)).filter_map(inside)
    }

    /// The blocks with labels of their own that `block` dominates immediately, in order.
    pub(crate) fn joins_under(&self, block: BlockId) -> &[BlockId] {
        self.joins.of(block)
    }

    /// Whether `block` is in some loop.
    pub(crate) fn is_in_a_loop(&self, block: BlockId) -> bool {
        self.around[block] != self.root() || self.is_loop[block] || self.is_loop[self.gates.arrival(block)]
    }

    /// Whether `block` is the head of a loop or in it.
    pub(crate) fn is_in(&self, mut block: BlockId, head: BlockId) -> bool {
        while block != head && self.is_block(block) {
            block = self.around[block];
        }
        block == head
    }

    /// The blocks of the loop of `head`.
    pub(crate) fn blocks_in(&self, head: BlockId) -> impl Iterator<Item = BlockId> {
        self.order.iter().copied().filter(move |&block| self.is_block(block) && self.is_in(block, head))
    }

    /// For every entry, by number, what `gate`, a gate or the root, leads to for it: the entry, or the gate of the next
    /// loop on the way there, and its own loop's head where the entry is not inside.
    pub(crate) fn dispatch(&self, gate: BlockId) -> Vec<BlockId> {
        let head = self.gates.head(gate);
        let towards = |&entry: &BlockId| {
            let mut target = entry;
            while target != self.root() && target != head {
                if self.around[target] == head {
                    return self.gates.arrival(target);
                }
                target = self.around[target];
            }
            head
        };
        self.entries.iter().map(towards).collect()
    }
}

/// The gates of a region.
struct Gates {
    root: BlockId,
    /// For every gate the head of its loop.
    heads: Vec<BlockId>,
    /// For every block, and the root, its gate if it has one.
    of: Vec<Option<BlockId>>,
}

impl Gates {
    fn of(root: BlockId, entries: &[BlockId], around: &[BlockId]) -> Gates {
        let mut gates = Gates { root, heads: Vec::new(), of: vec![None; root + 1] };
        for &entry in entries {
            let mut head = around[entry];
            while head != root {
                if gates.of[head].is_none() {
                    gates.heads.push(head);
                    gates.of[head] = Some(root + gates.heads.len());
                }
                head = around[head];
            }
        }
        gates
    }

    /// Where somebody who goes to `block` from outside of its loop arrives.
    fn arrival(&self, block: BlockId) -> BlockId {
        self.of[block].unwrap_or(block)
    }

    /// The head behind `gate`; the root, which is a gate too, has none but itself.
    fn head(&self, gate: BlockId) -> BlockId {
        if gate == self.root { gate } else { self.heads[gate - self.root - 1] }
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
    fn of(root: BlockId, successors: &Lists<BlockId>) -> Tree {
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
    fn find_dominators(&mut self, successors: &Lists<BlockId>) {
        let predecessors = self.predecessors(successors);
        let mut known = vec![false; successors.len()];
        known[self.order[0]] = true;
        let mut changed = true;
        while changed {
            changed = false;
            for at in 1..self.order.len() {
                let block = self.order[at];
                let before = predecessors.of(block).iter().copied().filter(|&other| known[other]);
                let Some(dominator) = before.reduce(|a, b| self.common(a, b)) else { continue };
                changed |= !known[block] || self.dominator[block] != dominator;
                known[block] = true;
                self.dominator[block] = dominator;
            }
        }
    }

    /// Where each block is come to from, in order.
    fn predecessors(&self, successors: &Lists<BlockId>) -> Lists<BlockId> {
        let mut ways = Vec::with_capacity(successors.all.len());
        for &block in &self.order {
            ways.extend(successors.of(block).iter().map(|&next| (next, block)));
        }
        Lists::sorted(successors.len(), &ways)
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
    is_head: Vec<bool>,
    /// See [`Structure::around`].
    around: Vec<BlockId>,
    /// Branches back into the middle of a loop.
    irregular: Vec<(BlockId, BlockId)>,
}

impl Loops {
    fn of(root: BlockId, successors: &Lists<BlockId>) -> Loops {
        let tree = Tree::of(root, successors);
        let (mut latches, mut irregular) = (Vec::new(), Vec::new());
        for &block in &tree.order {
            for &next in successors.of(block).iter().filter(|&&next| tree.place[next] <= tree.place[block]) {
                let way = (next, block);
                if tree.dominates(next, block) { latches.push(way) } else { irregular.push((block, next)) }
            }
        }
        let (mut is_head, mut around) = (vec![false; successors.len()], vec![root; successors.len()]);
        if !latches.is_empty() {
            let latches = Lists::sorted(successors.len(), &latches);
            let predecessors = tree.predecessors(successors);
            let heads = (0..successors.len()).filter(|&head| !latches.of(head).is_empty());
            let mut loops: Vec<_> =
                heads.map(|head| (head, body(head, latches.of(head), &predecessors, &tree))).collect();
            loops.sort_by_key(|(_, body)| body.len());
            for (head, body) in &loops {
                is_head[*head] = true;
                for &block in body.iter().filter(|&block| block != head) {
                    if around[block] == root {
                        around[block] = *head;
                    }
                }
            }
        }
        Loops { tree, is_head, around, irregular }
    }
}

/// The blocks from which one of these latches is reached without passing `head`, and `head`.
fn body(head: BlockId, latches: &[BlockId], predecessors: &Lists<BlockId>, tree: &Tree) -> Vec<BlockId> {
    let mut is_in = vec![false; predecessors.len()];
    is_in[head] = true;
    let mut body = vec![head];
    let mut pending = latches.to_vec();
    while let Some(block) = pending.pop() {
        if !core::mem::replace(&mut is_in[block], true) {
            body.push(block);
            // Some come from outside, past the head.
            pending.extend(predecessors.of(block).iter().filter(|&&before| tree.dominates(head, before)));
        }
    }
    body
}

fn reverse_postorder(root: BlockId, successors: &Lists<BlockId>) -> Vec<BlockId> {
    let mut seen = vec![false; successors.len()];
    let mut order = Vec::with_capacity(successors.len());
    let mut pending = Vec::with_capacity(successors.len());
    pending.push((root, 0));
    seen[root] = true;
    while let Some((block, visited)) = pending.pop() {
        // The last successor, the fall-through, is visited first so that it comes behind the others in the order.
        let Some(&next) = successors.of(block).iter().rev().nth(visited) else {
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

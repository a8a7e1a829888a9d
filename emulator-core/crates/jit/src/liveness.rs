//! Which values a block computes, and which only a stop needs.
//!
//! A value is *hot* when a step or the end of the block is made of it. Everything else is dead on the way
//! through the block: most flags are. Where a stop's state names such a value it is computed there, off the way, out
//! of hot values; those must then already be in locals, or be cheap to read again.

use crate::emitter::Block;
use crate::flags::{Flags, is_unneeded};
use crate::ir::{Cell, End, Node, Scalar, Stop, StopId, Value, X87_DEPTH};

/// See the module.
pub(crate) struct Liveness {
    hot: Vec<bool>,
    /// How often a hot value is asked for: by hot values, by steps, and by stops.
    uses: Vec<u32>,
    /// The flags that are needed behind the block.
    needed: Flags,
    /// For every stop, see [`Liveness::frontier`].
    frontiers: Vec<Vec<Value>>,
}

impl Liveness {
    /// `leaves` are those stops of the block's end that it may leave at.
    pub(crate) fn of(block: &Block, needed: Flags, leaves: &[StopId]) -> Liveness {
        let count = block.graph.len();
        let mut liveness = Liveness { hot: vec![false; count], uses: vec![0; count], needed, frontiers: Vec::new() };
        for root in block.steps.iter().flat_map(|step| step.operands()) {
            liveness.ask(root);
        }
        if let End::Branch(condition, _) = block.end {
            liveness.ask(condition);
        }
        for (_, root) in put_at_end(block, needed) {
            liveness.ask(root);
        }
        // Operands are older than what is made of them: one pass from the youngest reaches everything.
        for index in (0..count).rev() {
            if liveness.hot[index] {
                block.graph.node(Value(index as u32)).operands().for_each(|operand| liveness.ask(operand));
            }
        }
        liveness.find_frontiers(block, leaves);
        liveness
    }

    fn find_frontiers(&mut self, block: &Block, leaves: &[StopId]) {
        // The last stop that has seen each value: one list serves all of them.
        let mut seen = vec![usize::MAX; block.graph.len()];
        for stop in 0..block.stops.len() {
            let is_left = stop < block.end() || leaves.contains(&stop);
            let frontier = if is_left { self.find_frontier(block, stop, &mut seen) } else { Vec::new() };
            for value in &frontier {
                self.uses[value.index()] += 1;
            }
            self.frontiers.push(frontier);
        }
    }

    fn find_frontier(&self, block: &Block, stop: StopId, seen: &mut [usize]) -> Vec<Value> {
        let mut pending: Vec<Value> = asked_for(block, stop).collect();
        let mut found = Vec::new();
        while let Some(value) = pending.pop() {
            if core::mem::replace(&mut seen[value.index()], stop) == stop {
                continue;
            }
            match block.graph.node(value) {
                Node::Const(_) | Node::VectorConst(_) | Node::Input(_) => {}
                Node::SegmentBase(..) | Node::SegmentEnd(..) => {}
                Node::Product | Node::VectorProduct => found.push(value),
                // A branch by it wants it as a condition, not as a number.
                Node::Binary(op, a, b) if op.is_comparison() => pending.extend([a, b]),
                // One instruction, and a place in another kind of register.
                Node::Scalar(Scalar::Bits(_), [float, ..]) => pending.push(float),
                _ if self.hot[value.index()] => found.push(value),
                node => pending.extend(node.operands()),
            }
        }
        found
    }

    fn ask(&mut self, value: Value) {
        self.hot[value.index()] = true;
        self.uses[value.index()] += 1;
    }

    /// How often a value is asked for on the way through the block, or by stops.
    pub(crate) fn uses(&self, value: Value) -> u32 {
        self.uses[value.index()]
    }

    /// The cells that hold something new at the end of the block, but for flags nobody needs, with their values.
    pub(crate) fn at_end(&self, block: &Block) -> Vec<(Cell, Value)> {
        put_at_end(block, self.needed).collect()
    }

    /// The values that the state at `stop` is computed from and that must be in locals for it.
    pub(crate) fn frontier(&self, stop: StopId) -> &[Value] {
        &self.frontiers[stop]
    }
}

/// See [`Liveness::at_end`]. Where the x87's stack stands is known in each block.
fn put_at_end(block: &Block, needed: Flags) -> impl Iterator<Item = (Cell, Value)> {
    changed(block, block.end()).filter(move |&(cell, _)| cell != X87_DEPTH && !is_unneeded(cell, needed))
}

/// The cells that hold something new at `stop`, with their values.
pub(crate) fn changed(block: &Block, stop: StopId) -> impl Iterator<Item = (Cell, Value)> {
    let cells = block.stops[stop].cells.into_iter().enumerate().take(block.cells);
    cells.filter(move |&(cell, value)| block.graph.node(value) != Node::Input(cell))
}

/// What a stop is made of: the cells that it puts in order, and what is looked at there.
pub(crate) fn asked_for(block: &Block, stop: StopId) -> impl Iterator<Item = Value> {
    let Stop { restarts, doubt, .. } = block.stops[stop];
    changed(block, stop).map(|(_, value)| value).filter(move |_| !restarts).chain(doubt)
}

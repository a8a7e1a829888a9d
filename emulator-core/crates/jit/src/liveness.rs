//! Which values a block computes, and which only a stop needs.
//!
//! A value is *hot* when a step or the end of the block is made of it. Everything else is dead on the way
//! through the block: most flags are. Where a stop's state names such a value it is computed there, off the way, out
//! of hot values; those must then already be in locals, or be cheap to read again.

use crate::emitter::Block;
use crate::flags::{Flags, is_unneeded};
use crate::ir::{Cell, End, Node, Scalar, Stop, StopId, Value, X87_DEPTH};

/// See the module. One serves a block after the other.
pub(crate) struct Liveness {
    hot: Vec<bool>,
    /// How often a hot value is asked for: by hot values, by steps, and by stops.
    uses: Vec<u32>,
    at_end: Vec<(Cell, Value)>,
    /// The [`Liveness::frontier`] of every stop, one behind the other, and where each ends.
    frontiers: Vec<Value>,
    frontier_ends: Vec<usize>,
    /// The last stop that has seen each value, counted from 1: one list serves all of them.
    seen: Vec<u32>,
    /// Values to be looked at.
    pending: Vec<Value>,
}

impl Liveness {
    /// With room for so many values.
    pub(crate) fn with_room(values: usize) -> Liveness {
        Liveness {
            hot: Vec::with_capacity(values),
            uses: Vec::with_capacity(values),
            at_end: Vec::new(),
            frontiers: Vec::with_capacity(values),
            frontier_ends: Vec::new(),
            seen: Vec::with_capacity(values),
            pending: Vec::with_capacity(values),
        }
    }

    /// Turns to `block`. `needed` are the flags that are needed behind it, `leaves` those stops of its end that it may leave at, in order.
    pub(crate) fn look_at(&mut self, block: &Block, needed: Flags, leaves: impl Iterator<Item = StopId>) {
        let count = block.graph.len();
        reset(&mut self.hot, count);
        reset(&mut self.uses, count);
        for step in &block.steps {
            step.for_operands(|root| self.ask(root));
        }
        if let End::Branch(condition, _) = block.end {
            self.ask(condition);
        }
        self.at_end.clear();
        // Where the x87's stack stands is known in each block.
        let put = |&(cell, _): &(Cell, Value)| cell != X87_DEPTH && !is_unneeded(cell, needed);
        self.at_end.extend(changed(block, block.end()).filter(put));
        for number in 0..self.at_end.len() {
            self.ask(self.at_end[number].1);
        }
        // Operands are older than what is made of them: one pass from the youngest reaches everything.
        for index in (0..count).rev() {
            if self.hot[index] {
                block.graph.node(Value(index as u32)).for_operands(|operand| self.ask(operand));
            }
        }
        self.find_frontiers(block, leaves);
    }

    fn find_frontiers(&mut self, block: &Block, leaves: impl Iterator<Item = StopId>) {
        reset(&mut self.seen, block.graph.len());
        self.frontiers.clear();
        self.frontier_ends.clear();
        for stop in (0..block.end()).chain(leaves) {
            // Of those at the end that it does not leave at nothing is asked.
            self.frontier_ends.resize(stop, self.frontiers.len());
            self.find_frontier(block, stop);
            self.frontier_ends.push(self.frontiers.len());
        }
        for value in &self.frontiers {
            self.uses[value.index()] += 1;
        }
    }

    fn find_frontier(&mut self, block: &Block, stop: StopId) {
        let Liveness { hot, seen, pending, frontiers, .. } = self;
        let this = stop as u32 + 1;
        pending.extend(asked_for(block, stop));
        while let Some(value) = pending.pop() {
            if core::mem::replace(&mut seen[value.index()], this) == this {
                continue;
            }
            match block.graph.node(value) {
                Node::Const(_) | Node::VectorConst(_) | Node::Input(_) => {}
                Node::SegmentBase(..) | Node::SegmentEnd(..) => {}
                Node::Product | Node::VectorProduct => frontiers.push(value),
                // A branch by it wants it as a condition, not as a number.
                Node::Binary(op, a, b) if op.is_comparison() => pending.extend([a, b]),
                // One instruction, and a place in another kind of register.
                Node::Scalar(Scalar::Bits(_), [float, ..]) => pending.push(float),
                _ if hot[value.index()] => frontiers.push(value),
                node => node.for_operands(|operand| pending.push(operand)),
            }
        }
    }

    fn ask(&mut self, value: Value) {
        self.hot[value.index()] = true;
        self.uses[value.index()] += 1;
    }

    /// How often a value is asked for on the way through the block, or by stops.
    pub(crate) fn uses(&self, value: Value) -> u32 {
        self.uses[value.index()]
    }

    /// The same of all values.
    pub(crate) fn all_uses(&self) -> &[u32] {
        &self.uses
    }

    /// The cells that hold something new at the end of the block, but for flags nobody needs, with their values.
    pub(crate) fn at_end(&self) -> &[(Cell, Value)] {
        &self.at_end
    }

    /// The values that the state at `stop` is computed from and that must be in locals for it.
    pub(crate) fn frontier(&self, stop: StopId) -> &[Value] {
        let start = if stop == 0 { 0 } else { self.frontier_ends[stop - 1] };
        &self.frontiers[start..self.frontier_ends[stop]]
    }
}

/// Makes `list` one of so many defaults.
pub(crate) fn reset<T: Clone + Default>(list: &mut Vec<T>, count: usize) {
    list.clear();
    list.resize(count, T::default());
}

/// The cells that hold something new at `stop`, with their values.
pub(crate) fn changed(block: &Block, stop: StopId) -> impl Iterator<Item = (Cell, Value)> {
    // As a block finds them they are its first values.
    block.cells_at(stop).iter().copied().enumerate().filter(|&(cell, value)| value.index() != cell)
}

/// What a stop is made of: the cells that it puts in order, and what is looked at there.
pub(crate) fn asked_for(block: &Block, stop: StopId) -> impl Iterator<Item = Value> {
    let Stop { restarts, doubt, .. } = block.stops[stop];
    let cells = if restarts { None } else { Some(changed(block, stop)) };
    cells.into_iter().flatten().map(|(_, value)| value).chain(doubt)
}

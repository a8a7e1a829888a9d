//! When general cells are stored: see [`crate::homes`] and [`crate::ahead`].

use super::{Codegen, Label};
use crate::ahead::REGISTERS;
use crate::effects::CellSet;
use crate::ir::{Cell, Interpreted, StopId, Value};

/// Which value the memory of each general register holds, where the block at work has stored one.
pub(super) type Stored = [Option<Value>; REGISTERS];

impl Codegen<'_> {
    /// Cells that differ from what is in memory at `stop`.
    pub(super) fn changed_at(&self, stop: StopId) -> CellSet {
        let cells = self.block.cells_at(stop);
        let changed = self.homes.at(self.number, self.block, stop);
        let differs = |&cell: &Cell| match self.stored.get(cell) {
            Some(&Some(stored)) => stored != cells[cell],
            _ => changed.has(cell),
        };
        self.homes.touched.iter().filter(differs).map(CellSet::one).collect()
    }

    /// Stores the registers that `stop` has to find in memory, where that is done ahead: those whose values are at hand.
    pub(super) fn store_for(&mut self, stop: StopId) {
        if self.block.stops[stop..].iter().any(|stop| stop.restarts) {
            return;
        }
        for cell in self.changed_at(stop).and(CellSet::registers()).iter() {
            let value = self.block.cells_at(stop)[cell];
            let is_at_hand = self.locals[value.index()].is_some() || super::is_ready(self.block.graph.node(value));
            if is_at_hand && self.ahead.stores(self.number, self.block, cell, value, stop) {
                self.store_register(cell, value);
            }
        }
    }

    /// The same at the end of the block.
    pub(super) fn store_at_end(&mut self) {
        let end = self.block.end();
        for cell in self.changed_at(end).and(CellSet::registers()).iter() {
            let value = self.block.cells_at(end)[cell];
            if self.ahead.stores(self.number, self.block, cell, value, 0) {
                self.settle(value);
                self.store_register(cell, value);
            }
        }
    }

    fn store_register(&mut self, cell: Cell, value: Value) {
        self.store_value(cell, value);
        self.stored[cell] = Some(value);
    }

    fn store_value(&mut self, cell: Cell, value: Value) {
        self.sink().i32_const(0);
        self.value(value);
        self.store_cell(cell);
    }

    /// The helper of `interpreted` has found in memory, and left there, what these cells hold.
    pub(super) fn note_interpreted(&mut self, interpreted: &Interpreted) {
        let found = interpreted.stored.iter().copied();
        let left = interpreted.loaded.iter().map(|&(cell, _, value)| (cell, value));
        for (cell, value) in found.chain(left).filter(|&(cell, _)| cell < REGISTERS) {
            self.stored[cell] = if interpreted.count.is_some() { None } else { Some(value) };
        }
    }

    /// Stores general cells, as they are at `stop`.
    pub(super) fn store_cells_at(&mut self, stop: StopId) {
        for cell in self.changed_at(stop).iter() {
            self.store_value(cell, self.block.cells_at(stop)[cell]);
        }
    }

    /// The guest's state is in the cells, of which `changed` differ from what is in memory: does as `label` says.
    pub(super) fn go_out(&mut self, label: Label, changed: CellSet) {
        for cell in changed.iter() {
            let local = self.local_of(cell);
            self.sink().i32_const(0).local_get(local);
            self.store_cell(cell);
        }
        self.branch(label);
    }
}

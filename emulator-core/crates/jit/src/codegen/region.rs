//! A whole region: its blocks nested as its structure says, and what surrounds them.

use cpu::compiled::{RegionBlock, Shared, Sharing};
use cpu::{Exit, Mode};
use wasm_encoder::{BlockType, Function, InstructionSink};
use x86::Width;

use super::store::Stored;
use super::{Codegen, ENTERED, LEFT, Label, PLACE, Pool, TARGET, TLB, at, locals};
use crate::ahead::Ahead;
use crate::effects::{CellSet, Units};
use crate::emitter::Block;
use crate::flags::{Flags, needed_behind};
use crate::groups::{Groups, Way};
use crate::homes::Homes;
use crate::ir::{Cell, End, RIP, Step, XMM};
use crate::layout;
use crate::liveness::{Liveness, reset};
use crate::module::Callee;
use crate::structure::{BlockId, Edge, Structure};

/// What code is generated from.
pub(crate) struct Source<'a> {
    pub(crate) shared: &'a Shared,
    /// Mode of the region.
    pub(crate) mode: Mode,
    pub(crate) blocks: &'a [Block],
    /// What each block comes from.
    pub(crate) sources: &'a [&'a RegionBlock],
    pub(crate) structure: &'a Structure,
    /// What is kept in locals beside the general registers.
    pub(crate) units: Units,
    /// How far the x87's stack has moved where each block begins.
    pub(crate) depths: Vec<u8>,
    /// Which accesses share a look into the TLB.
    pub(crate) sharing: Sharing,
    /// Where the region counts, if it does: address of [`crate::Counters`].
    pub(crate) counters: Option<usize>,
}

/// Bytes that an instruction becomes, mostly.
const USUAL_BYTES: usize = 64;
/// Values that a step or a stop has to do with, at most, mostly.
const USUAL_VALUES: usize = 32;

/// The function of a region, and which of its locals are which general cells.
pub(crate) fn generate(source: &Source<'_>) -> (Function, Vec<(u32, Cell)>) {
    let structure = source.structure;
    let needed = needed_behind(source.blocks, structure);
    let entry = &source.blocks[0];
    let groups = Groups::of(source.blocks, structure, source.mode.code, source.sharing);
    let ahead = Ahead::of(source.blocks, structure, &groups);
    let values = source.blocks.iter().map(|block| block.graph.len()).max().unwrap_or(0);
    let list = || Vec::with_capacity(USUAL_VALUES);
    let mut codegen = Codegen {
        source,
        code: Vec::with_capacity(USUAL_BYTES * source.blocks.iter().map(|block| block.instructions).sum::<usize>()),
        labels: Vec::with_capacity(source.blocks.len()),
        value_types: Vec::with_capacity(source.blocks.len()),
        free: Default::default(),
        way: Way::Alone,
        homes: Homes::of(source.blocks, structure, &ahead),
        ahead,
        ways: groups.ways,
        first_ways: groups.first_ways,
        groups: groups.counts.into_iter().map(|count| (count, 0)).collect(),
        walks: groups.walks.into_iter().map(|walk| (walk, Vec::new())).collect(),
        restarted: [false; 2],
        left: Vec::with_capacity(values),
        consumed: list(),
        block: entry,
        number: 0,
        liveness: Liveness::with_room(values),
        changed_vectors: changed_vectors(source),
        constants: Vec::new(),
        waiting: Vec::new(),
        stored: Stored::default(),
        pending: 0,
        enabled: 0,
        enabled_in: Vec::new(),
        locals: Vec::with_capacity(values),
        in_stop: false,
        stop_uses: Vec::with_capacity(values),
        asked: list(),
        given: list(),
        to_count: list(),
        put: Vec::with_capacity(USUAL_VALUES),
    };
    codegen.region(&Plan { structure, needed: &needed });
    let named = codegen.homes.touched.iter().map(|cell| (codegen.local_of(cell), cell)).collect();
    let mut function = Function::new(locals(source.units, &codegen.homes, codegen.value_types));
    function.raw(codegen.code);
    (function, named)
}

/// XMM registers that some block may have changed.
fn changed_vectors(source: &Source<'_>) -> Vec<Cell> {
    let changes = |&cell: &Cell| source.blocks.iter().any(|block| block.cells_at(block.end())[cell].index() != cell);
    CellSet::vectors(source.units.vectors).iter().filter(changes).collect()
}

/// How the blocks hang together.
struct Plan<'a> {
    structure: &'a Structure,
    needed: &'a [Flags],
}

impl Codegen<'_> {
    fn region(&mut self, plan: &Plan<'_>) {
        self.open_block(Label::Leave);
        self.open_block(Label::Operands);
        self.open_block(Label::Access);
        self.open_block(Label::Chain);
        self.count_entry();
        self.load_tlb();
        for cell in self.homes.found.iter().chain(self.vector_cells()) {
            match cell.checked_sub(XMM).and_then(|register| self.source.units.scalars.lanes(register)) {
                Some(lanes) => self.load_scalar(cell - XMM, lanes),
                None => self.load_cell(cell),
            }
            let local = self.local_of(cell);
            self.sink().local_set(local);
        }
        if self.source.units.x87 != 0 {
            self.enter_x87(plan.structure);
        }
        self.check_place(plan);
        let begin = self.code.len();
        self.blocks_under(plan, plan.structure.root());
        self.set_constants(begin);
        for label in [Label::Chain, Label::Access, Label::Operands, Label::Leave] {
            self.close();
            self.store_units();
            self.leave_region(label);
        }
        self.sink().end();
    }

    /// Puts the constants that have been asked for into their locals, at `place` in the code.
    fn set_constants(&mut self, place: usize) {
        let mut code = Vec::new();
        for &(constant, local) in &self.constants {
            InstructionSink::new(&mut code).v128_const(constant as i128).local_set(local);
        }
        self.code.splice(place..place, code);
    }

    /// Where regions count: what is left of the slice counts from here on.
    fn count_entry(&mut self) {
        let Some(counters) = self.source.counters else { return };
        let [instructions, entries] = [0, 8].map(|offset| at(counters as u64 + offset));
        self.sink().i32_const(0).i32_const(0).i64_load(entries).i64_const(1).i64_add().i64_store(entries);
        self.sink().i32_const(0).i32_const(0).i64_load(instructions).local_get(LEFT).i64_add().i64_store(instructions);
    }

    /// The same: what is left of it now has not run here.
    fn count_exit(&mut self) {
        let Some(counters) = self.source.counters else { return };
        let instructions = at(counters as u64);
        self.sink().i32_const(0).i32_const(0).i64_load(instructions).local_get(LEFT).i64_sub().i64_store(instructions);
    }

    /// Leaves a region whose blocks would not all lie in one piece of the code segment: instruction pointers wrap, at 64 KiB or 4 GiB, where linear
    /// addresses go on. In flat modes they do so together.
    fn check_place(&mut self, plan: &Plan<'_>) {
        let source = self.source;
        if source.mode.flat {
            return;
        }
        let ends = source.blocks.iter().zip(source.sources).map(|(block, of)| {
            let last = &of.ops[block.instructions - 1];
            block.start + last.next_offset() as i64
        });
        let lowest = source.blocks.iter().map(|block| block.start).min().unwrap_or(0);
        let highest = ends.max().unwrap_or(0);
        let size = 1i64 << source.mode.code.bits();
        self.sink().local_get(PLACE).i64_const(lowest).i64_add().i64_const(0).i64_lt_s();
        self.sink().local_get(PLACE).i64_const(highest).i64_add().i64_const(size).i64_gt_s().i32_or();
        self.open_if(BlockType::Empty);
        for (number, &entry) in (0..).zip(&plan.structure.entries) {
            self.sink().i64_const(source.blocks[entry].start).i64_const(0);
            self.sink().local_get(ENTERED).i32_const(number).i32_eq().select();
            self.sink().local_get(PLACE).i64_add().local_set(PLACE);
        }
        self.region_address(0);
        self.sink().local_set(PLACE);
        self.go_out(Label::Operands, CellSet::default());
        self.close();
    }

    /// Looks where the TLB's tables for the view in force are.
    pub(super) fn load_tlb(&mut self) {
        if self.source.mode.user {
            return;
        }
        let tlb = self.source.shared.context as u64 + layout::TLB;
        self.sink().i32_const(0).i32_load(at(tlb)).local_set(TLB);
    }

    fn vector_cells(&self) -> impl Iterator<Item = Cell> + use<> {
        CellSet::vectors(self.source.units.vectors).iter()
    }

    /// Stores what the region keeps in locals beside the general registers, and some block may have changed.
    fn store_units(&mut self) {
        if self.source.units.x87 != 0 {
            self.store_x87(None);
        }
        for cell in self.changed_vectors.clone() {
            let local = self.local_of(cell);
            self.sink().i32_const(0).local_get(local);
            if let Some(&(_, waiting)) = self.waiting.iter().find(|&&(register, _)| XMM + register == cell) {
                self.sink().local_get(waiting).v128_or();
            }
            self.store_cell(cell);
        }
    }

    /// Instructions in the region: no way through it without a branch back takes more.
    fn instructions(&self) -> i64 {
        self.source.blocks.iter().map(|block| block.instructions as i64).sum()
    }

    /// Pushes whether less is left of the slice than `needed`.
    fn check_budget(&mut self, needed: i64) {
        self.sink().local_get(LEFT).i64_const(needed).i64_lt_s();
    }

    /// Ends the function, as `label` says.
    fn leave_region(&mut self, label: Label) {
        self.count_exit();
        let (callee, told) = match label {
            Label::Chain if self.source.mode.flat => (Callee::Chain, 0),
            Label::Chain => (Callee::ChainInSegment, 0),
            Label::Access => (Callee::Leave, Exit::Access as i32),
            Label::Operands => (Callee::Leave, Exit::Operands as i32),
            _ => (Callee::Leave, 0),
        };
        self.sink().local_get(PLACE).local_get(LEFT).i32_const(told).return_call(callee as u32);
    }

    /// `block` and all it dominates.
    fn blocks_under(&mut self, plan: &Plan<'_>, block: BlockId) {
        let is_loop = plan.structure.is_loop[block];
        if is_loop {
            self.require_before(plan, block);
            self.open_loop(Label::Block(block));
            self.enabled = self.enabled_at(plan, block);
        }
        let joins = plan.structure.joins_under(block);
        for &join in joins.iter().rev() {
            self.open_block(Label::Block(join));
        }
        if plan.structure.is_block(block) {
            self.one_block(plan, block);
        } else {
            self.dispatch(plan, block);
        }
        for &join in joins {
            self.close();
            (self.pending, self.enabled) = (0, self.enabled_at(plan, join));
            self.blocks_under(plan, join);
        }
        if is_loop {
            self.enabled_in.pop();
            self.close();
            self.sink().unreachable();
        }
    }

    /// What blocks of the loop `head` look at, in every turn, is looked at before it, unless something in the loop may change that.
    fn require_before(&mut self, plan: &Plan<'_>, head: BlockId) {
        let blocks = self.source.blocks;
        let changes = |step: &Step| matches!(step, Step::Interpret(_) | Step::SetDisabled { .. });
        let steps = || plan.structure.blocks_in(head).flat_map(|block| &blocks[block].steps);
        let asked_for = |step: &Step| if let Step::Require { enabled, .. } = *step { enabled } else { 0 };
        let is_known = plan.structure.is_block(head) && !steps().any(changes);
        let enabled = if is_known { steps().map(asked_for).fold(0, |all, bits| all | bits) } else { 0 };
        self.enabled_in.push((head, enabled));
        if self.enabled & enabled != enabled {
            self.push_disabled(enabled);
            self.open_if(BlockType::Empty);
            self.set_address(blocks[head].start);
            self.set_x87_depth(self.source.depths[head]);
            self.go_out(Label::Operands, self.homes.at_start(head));
            self.close();
        }
    }

    /// What has been looked at for `block`, where several ways come together.
    fn enabled_at(&self, plan: &Plan<'_>, block: BlockId) -> u32 {
        let around = self.enabled_in.iter().filter(|&&(head, _)| plan.structure.is_in(block, head));
        around.fold(0, |all, &(_, enabled)| all | enabled)
    }

    /// Goes on to the entry that was meant, if it lies behind `gate` and is not reached yet.
    fn dispatch(&mut self, plan: &Plan<'_>, gate: BlockId) {
        let ways = plan.structure.dispatch(gate);
        let depths: Vec<u32> = ways.iter().map(|&way| self.depth(Label::Block(way))).collect();
        let first = depths[0];
        if gate != plan.structure.root() {
            self.sink().local_get(ENTERED).i32_eqz().br_if(first);
        }
        self.sink().local_get(ENTERED).br_table(depths, first);
    }

    fn one_block(&mut self, plan: &Plan<'_>, id: BlockId) {
        let first = self.first_value();
        let goes_back = plan.structure.edges(id).any(|edge| matches!(edge, Edge::Back(_) | Edge::Enters(..)));
        let source = self.source;
        self.block = &source.blocks[id];
        self.number = id;
        self.stored = Stored::default();
        let block = self.block;
        let budget = goes_back.then_some(block.budget());
        let edges = plan.structure.edges(id).enumerate().filter(|_| block.end != End::Dynamic);
        let edges = edges.filter(|&(_, edge)| edge == Edge::Leaves).map(|(which, _)| block.edge(which));
        let leaves = budget.into_iter().chain(edges);
        self.liveness.look_at(block, plan.needed[id], leaves.clone());
        for local in self.locals.drain(..).flatten() {
            let pool = Pool::of_type(self.value_types[(local - first) as usize]);
            self.free[pool as usize].push(local);
        }
        let count = self.block.graph.len();
        reset(&mut self.locals, count);
        reset(&mut self.stop_uses, count);
        self.left.clear();
        self.left.extend_from_slice(self.liveness.all_uses());
        self.consumed.clear();
        if plan.structure.entries.contains(&id) {
            self.sink().i32_const(0).local_set(ENTERED);
        }
        let restarted_before = core::mem::take(&mut self.restarted);
        let restarts = self.block.stops.iter().any(|stop| stop.restarts);
        if restarts {
            self.open_block(Label::Restart(1));
            self.open_block(Label::Restart(0));
        }
        if self.block.steps.iter().any(|step| matches!(step, Step::Interpret(_) | Step::ReadTime { .. })) {
            self.settle_left();
        }
        let pending = self.pending;
        self.steps(id);
        for stop in leaves {
            self.settle_for(stop);
        }
        if goes_back {
            let instructions = self.block.instructions as i64;
            self.pending += instructions;
            self.settle_left();
            self.pending = -instructions;
            self.check_budget(self.instructions());
            self.open_if(BlockType::Empty);
            self.leave_at(self.block.budget());
            self.close();
        }
        if plan.structure.edges(id).any(|edge| edge != Edge::Leaves) {
            self.store_at_end();
        }
        self.end(plan, id);
        let restarted = core::mem::replace(&mut self.restarted, restarted_before);
        if restarts {
            for (is_used, label) in restarted.into_iter().zip([Label::Access, Label::Operands]) {
                self.close();
                if is_used {
                    self.pending = pending;
                    self.settle_left();
                    self.set_address(source.blocks[id].start);
                    self.set_x87_depth(source.depths[id]);
                    self.go_out(label, self.homes.at_start(id));
                } else {
                    self.sink().unreachable();
                }
            }
        }
    }

    /// The guest goes on `offset` bytes from the entry.
    fn set_address(&mut self, offset: i64) {
        self.region_address(offset);
        self.sink().local_set(PLACE);
    }

    /// Takes what is pending off what is left of the slice.
    fn settle_left(&mut self) {
        let pending = core::mem::take(&mut self.pending);
        if pending > 0 {
            self.sink().local_get(LEFT).i64_const(pending).i64_sub().local_set(LEFT);
        }
    }

    fn end(&mut self, plan: &Plan<'_>, id: BlockId) {
        let stays = |which: usize| plan.structure.edge(id, which) != Edge::Leaves;
        match self.block.end {
            End::Dynamic => self.dynamic_end(plan, id),
            End::Goto(_) if stays(0) => {
                self.put_cells_at_end();
                self.pending += self.block.instructions as i64;
                self.go(plan, id, 0);
            }
            End::Goto(_) => self.leave_by(Label::Chain, self.block.edge(0)),
            End::Branch(condition, _) => {
                self.condition(condition);
                match [stays(0), stays(1)] {
                    [true, true] => self.both_stay(plan, id),
                    [true, false] => {
                        self.sink().i32_eqz();
                        self.one_leaves(plan, id, 1);
                    }
                    [false, true] => self.one_leaves(plan, id, 0),
                    [false, false] => {
                        self.leave_where(0);
                        self.leave_by(Label::Chain, self.block.edge(1));
                    }
                }
            }
        }
    }

    /// By the first way where the top of the stack is not zero, else by the second.
    fn both_stay(&mut self, plan: &Plan<'_>, id: BlockId) {
        let (pending, enabled) = (self.pending + self.block.instructions as i64, self.enabled);
        self.put_cells_at_end();
        self.open_if(BlockType::Empty);
        self.pending = pending;
        self.go(plan, id, 0);
        self.sink().else_();
        (self.pending, self.enabled) = (pending, enabled);
        self.go(plan, id, 1);
        self.close();
        self.sink().unreachable();
    }

    /// Leaves by the way `which` where the top of the stack is not zero, and goes on by the other.
    fn one_leaves(&mut self, plan: &Plan<'_>, id: BlockId, which: usize) {
        self.leave_where(which);
        self.put_cells_at_end();
        self.pending += self.block.instructions as i64;
        self.go(plan, id, 1 - which);
    }

    /// Leaves by the way `which` where the top of the stack is not zero.
    fn leave_where(&mut self, which: usize) {
        self.open_if(BlockType::Empty);
        self.leave_by(Label::Chain, self.block.edge(which));
        self.close();
    }

    /// To the block that is expected, or by the jump cache.
    fn dynamic_end(&mut self, plan: &Plan<'_>, id: BlockId) {
        let expected: Vec<_> = plan.structure.edges(id).enumerate().filter(|&(_, edge)| edge != Edge::Leaves).collect();
        self.pending += self.block.instructions as i64;
        self.settle_left();
        let depth = self.block.depth_at(self.block.end()) as u8;
        let changed = self.changed_at(self.block.end());
        if expected.is_empty() {
            self.put_cells_at_end();
            self.set_x87_depth(depth);
            self.go_out(Label::Chain, changed);
            return;
        }
        // Inside the region cell `RIP` stays what it is.
        let target = self.block.cells_at(self.block.end())[RIP];
        self.value(target);
        self.sink().local_set(TARGET);
        let mut others = core::mem::take(&mut self.put);
        others.extend(self.liveness.at_end().iter().filter(|&&(cell, _)| cell != RIP));
        self.put_cells(others);
        self.clear_waiting(self.block.end());
        let enabled = self.enabled;
        for (which, _) in expected {
            let Some(target) = plan.structure.target(id, which) else { continue };
            let start = self.source.blocks[target].start;
            self.sink().local_get(TARGET);
            self.region_address(start);
            self.sink().i64_eq();
            self.open_if(BlockType::Empty);
            (self.pending, self.enabled) = (0, enabled);
            self.go(plan, id, which);
            self.close();
        }
        self.sink().local_get(TARGET).local_set(PLACE);
        self.set_x87_depth(depth);
        self.go_out(Label::Chain, changed);
    }

    /// Pushes the address `offset` bytes behind the region's entry.
    fn region_address(&mut self, offset: i64) {
        self.sink().local_get(PLACE).i64_const(offset).i64_add();
        self.cut_address();
    }

    /// Cuts the address on the stack as instruction pointers are cut.
    pub(super) fn cut_address(&mut self) {
        match self.source.mode.code {
            Width::W16 => self.sink().i64_const(0xffff).i64_and(),
            Width::W32 => self.sink().i32_wrap_i64().i64_extend_i32_u(),
            _ => return,
        };
    }

    /// From the end of `id` to its successor `which`, in the region.
    fn go(&mut self, plan: &Plan<'_>, id: BlockId, which: usize) {
        match plan.structure.edge(id, which) {
            Edge::Leaves => unreachable!("who leaves has the guest's state put in order"),
            Edge::Back(target) | Edge::Joins(target) => {
                self.settle_left();
                self.branch(Label::Block(target));
            }
            Edge::Enters(gate, number) => {
                self.settle_left();
                self.sink().i32_const(number as i32).local_set(ENTERED);
                self.branch(Label::Block(gate));
            }
            Edge::Continues(target) => {
                if plan.structure.is_loop[target] || !plan.structure.is_block(target) {
                    self.settle_left();
                }
                self.blocks_under(plan, target);
            }
        }
    }
}

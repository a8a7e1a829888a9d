//! One block: its steps, its stops, and what it leaves in the cells.

use wasm_encoder::BlockType;
use x86::Op;

use super::{Codegen, HOST, LEFT, LOCAL_SET, Label, PLACE, at};
use crate::homes::is_general;
use crate::ir::{Cell, Field, Helper, Interpreted, RCX, Step, StopId, Value, X87_BASE, XMM};
use crate::layout::{ANSWERS, BLOCK_ADDRESS, DISABLED, home, xmm_offset, ymm_high_offset};
use crate::liveness::{asked_for, changed};
use crate::module::Callee;
use crate::structure::BlockId;
use cpu::compiled::RegionBlock;
use cpu::eflags;

impl Codegen<'_> {
    pub(super) fn steps(&mut self, block: BlockId) {
        let source = self.source.sources[block];
        let first = self.first_ways[block];
        for (number, step) in (first..).zip(&self.block.steps) {
            self.way = self.ways[number];
            if self.way.may_leave(step) {
                for stop in step.stops() {
                    self.settle_for(stop);
                    self.store_for(stop);
                }
            }
            self.step(step, source);
            step.for_operands(|value| self.consumed.push(value));
            for stop in step.all_stops() {
                self.consumed.extend(self.liveness.frontier(stop));
            }
            self.release_consumed();
        }
    }

    fn step(&mut self, step: &Step, source: &RegionBlock) {
        match *step {
            Step::Load { access, value, fault } => self.load(access, value, fault),
            Step::LoadForWrite { access, value, fault } => self.load_for_write(access, value, fault),
            Step::Store { access, value, fault } => self.store(access, value, fault),
            Step::StoreBack { width, value } => self.store_back(width, value),
            Step::Guard { condition, stop } => self.guard(condition, stop),
            Step::Require { enabled, stop } => self.require(enabled, stop),
            Step::SetDisabled { bit, value } => self.set_disabled(bit, value),
            Step::RequireUpwards { stop } => self.require_upwards(stop),
            Step::LoadVector { address, bytes, aligned, value, fault } => {
                self.load_vector(address, bytes, aligned, value, fault);
            }
            Step::StoreVector { address, aligned, value, fault } => self.store_vector(address, aligned, value, fault),
            Step::ProbeVector { address, fault } => self.probe_vector(address, fault),
            Step::LoadHigh { register, value } => {
                let high = self.source.shared.state as u64 + ymm_high_offset(register);
                self.sink().i32_const(0).v128_load(at(high));
                self.set_local(value);
            }
            Step::StoreHigh { register, value } => {
                let high = self.source.shared.state as u64 + ymm_high_offset(register);
                self.sink().i32_const(0);
                self.value(value);
                self.sink().v128_store(at(high));
            }
            Step::DivideWide { signed, operands, quotient, remainder, fault } => {
                self.divide_wide(signed, operands, [quotient, remainder], fault);
            }
            Step::LoadField { field, value } => {
                if self.liveness.uses(value) > 0 {
                    self.field_base(field);
                    self.load_host(field.width, self.source.shared.state as u64 + field.offset);
                    self.set_local(value);
                }
            }
            Step::StoreField { field, value } => {
                self.field_base(field);
                self.value(value);
                self.store_host(field.width, self.source.shared.state as u64 + field.offset);
            }
            Step::X87 { operation, operands, result, rest } => self.x87(operation, operands, result, rest),
            Step::X87Nearest { operation, operands, result } => self.x87_nearest(operation, operands, result),
            Step::SetFlags { clear, set } => self.set_flags(clear, set),
            Step::SwapGs => self.swap_gs(),
            Step::BeginShadow => self.begin_shadow(),
            Step::EndShadow => self.end_shadow(),
            Step::LetInterrupt { after } => self.let_interrupt(after),
            Step::SelectView => self.select_view(),
            Step::ReadTime { value } if self.liveness.uses(value) > 0 => self.read_time(value),
            Step::ReadTime { .. } => {}
            Step::Interpret(ref interpreted) => self.interpret(interpreted, source),
        }
    }

    /// Computes what the state at `stop` is made of.
    pub(super) fn settle_for(&mut self, stop: StopId) {
        for number in 0..self.liveness.frontier(stop).len() {
            self.settle(self.liveness.frontier(stop)[number]);
        }
    }

    fn guard(&mut self, condition: Value, stop: StopId) {
        let always = self.block.graph.constant_of(condition).is_some_and(|c| c != 0);
        if !always {
            self.condition(condition);
            self.open_if(BlockType::Empty);
        }
        self.leave_by(Label::Operands, stop);
        if !always {
            self.close();
        }
    }

    fn require(&mut self, enabled: u32, stop: StopId) {
        if self.enabled & enabled == enabled {
            return;
        }
        self.enabled |= enabled;
        self.push_disabled(enabled);
        self.leave_if(Label::Operands, stop);
    }

    /// Pushes those of `bits` that are disabled.
    pub(super) fn push_disabled(&mut self, bits: u32) {
        let context = self.source.shared.context as u64;
        self.sink().i32_const(0).i32_load(at(context + DISABLED)).i32_const(bits as i32).i32_and();
    }

    fn set_disabled(&mut self, bit: u32, value: Value) {
        self.enabled &= !bit;
        let disabled = at(self.source.shared.context as u64 + DISABLED);
        self.sink().i32_const(0).i32_const(0).i32_load(disabled).i32_const(!bit as i32).i32_and();
        self.condition(value);
        self.sink().i32_const(bit.trailing_zeros() as i32).i32_shl().i32_or().i32_store(disabled);
    }

    fn require_upwards(&mut self, stop: StopId) {
        self.push_flags(eflags::DF);
        self.sink().i64_eqz().i32_eqz();
        self.leave_if(Label::Operands, stop);
    }

    fn divide_wide(&mut self, signed: bool, operands: [Value; 3], answers: [Value; 2], fault: StopId) {
        self.push_context();
        for operand in operands {
            self.value(operand);
        }
        self.sink().i32_const(i32::from(signed)).call(Callee::DivideWide as u32);
        self.leave_if(Label::Operands, fault);
        for (answer, offset) in answers.into_iter().zip(ANSWERS) {
            if self.liveness.uses(answer) > 0 {
                self.load_context(offset);
                self.set_local(answer);
            }
        }
    }

    /// Pushes what a field's offset is added to.
    fn field_base(&mut self, field: Field) {
        match field.place {
            Some(place) => {
                self.value(place);
                self.sink().i32_wrap_i64();
            }
            None => {
                self.sink().i32_const(0);
            }
        }
    }

    /// Runs an instruction by its helper, on the cells it may look at in memory.
    fn interpret(&mut self, interpreted: &Interpreted, source: &RegionBlock) {
        let Interpreted { helper, stored, count, loaded, fault, after, .. } = interpreted;
        self.enabled = 0;
        // They are asked for again below, and what is computed behind a condition is not there after it.
        for &(_, value) in stored {
            self.settle(value);
        }
        let wanted: Vec<_> = loaded.iter().filter(|(_, _, value)| self.liveness.uses(*value) > 0).collect();
        for &&(_, before, value) in &wanted {
            if count.is_some() {
                self.value(before);
                self.set_local(value);
            } else {
                self.give_local(value);
            }
        }
        let now = |cell: Cell| loaded.iter().find(|&&(other, ..)| other == cell).map(|&(_, _, value)| value);
        if let Some(count) = count.and(now(RCX)) {
            self.few_elements(&source.ops[interpreted.op], interpreted);
            self.value(count);
            self.sink().i64_eqz().i32_eqz();
            self.open_if(BlockType::Empty);
        }
        for &(cell, value) in stored.iter().filter(|&&(cell, _)| cell < X87_BASE) {
            self.sink().i32_const(0);
            self.value(now(cell).filter(|_| count.is_some()).unwrap_or(value));
            self.store_cell(cell);
        }
        let touches_x87 = stored.last().is_some_and(|&(cell, _)| cell >= X87_BASE);
        if touches_x87 {
            self.store_x87(Some(stored));
        }
        self.note_interpreted(interpreted);
        self.call_interpreter(*helper, source.home + interpreted.op * size_of::<Op>());
        if touches_x87 {
            let depth = self.block.depth_at(*after);
            self.load_x87_after(depth, &wanted);
        }
        for &&(cell, _, value) in wanted.iter().filter(|&&&(cell, ..)| cell < X87_BASE) {
            self.load_cell(cell);
            let local = self.locals[value.index()].expect("given above");
            self.sink().local_set(local);
        }
        if matches!(helper, Helper::System | Helper::Repeat) {
            self.load_tlb();
        }
        self.leave_after_interpreter(*fault, *after);
        if count.is_some() {
            self.close();
        }
    }

    /// Has the operation at an address run, and leaves the helper's status in [`HOST`].
    fn call_interpreter(&mut self, helper: Helper, op: usize) {
        let state = self.source.shared.state as u64;
        let start = self.block.start;
        self.sink().i32_const(0).local_get(PLACE).i64_const(start).i64_add();
        self.sink().i64_store(at(state + BLOCK_ADDRESS));
        self.push_context();
        let callee = if helper == Helper::Transfer { Callee::Transfer } else { Callee::Interpret };
        self.sink().i32_const(op as i32).local_get(LEFT).call(callee as u32).local_set(HOST);
    }

    /// Leaves at `fault` where the status says so, and at `after` where anything else but that all is well.
    fn leave_after_interpreter(&mut self, fault: StopId, after: StopId) {
        const FAULT: i32 = 1;
        self.sink().local_get(HOST);
        self.open_if(BlockType::Empty);
        self.sink().local_get(HOST).i32_const(FAULT).i32_eq();
        self.open_if(BlockType::Empty);
        self.leave_at(fault);
        self.close();
        self.leave_at(after);
        self.close();
    }

    /// Pushes a cell as the state has it.
    pub(super) fn load_cell(&mut self, cell: Cell) {
        if cell >= XMM {
            self.load_xmm(cell - XMM);
        } else {
            let home = home(self.source.shared, cell);
            self.sink().i32_const(0).i64_load(at(home));
        }
    }

    /// Stores the top of the stack, over a zero, as a cell of the state.
    pub(super) fn store_cell(&mut self, cell: Cell) {
        let state = self.source.shared.state as u64;
        if cell >= XMM {
            self.sink().v128_store(at(state + xmm_offset(cell - XMM)));
        } else {
            let home = home(self.source.shared, cell);
            self.sink().i64_store(at(home));
        }
    }

    pub(super) fn push_context(&mut self) {
        let context = self.source.shared.context as i32;
        self.sink().i32_const(context);
    }

    /// Pushes the i64 at `offset` of the context.
    pub(super) fn load_context(&mut self, offset: u64) {
        let context = self.source.shared.context as u64;
        self.sink().i32_const(0).i64_load(at(context + offset));
    }

    /// Puts the cells that the block has changed into their locals.
    pub(super) fn put_cells_at_end(&mut self) {
        let mut cells = core::mem::take(&mut self.put);
        cells.extend_from_slice(self.liveness.at_end());
        self.put_cells(cells);
        self.clear_waiting(self.block.end());
    }

    /// Clears what waits beside XMM registers that the block has cleared before `stop`.
    pub(super) fn clear_waiting(&mut self, stop: StopId) {
        let cleared = self.block.stops[stop].cleared;
        for (register, local) in self.waiting.clone() {
            if cleared >> register & 1 != 0 {
                self.sink().v128_const(0).local_set(local);
            }
        }
    }

    /// Puts values into cells, and the list, which is [`Codegen::put`], back. All values are on the stack before the first cell is overwritten: one may be
    /// made of another cell.
    pub(super) fn put_cells(&mut self, mut cells: Vec<(Cell, Value)>) {
        for &(_, value) in &cells {
            self.value(value);
        }
        while let Some((cell, _)) = cells.pop() {
            let local = self.local_of(cell);
            self.with_local(LOCAL_SET, local);
        }
        self.put = cells;
    }

    /// Goes to `label`, with the guest as it is at `stop`, where the top of the stack is not zero.
    pub(super) fn leave_if(&mut self, label: Label, stop: StopId) {
        if self.block.stops[stop].restarts {
            let restart = self.restart(label);
            self.sink().br_if(restart);
            return;
        }
        self.open_if(BlockType::Empty);
        self.leave_by(label, stop);
        self.close();
    }

    /// Depth of the label for those who go back to the start of the block where others would go to `label`.
    fn restart(&mut self, label: Label) -> u32 {
        let reason = usize::from(label != Label::Access);
        self.restarted[reason] = true;
        self.depth(Label::Restart(reason))
    }

    /// Leaves the region at `stop`.
    pub(super) fn leave_at(&mut self, stop: StopId) {
        self.leave_by(Label::Leave, stop);
    }

    /// Goes to `label` with the guest as it is at `stop`: what that alone needs is computed here.
    pub(super) fn leave_by(&mut self, label: Label, stop: StopId) {
        self.count_uses(stop);
        self.in_stop = true;
        let doubt = self.block.stops[stop].doubt;
        if let Some(doubt) = doubt {
            self.condition(doubt);
            self.open_if(BlockType::Empty);
        }
        if self.block.stops[stop].restarts {
            let restart = self.restart(label);
            self.sink().br(restart);
        } else {
            self.leave_with(label, stop);
        }
        if doubt.is_some() {
            self.close();
        }
        self.in_stop = false;
        for number in 0..self.given.len() {
            self.release(self.given[number]);
        }
        self.given.clear();
        for value in self.asked.drain(..) {
            self.stop_uses[value.index()] = 0;
        }
    }

    /// Puts the guest's state at `stop` into the cells and goes to `label`.
    fn leave_with(&mut self, label: Label, stop: StopId) {
        self.store_cells_at(stop);
        let mut cells = core::mem::take(&mut self.put);
        cells.extend(changed(self.block, stop).filter(|&(cell, _)| !is_general(cell)));
        self.put_cells(cells);
        self.clear_waiting(stop);
        let retired = self.pending + i64::from(self.block.stops[stop].retired);
        if retired > 0 {
            self.sink().local_get(LEFT).i64_const(retired).i64_sub().local_set(LEFT);
        }
        self.branch(label);
    }

    /// Counts how often each value that has no local yet is asked for by `stop`.
    fn count_uses(&mut self, stop: StopId) {
        self.to_count.extend(asked_for(self.block, stop));
        while let Some(value) = self.to_count.pop() {
            let uses = &mut self.stop_uses[value.index()];
            *uses += 1;
            if *uses > 1 {
                continue;
            }
            self.asked.push(value);
            if self.locals[value.index()].is_none() {
                self.block.graph.node(value).for_operands(|operand| self.to_count.push(operand));
            }
        }
    }
}

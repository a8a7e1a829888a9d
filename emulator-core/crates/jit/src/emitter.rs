//! The engine that emits: runs the shared semantics once per instruction and writes down what they ask for.

mod engine;
mod float;
mod fused;
mod look;
mod range;
mod shuffle;
mod strings;
mod system;
mod vector;
mod x87;

use cpu::Mode;
use cpu::compiled::{FlagKind, end_of_code, end_of_data};
use x86::instructions::simd::Lanes;
use x86::instructions::system::Sys;
use x86::{Op, Rep, Sem, Width, seg};

use look::Look;
use range::Range;
use x87::Stack;

use crate::depth;
use crate::effects::{CellSet, Role, Units, effects, is_plain, role, touches_x87};
use crate::graph::{Graph, Places, possible_in};
use crate::ir::{
    Access, Again, Binary, CELLS, Cell, Cells, End, FLAG_CARRIES, FLAG_KIND, Helper, Interpreted, Node, RCX, RIP,
    Scalar, Step, Stop, StopId, Value, X87_BASE, X87_DEPTH, X87_LAST, X87_LOST, X87_POINTER, X87_SEGMENT, XMM,
};

/// A block as the passes after this one see it.
pub(crate) struct Block {
    pub(crate) graph: Graph,
    pub(crate) steps: Vec<Step>,
    /// What guest state each stop leaves behind. The last are [`Block::end`], [`Block::budget`] and both of [`Block::edge`].
    pub(crate) stops: Vec<Stop>,
    pub(crate) end: End,
    /// Offset of the block from the region's entry.
    pub(crate) start: i64,
    /// Its instructions.
    pub(crate) instructions: usize,
    /// Cells that it may change: those of the x87 come last.
    pub(crate) cells: usize,
    /// What those hold at the stops.
    held: Vec<Value>,
}

impl Block {
    /// The end of the block, with cell [`RIP`] as the region has it.
    pub(crate) fn end(&self) -> StopId {
        self.stops.len() - 4
    }

    /// The same place for one who leaves the region there: with the address where the guest goes on.
    pub(crate) fn budget(&self) -> StopId {
        self.stops.len() - 3
    }

    /// The same for one who leaves because the block goes on elsewhere by its first or second way, unless it is [`End::Dynamic`].
    pub(crate) fn edge(&self, which: usize) -> StopId {
        self.stops.len() - 2 + which
    }

    /// The values that the cells hold at `stop`.
    pub(crate) fn cells_at(&self, stop: StopId) -> &[Value] {
        let first = self.stops[stop].cells;
        &self.held[first..first + self.cells]
    }

    /// How far the x87's stack has moved at `stop`, in a region that uses it.
    pub(crate) fn depth_at(&self, stop: StopId) -> u64 {
        let depth = self.cells_at(stop).get(X87_DEPTH);
        depth.and_then(|&depth| self.graph.constant_of(depth)).unwrap_or(0)
    }
}

/// What a stop is to hold: the cells as they are now, or were before the instruction at work.
#[derive(Clone, Copy)]
enum When {
    Before,
    Now,
}

/// See the module.
pub(crate) struct Emitter {
    pub(crate) graph: Graph,
    mode: Mode,
    /// Offset of the block from the region's entry.
    start: i64,
    steps: Vec<Step>,
    stops: Vec<Stop>,
    /// See [`Block::held`].
    held: Vec<Value>,
    /// The value each cell holds now.
    cells: Cells,
    /// The same before the instruction at work.
    before: Cells,
    /// Cells that the region has to do with.
    count: usize,
    /// Instructions completed.
    retired: u16,
    /// Offset of the instruction at work, and of the one after it, from the start of the block.
    offset: u64,
    next_offset: u64,
    /// Steps before the instruction at work.
    steps_before: usize,
    /// The stop behind the instruction at work, where a helper runs it.
    after: Option<StopId>,
    /// Where the last instruction goes on, if it is a branch.
    end: Option<End>,
    /// The flags are those of an addition or subtraction: its kind, and its second operand or, where it is by one and keeps CF, that.
    sum: Option<(FlagKind, Value)>,
    /// The same before the instruction at work.
    sum_before: Option<(FlagKind, Value)>,
    /// The last instruction was an STI.
    in_shadow: bool,
    /// Where a repeated instruction that leaves goes on.
    unfinished: Option<Value>,
    /// System instructions so far.
    systems: u32,
    units: Units,
    /// The instruction at work cannot be compiled.
    unsupported: bool,
    /// The bits that [`cpu::compiled::Context::disabled`] has been looked at for since the last helper, and the step that does.
    required: u32,
    required_by: Option<usize>,
    /// EFLAGS.DF has been looked at.
    upwards: bool,
    /// What has to be looked at before the block goes on to anything that could not be done again.
    look: Option<Look>,
    /// What is known of lanes of vectors.
    ranges: Vec<(Value, Lanes, Range)>,
    /// Vectors that are zero above the lowest of these lanes.
    alone: Vec<(Value, Lanes)>,
    /// See [`Stop::cleared`].
    cleared: u16,
    /// A helper has to do with a register of which a part waits elsewhere.
    pub(crate) meets_scalars: bool,
    /// Bits 255:128 of the YMM registers, as far as they are known.
    highs: [Option<Value>; 16],
    /// How far the x87's stack has moved since the region began.
    depth: u8,
    /// What is known of the x87, once an instruction has asked for it.
    stack: Option<Stack>,
    /// What it means for the first `judged` steps to be done again.
    again: Again,
    judged: usize,
}

impl Emitter {
    /// For a block of so many instructions that begins `start` bytes from the region's entry, where the x87's stack has moved by `depth`.
    pub(crate) fn new(mode: Mode, start: i64, instructions: usize, units: Units, depth: u8, places: Places) -> Emitter {
        let count = if units.x87 == 0 { X87_BASE } else { CELLS };
        let graph = Graph::of(count, places);
        // Most have an access at every other instruction.
        let (steps, stops) = (instructions + 2, instructions / 2 + 6);
        let cells: Cells = core::array::from_fn(|cell| graph.input(cell));
        let mut emitter = Emitter {
            graph,
            mode,
            start,
            steps: Vec::with_capacity(steps),
            stops: Vec::with_capacity(stops),
            held: Vec::with_capacity(stops * count),
            cells,
            before: cells,
            count,
            retired: 0,
            offset: 0,
            next_offset: 0,
            steps_before: 0,
            after: None,
            end: None,
            sum: None,
            sum_before: None,
            in_shadow: false,
            unfinished: None,
            systems: 0,
            units,
            unsupported: false,
            required: 0,
            required_by: None,
            upwards: false,
            look: None,
            ranges: Vec::new(),
            alone: Vec::new(),
            cleared: 0,
            meets_scalars: false,
            highs: [None; 16],
            depth,
            stack: None,
            again: Again::Same,
            judged: 0,
        };
        if units.x87 != 0 {
            emitter.x87_set_depth(depth);
        }
        let scalars = (0..16).filter_map(|register| Some((cells[XMM + register], units.scalars.lanes(register)?)));
        emitter.alone.extend(scalars);
        emitter
    }

    /// Emits instruction number `number` of the block; another follows in it, or not.
    pub(crate) fn instruction(&mut self, number: usize, op: &Op, followed: bool) {
        self.before[..self.count].copy_from_slice(&self.cells[..self.count]);
        self.sum_before = self.sum;
        self.steps_before = self.steps.len();
        self.offset = u64::from(op.offset);
        self.next_offset = op.next_offset();
        self.after = None;
        let in_shadow = core::mem::take(&mut self.in_shadow);
        if is_plain(op, self.mode) && self.compile(op, followed) {
            if in_shadow {
                self.end_shadow();
            }
        } else {
            if in_shadow {
                self.push(Step::EndShadow);
            }
            self.interpret(number, op);
        }
        self.cleared |= self.units.scalars.cleared_by(op);
        self.retired += 1;
        if let Some(after) = self.after {
            self.complete(after);
        }
        self.unfinished = None;
    }

    /// Writes down what `op` does. False where that cannot be, and nothing has changed.
    fn compile(&mut self, op: &Op, followed: bool) -> bool {
        let simd = match op.sem {
            Sem::Int(int) => {
                let Ok(()) = x86::instructions::integer::execute(self, op, int, op.width, op.form);
                return true;
            }
            Sem::Simd(simd) => simd,
            Sem::Sys(sys) => {
                return self.string_element(op, sys)
                    || self.selector(op, sys)
                    || self.flags(op, sys)
                    || self.time(sys)
                    || self.privileged(sys, followed);
            }
            Sem::Fpu(fpu) => return self.x87(op, fpu),
        };
        let before = (self.stops.len(), self.held.len(), self.ranges.len());
        let (required, look) = ((self.required, self.required_by), self.look);
        let Ok(()) = x86::instructions::simd::execute(self, op, simd);
        if !core::mem::take(&mut self.unsupported) {
            self.forget_overwritten_highs();
            return true;
        }
        self.steps.truncate(self.steps_before);
        self.judged = self.judged.min(self.steps_before);
        self.stops.truncate(before.0);
        self.held.truncate(before.1);
        self.ranges.truncate(before.2);
        ((self.required, self.required_by), self.look) = (required, look);
        (self.cells, self.after, self.sum) = (self.before, None, self.sum_before);
        false
    }

    /// Leaves the instruction to a helper.
    fn interpret(&mut self, number: usize, op: &Op) {
        (self.stack, self.highs) = (None, [None; 16]);
        let effects = effects(op);
        let scalars = CellSet::vectors(self.units.scalars.registers());
        self.meets_scalars |= effects.reads.with(effects.writes).and(scalars) != CellSet::default();
        let helper = match role(op) {
            Role::Transfers => Helper::Transfer,
            Role::Repeats => Helper::Repeat,
            _ if matches!(op.sem, Sem::Sys(_)) => Helper::System,
            _ => Helper::Interpret,
        };
        (self.required, self.required_by, self.upwards) = (0, None, false);
        let after = self.stop_after();
        let kept = CellSet::numbers().with(CellSet::vectors(self.units.vectors));
        let carries = self.carries();
        let value = |cell| if cell == FLAG_CARRIES { carries } else { self.cells[cell] };
        let x87 = if self.units.x87 != 0 && touches_x87(op) { X87_BASE..CELLS } else { 0..0 };
        let stored = effects.reads.and(kept).iter().chain(x87.clone()).map(|cell| (cell, value(cell))).collect();
        let moves = matches!(helper, Helper::Transfer | Helper::Repeat);
        let moves = CellSet::instruction_pointer(moves);
        let told_in_memory =
            |cell: &Cell| !matches!(*cell, X87_DEPTH | X87_LOST | X87_LAST | X87_POINTER | X87_SEGMENT);
        let mut product = |cell| match cell {
            XMM..X87_BASE => self.graph.vector_product(),
            _ => self.graph.product(possible_in(cell)),
        };
        let written = effects.writes.and(kept).with(moves).iter().chain(x87.clone().filter(told_in_memory));
        let loaded: Vec<_> = written.map(|cell| (cell, product(cell))).collect();
        let count = self.repetitions(op);
        let before = self.cells;
        for &(cell, value) in &loaded {
            if cell == RIP && helper == Helper::Repeat {
                self.unfinished = Some(value);
                continue;
            }
            self.cells[cell] = value;
            if cell == FLAG_CARRIES {
                self.sum = None;
            }
        }
        self.systems += u32::from(helper != Helper::Interpret);
        if helper == Helper::Transfer {
            self.end = Some(End::Dynamic);
        }
        let found = effects.reads.and(effects.writes);
        let mut found: Vec<_> =
            loaded.iter().copied().filter(|&(cell, _)| cell >= X87_BASE || found.has(cell)).collect();
        if !x87.is_empty() {
            self.x87_set_depth(self.depth.wrapping_add(depth::moves(op)) & depth::MASK);
            for cell in [X87_LOST, X87_LAST, X87_SEGMENT] {
                self.cells[cell] = self.graph.constant(0);
            }
            found.extend([X87_DEPTH, X87_LOST, X87_LAST, X87_SEGMENT].map(|cell| (cell, self.cells[cell])));
        }
        let fault = self.stop_at_fault(&found);
        let loaded = loaded.into_iter().map(|(cell, value)| (cell, before[cell], value)).collect();
        let op = number;
        let interpreted = Interpreted { op, helper, stored, count, loaded, fault, after };
        self.push(Step::Interpret(Box::new(interpreted)));
    }

    /// The stop where a helper says that the instruction at work faults. Some have done a part of their work then (a repeated string
    /// instruction, a gather, POPA): of what they have `found` and may change, the state has it as they left it.
    fn stop_at_fault(&mut self, found: &[(Cell, Value)]) -> StopId {
        let stop = self.stop(false);
        let first = self.stops[stop].cells;
        let rip = self.held[first + RIP];
        let cells = &mut self.held[first..];
        cells.copy_from_slice(&self.before[..self.count]);
        for &(cell, value) in found {
            cells[cell] = value;
        }
        let changes_flags = cells[FLAG_CARRIES] != self.before[FLAG_CARRIES];
        self.hold_lazy_flags(first, self.sum_before.filter(|_| !changes_flags));
        self.held[first + RIP] = rip;
        stop
    }

    /// RCX, where `op` does nothing at all when that is zero.
    fn repetitions(&self, op: &Op) -> Option<Value> {
        let moves = matches!(op.sem, Sem::Sys(Sys::Movs | Sys::Stos | Sys::Lods));
        let whole = op.address == self.mode.code && op.address != Width::W16;
        (moves && op.rep != Rep::None && whole).then(|| self.cells[RCX])
    }

    pub(crate) fn finish(mut self) -> Block {
        self.take_look();
        let end = self.end.unwrap_or(End::Goto(self.start + self.next_offset as i64));
        let first = self.hold(When::Now);
        let goes_on_at = self.address_behind(end);
        let [taken, next] = match end {
            End::Branch(_, targets) => targets.map(|offset| self.region_address(offset)),
            _ => [goes_on_at; 2],
        };
        self.stops.push(self.stop_behind(first));
        for address in [goes_on_at, taken, next] {
            let cells = self.held.len();
            self.held.extend_from_within(first..first + self.count);
            self.held[cells + RIP] = address;
            self.stops.push(self.stop_behind(cells));
        }
        let Emitter { graph, steps, stops, held, start, count: cells, .. } = self;
        Block { graph, steps, stops, end, start, instructions: usize::from(self.retired), cells, held }
    }

    /// A stop with the guest state as before the instruction at work.
    fn stop_before(&mut self) -> StopId {
        let restarts = self.may_restart();
        self.stop(restarts)
    }

    fn stop(&mut self, restarts: bool) -> StopId {
        let cells = self.hold(When::Before);
        if !restarts {
            self.held[cells + RIP] = self.code_address(self.offset);
        }
        self.stops.push(Stop { cells, retired: self.retired, restarts, cleared: self.cleared, doubt: None });
        self.stops.len() - 1
    }

    /// Whether the steps so far may be done again.
    fn may_restart(&mut self) -> bool {
        for step in &self.steps[self.judged..] {
            self.again = match (self.again, step.again()) {
                (so_far, Again::Same) => so_far,
                (Again::Same, Again::Writes) => Again::Same,
                (Again::Same | Again::Reads, Again::Reads) => Again::Reads,
                _ => Again::Never,
            };
        }
        self.judged = self.steps.len();
        self.again != Again::Never
    }

    /// The stop behind the instruction at work; its state is known when that is complete.
    fn stop_after(&mut self) -> StopId {
        if let Some(after) = self.after {
            return after;
        }
        let after = self.stop(false);
        self.after = Some(after);
        after
    }

    /// Makes `after` the stop behind the instruction at work, which is complete.
    fn complete(&mut self, after: StopId) {
        let cells = self.hold(When::Now);
        self.held[cells + RIP] = match self.end {
            Some(end) => self.address_behind(end),
            None => self.unfinished.unwrap_or_else(|| self.code_address(self.next_offset)),
        };
        self.stops[after] = self.stop_behind(cells);
    }

    /// A stop behind the last instruction, where the cells hold what begins at `cells`.
    fn stop_behind(&self, cells: usize) -> Stop {
        Stop { cells, retired: self.retired, restarts: false, cleared: self.cleared, doubt: None }
    }

    /// Where the guest goes on behind a block that ends so.
    fn address_behind(&mut self, end: End) -> Value {
        match end {
            End::Goto(offset) => self.region_address(offset),
            End::Branch(condition, targets) => {
                let [taken, next] = targets.map(|offset| self.region_address(offset));
                self.graph.select(condition, taken, next)
            }
            End::Dynamic => self.cells[RIP],
        }
    }

    /// Writes down for a stop what the cells hold, now or before the instruction at work. Gives where.
    fn hold(&mut self, when: When) -> usize {
        let first = self.held.len();
        let (cells, sum) = match when {
            When::Before => (&self.before, self.sum_before),
            When::Now => (&self.cells, self.sum),
        };
        self.held.extend_from_slice(&cells[..self.count]);
        self.hold_lazy_flags(first, sum);
        first
    }

    /// Makes the flags in what is held from `first` on those that go from block to block: with the second operand of a sum instead of the carry vector.
    fn hold_lazy_flags(&mut self, first: usize, sum: Option<(FlagKind, Value)>) {
        let cells = &mut self.held[first..];
        if let Some((kind, operand)) = sum {
            cells[FLAG_CARRIES] = operand;
            cells[FLAG_KIND] = self.graph.constant(kind.0);
        } else if cells[FLAG_CARRIES] != self.graph.input(FLAG_CARRIES) {
            cells[FLAG_KIND] = self.graph.constant(FlagKind::CARRIES.0);
        }
    }

    /// The carry vector.
    fn carries(&mut self) -> Value {
        let found = self.graph.input(FLAG_CARRIES);
        if self.cells[FLAG_CARRIES] != found {
            return self.cells[FLAG_CARRIES];
        }
        self.graph.found_carries()
    }

    /// Leaves to the interpreter where `condition` is not zero.
    fn interpret_where(&mut self, condition: Value) {
        if self.graph.constant_of(condition) != Some(0) {
            let stop = self.stop_before();
            self.push(Step::Guard { condition, stop });
        }
    }

    /// The address `offset` bytes behind the region's entry, in the code segment's width.
    fn region_address(&mut self, offset: i64) -> Value {
        let entry = self.graph.input(RIP);
        let offset = self.graph.constant(offset as u64);
        let address = self.graph.binary(Binary::Add, entry, offset);
        self.graph.truncate(self.mode.code, address)
    }

    /// Address of the block's first byte plus `offset`.
    fn code_address(&mut self, offset: u64) -> Value {
        self.region_address(self.start + offset as i64)
    }

    /// The relative target of `op` from the region's entry, unless an operand size cuts it.
    fn static_target(&self, op: &Op) -> Option<i64> {
        (op.opsize == self.mode.code).then(|| self.start + op.next_offset() as i64 + op.imm)
    }

    fn relative_target(&mut self, op: &Op) -> Value {
        let target = self.code_address(op.next_offset().wrapping_add(op.imm as u64));
        self.graph.truncate(op.opsize, target)
    }

    /// Leaves to the interpreter, which will raise #GP(0), where `condition` (0 or 1) holds and `target` is not canonical, or beyond the code segment; flat ones have no beyond.
    fn check_target(&mut self, condition: Value, target: Value) {
        if self.mode.code != Width::W64 {
            if !self.mode.flat {
                let end = self.graph.segment_end(end_of_code(), self.systems);
                let beyond = self.graph.binary(Binary::BelowOrEqual, end, target);
                let both = self.graph.binary(Binary::And, condition, beyond);
                self.interpret_where(both);
            }
            return;
        }
        let sixteen = self.graph.constant(16);
        let moved = self.graph.binary(Binary::Shl, target, sixteen);
        let canonical = self.graph.binary(Binary::ShrSigned, moved, sixteen);
        let differs = self.graph.binary(Binary::NotEqual, canonical, target);
        let both = self.graph.binary(Binary::And, condition, differs);
        self.interpret_where(both);
    }

    /// Offset of the memory operand in its segment, moved by `displacement`.
    fn offset_of(&mut self, op: &Op, displacement: Value) -> Value {
        let base = self.address_register(op.base);
        let index = self.address_register(op.index);
        let scale = self.graph.constant(u64::from(op.scale));
        let index = self.graph.binary(Binary::Shl, index, scale);
        let offset = self.graph.binary(Binary::Add, base, index);
        let constant = self.graph.constant(op.disp as u64);
        let offset = self.graph.binary(Binary::Add, offset, constant);
        let offset = self.graph.binary(Binary::Add, offset, displacement);
        self.graph.truncate(op.address, offset)
    }

    fn address_register(&mut self, slot: u8) -> Value {
        match slot / 8 {
            x86::ZERO_SLOT => self.graph.constant(0),
            x86::RIP_SLOT => self.code_address(0),
            number => self.cells[usize::from(number)],
        }
    }

    /// The memory operand through a segment that is not checked, moved by `displacement`.
    fn operand(&mut self, w: Width, op: &Op, displacement: Value) -> Access {
        let offset = self.offset_of(op, displacement);
        let address = if matches!(op.seg, seg::FS | seg::GS) {
            let base = self.graph.segment_base(op.seg, self.systems);
            self.graph.binary(Binary::Add, base, offset)
        } else {
            // Outside 64-bit mode unchecked segments are flat: their bases are zero.
            offset
        };
        Access { width: w, address }
    }

    /// The same through any segment.
    fn any_operand(&mut self, w: Width, op: &Op, displacement: Value, writes: bool) -> Access {
        if !op.checked {
            return self.operand(w, op, displacement);
        }
        let offset = self.offset_of(op, displacement);
        let address = self.checked_linear(op.seg, offset, w, writes);
        Access { width: w, address }
    }

    fn stack_access(&mut self, w: Width, pointer: Value, writes: bool) -> Access {
        let flat = self.mode.code == Width::W64 || self.mode.flat;
        let address = if flat { pointer } else { self.checked_linear(seg::SS, pointer, w, writes) };
        Access { width: w, address }
    }

    /// Linear address of `segment:offset`, as far as the segment goes; beyond, the interpreter tells which exception it is.
    fn checked_linear(&mut self, segment: u8, offset: Value, w: Width, writes: bool) -> Value {
        let end = self.graph.segment_end(end_of_data(segment, writes), self.systems);
        let bytes = self.graph.constant(w.bytes());
        let behind = self.graph.binary(Binary::Add, offset, bytes);
        let beyond = self.graph.binary(Binary::Below, end, behind);
        self.interpret_where(beyond);
        let base = self.graph.segment_base(segment, self.systems);
        let linear = self.graph.binary(Binary::Add, base, offset);
        self.graph.truncate(Width::W32, linear)
    }

    fn load_access(&mut self, access: Access) -> Value {
        let fault = self.stop_before();
        let value = self.graph.product(access.width.mask());
        self.push(Step::Load { access, value, fault });
        value
    }

    fn load_for_write(&mut self, access: Access) -> (Value, Access) {
        let fault = self.stop_before();
        let value = self.graph.product(access.width.mask());
        self.push(Step::LoadForWrite { access, value, fault });
        (value, access)
    }

    fn store_access(&mut self, access: Access, value: Value) {
        let value = match self.graph.node(value) {
            Node::Scalar(Scalar::Quadword(0), [vector, ..]) if access.width == Width::W32 => {
                self.graph.doubleword(vector)
            }
            _ => value,
        };
        let fault = self.stop_before();
        self.push(Step::Store { access, value, fault });
    }

    /// The dividend `high:low` of a division narrower than 64 bits, or of a 64-bit one whose high half only extends the
    /// low one (which is what `XOR EDX, EDX` and `CQO` before it make).
    fn narrow_dividend(&mut self, w: Width, high: Value, low: Value, signed: bool) -> Option<Value> {
        if w != Width::W64 {
            let bits = self.graph.constant(u64::from(w.bits()));
            let high = self.graph.binary(Binary::Shl, high, bits);
            let dividend = self.graph.binary(Binary::Or, high, low);
            let double = if w == Width::W8 { Width::W16 } else { Width::W32 };
            let extend = signed && w < Width::W32;
            return Some(if extend { self.graph.sign_extend(double, dividend) } else { dividend });
        }
        let extension = if signed {
            let top = self.graph.constant(63);
            self.graph.binary(Binary::ShrSigned, low, top)
        } else {
            self.graph.constant(0)
        };
        (high == extension).then_some(low)
    }

    fn divide_wide(&mut self, signed: bool, operands: [Value; 3]) -> (Value, Value) {
        let fault = self.stop_before();
        let (quotient, remainder) = (self.graph.product(u64::MAX), self.graph.product(u64::MAX));
        self.push(Step::DivideWide { signed, operands, quotient, remainder, fault });
        (quotient, remainder)
    }
}

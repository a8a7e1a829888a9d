//! The engine that emits: runs the shared semantics once per instruction and writes down what they ask for.

mod engine;

use cpu::Mode;
use x86::{Exception, Op, Width, seg};

use crate::graph::Graph;
use crate::ir::{Access, Binary, Cells, RIP, Step, Stop, StopId, Value};
use crate::{Exit, Reason};

/// A block as the passes after this one see it.
pub(crate) struct Block {
    pub(crate) graph: Graph,
    pub(crate) steps: Vec<Step>,
    /// What guest state each stop leaves behind, the end of the block last.
    pub(crate) stops: Vec<Stop>,
    /// What the caller is told about each stop.
    pub(crate) exits: Vec<Exit>,
}

impl Block {
    pub(crate) fn end(&self) -> StopId {
        self.stops.len() - 1
    }
}

/// See the module.
pub(crate) struct Emitter {
    pub(crate) graph: Graph,
    mode: Mode,
    steps: Vec<Step>,
    stops: Vec<Stop>,
    exits: Vec<Exit>,
    /// The value each cell holds now.
    cells: Cells,
    /// The same before the instruction at work.
    before: Cells,
    /// Instructions completed.
    retired: u16,
    /// Offset of the instruction at work, and of the one after it, from the start of the block.
    offset: u16,
    next_offset: u16,
    /// The stop behind the instruction at work, once a store wants one.
    after: Option<StopId>,
}

impl Emitter {
    pub(crate) fn new(mode: Mode) -> Emitter {
        let mut graph = Graph::default();
        let cells: Cells = core::array::from_fn(|cell| graph.input(cell));
        Emitter {
            graph,
            mode,
            steps: Vec::new(),
            stops: Vec::new(),
            exits: Vec::new(),
            cells,
            before: cells,
            retired: 0,
            offset: 0,
            next_offset: 0,
            after: None,
        }
    }

    /// Emits one instruction; only such as [`crate::compilable`] accepts.
    pub(crate) fn instruction(&mut self, op: &Op) {
        let x86::Sem::Int(int) = op.sem else { return };
        self.before = self.cells;
        self.offset = op.offset;
        self.next_offset = op.next_offset() as u16;
        self.after = None;
        let Ok(()) = x86::instructions::integer::execute(self, op, int, op.width, op.form);
        self.retired += 1;
        if let Some(after) = self.after {
            self.stops[after] = Stop { cells: self.cells };
            self.exits[after] = self.exit_behind();
        }
    }

    pub(crate) fn finish(mut self) -> Block {
        self.stops.push(Stop { cells: self.cells });
        let end = self.exit_behind();
        self.exits.push(end);
        Block { graph: self.graph, steps: self.steps, stops: self.stops, exits: self.exits }
    }

    /// The exit between the last completed instruction and whatever comes next.
    fn exit_behind(&mut self) -> Exit {
        let jumped = self.cells[RIP] != self.graph.input(RIP);
        let next_offset = (!jumped).then_some(self.next_offset);
        Exit { reason: Reason::Done, retired: self.retired, next_offset }
    }

    /// A stop with the guest state as before the instruction at work.
    fn stop_before(&mut self, reason: Reason) -> StopId {
        self.stops.push(Stop { cells: self.before });
        self.exits.push(Exit { reason, retired: self.retired, next_offset: Some(self.offset) });
        self.stops.len() - 1
    }

    /// The stop behind the instruction at work; its state is known when that is complete.
    fn stop_after(&mut self) -> StopId {
        if let Some(after) = self.after {
            return after;
        }
        let after = self.stop_before(Reason::Done);
        self.after = Some(after);
        after
    }

    /// Stops with `exception` where `condition` is not zero.
    fn guard(&mut self, condition: Value, exception: Exception) {
        if self.graph.constant_of(condition) == Some(0) {
            return;
        }
        let stop = self.stop_before(Reason::Raised(exception));
        self.steps.push(Step::Guard { condition, stop });
    }

    /// Address of the block's first byte plus `offset`, in the code segment's width.
    fn code_address(&mut self, offset: u64) -> Value {
        let block = self.graph.input(RIP);
        let offset = self.graph.constant(offset);
        let address = self.graph.binary(Binary::Add, block, offset);
        self.graph.truncate(self.mode.code, address)
    }

    fn relative_target(&mut self, op: &Op) -> Value {
        let target = self.code_address(op.next_offset().wrapping_add(op.imm as u64));
        self.graph.truncate(op.opsize, target)
    }

    /// #GP(0) where `condition` holds and `target` is not canonical. In the flat modes compiled otherwise no target lies
    /// beyond the code segment.
    fn check_target(&mut self, condition: Value, target: Value) {
        if self.mode.code != Width::W64 {
            return;
        }
        let sixteen = self.graph.constant(16);
        let moved = self.graph.binary(Binary::Shl, target, sixteen);
        let canonical = self.graph.binary(Binary::ShrSigned, moved, sixteen);
        let differs = self.graph.binary(Binary::NotEqual, canonical, target);
        let both = self.graph.binary(Binary::And, condition, differs);
        self.guard(both, Exception::GeneralProtection(0));
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
            x86::RIP_SLOT => self.graph.input(RIP),
            number => self.cells[usize::from(number)],
        }
    }

    fn operand(&mut self, w: Width, op: &Op, displacement: Value) -> Access {
        let offset = self.offset_of(op, displacement);
        // Outside 64-bit mode unchecked segments are flat: their bases are zero.
        let based = self.mode.code == Width::W64 && matches!(op.seg, seg::FS | seg::GS);
        let address = if based {
            let base = self.graph.segment_base(op.seg);
            self.graph.binary(Binary::Add, base, offset)
        } else {
            offset
        };
        Access { width: w, address, segment: op.fault_segment() }
    }

    fn load_access(&mut self, access: Access) -> Value {
        let fault = self.stop_before(Reason::Fault);
        let value = self.graph.product(access.width.mask());
        self.steps.push(Step::Load { access, value, fault });
        value
    }

    fn load_for_write(&mut self, access: Access) -> (Value, Access) {
        let fault = self.stop_before(Reason::Fault);
        let value = self.graph.product(access.width.mask());
        self.steps.push(Step::LoadForWrite { access, value, fault });
        (value, access)
    }

    fn store_access(&mut self, access: Access, value: Value) {
        let fault = self.stop_before(Reason::Fault);
        let after = self.stop_after();
        self.steps.push(Step::Store { access, value, fault, after });
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
        let fault = self.stop_before(Reason::Raised(Exception::DivideError));
        let (quotient, remainder) = (self.graph.product(u64::MAX), self.graph.product(u64::MAX));
        self.steps.push(Step::DivideWide { signed, operands, quotient, remainder, fault });
        (quotient, remainder)
    }
}

//! WebAssembly out of the intermediate form.
//!
//! Values asked for once are written where they are used; others get a local when they are first computed. The
//! function is `(context, state, tlb) -> exit`, see [`crate::compile`].

mod access;

use wasm_encoder::{BlockType, Encode as _, Function, InstructionSink, MemArg, MemArgTarget, ValType};
use x86::Width;

use crate::emitter::Block;
use crate::ir::{Binary, Cell, Node, Step, StopId, Unary, Value};
use crate::layout::{ANSWERS, cell_offset, segment_base_offset};
use crate::liveness::{Liveness, changed};
use crate::module::Callee;

/// Parameters, then two scratch locals, then a local a value.
const CONTEXT: u32 = 0;
const STATE: u32 = 1;
const TLB: u32 = 2;
/// Address of the TLB entry at work.
const ENTRY: u32 = 3;
/// Host address of the read-modify-write at work; 0 where it goes through helpers.
const HOST: u32 = 4;
const FIRST_VALUE: u32 = 5;

struct Codegen<'a> {
    block: &'a Block,
    liveness: &'a Liveness,
    code: Vec<u8>,
    locals: Vec<Option<u32>>,
    next_local: u32,
    /// While a stop is written: how often it asks for each value, and which values it gave locals.
    stop: Option<StopUses>,
}

struct StopUses {
    uses: Vec<u32>,
    given: Vec<Value>,
}

/// The body of a function that runs `block`.
pub(crate) fn generate(block: &Block) -> Function {
    let liveness = Liveness::of(block);
    let mut codegen = Codegen {
        block,
        liveness: &liveness,
        code: Vec::new(),
        locals: vec![None; block.graph.len()],
        next_local: FIRST_VALUE,
        stop: None,
    };
    for step in &block.steps {
        codegen.step(step);
    }
    codegen.leave(block.end());
    codegen.sink().end();
    let values = codegen.next_local - FIRST_VALUE;
    let mut function = Function::new([(2, ValType::I32), (values, ValType::I64)]);
    function.raw(codegen.code);
    function
}

/// A memory operand at `offset` from an address on the stack. Guest accesses may be unaligned: no promise is made.
fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

impl Codegen<'_> {
    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn step(&mut self, step: &Step) {
        for stop in step.stops() {
            for value in self.liveness.frontier(self.block, stop) {
                self.settle(value);
            }
        }
        match *step {
            Step::Load { access, value, fault } => self.load(access, value, fault),
            Step::LoadForWrite { access, value, fault } => self.load_for_write(access, value, fault),
            Step::Store { access, value, fault, after } => self.store(access, value, fault, after),
            Step::StoreBack { access, value, after } => self.store_back(access, value, after),
            Step::Guard { condition, stop } => self.guard(condition, stop),
            Step::DivideWide { signed, operands, quotient, remainder, fault } => {
                self.divide_wide(signed, operands, [quotient, remainder], fault);
            }
        }
    }

    fn guard(&mut self, condition: Value, stop: StopId) {
        if self.block.graph.constant_of(condition).is_some_and(|c| c != 0) {
            self.cold_stop(stop);
            return;
        }
        self.condition(condition);
        self.sink().if_(BlockType::Empty);
        self.cold_stop(stop);
        self.sink().end();
    }

    fn divide_wide(&mut self, signed: bool, operands: [Value; 3], answers: [Value; 2], fault: StopId) {
        self.sink().local_get(CONTEXT);
        for operand in operands {
            self.value(operand);
        }
        self.sink().i32_const(i32::from(signed)).call(Callee::DivideWide as u32).if_(BlockType::Empty);
        self.cold_stop(fault);
        self.sink().end();
        for (answer, offset) in answers.into_iter().zip(ANSWERS) {
            if self.liveness.uses(answer) > 0 {
                self.sink().local_get(CONTEXT).i64_load(at(offset));
                self.set_local(answer);
            }
        }
    }

    /// Writes changed cells back and returns, as the last thing in the function.
    fn leave(&mut self, stop: StopId) {
        let cells: Vec<(Cell, Value)> = changed(self.block, stop).collect();
        // All values are on the stack before the first cell is overwritten: one may be made of another cell.
        for &(_, value) in &cells {
            self.sink().local_get(STATE);
            self.value(value);
        }
        for &(cell, _) in cells.iter().rev() {
            self.sink().i64_store(at(cell_offset(cell)));
        }
        self.sink().i32_const(stop as i32);
    }

    /// Leaves at `stop` from within the block: what it alone needs is computed here.
    fn cold_stop(&mut self, stop: StopId) {
        self.stop = Some(StopUses { uses: self.uses_at(stop), given: Vec::new() });
        self.leave(stop);
        self.sink().return_();
        if let Some(StopUses { given, .. }) = self.stop.take() {
            for value in given {
                self.locals[value.index()] = None;
            }
        }
    }

    /// How often each value that has no local yet is asked for by `stop`.
    fn uses_at(&self, stop: StopId) -> Vec<u32> {
        let mut uses = vec![0; self.block.graph.len()];
        let mut pending: Vec<Value> = changed(self.block, stop).map(|(_, value)| value).collect();
        while let Some(value) = pending.pop() {
            uses[value.index()] += 1;
            if uses[value.index()] == 1 && self.locals[value.index()].is_none() {
                pending.extend(self.block.graph.node(value).operands());
            }
        }
        uses
    }

    fn uses(&self, value: Value) -> u32 {
        self.stop.as_ref().map_or_else(|| self.liveness.uses(value), |stop| stop.uses[value.index()])
    }

    /// Gives `value` a local that nothing has been put into.
    fn give_local(&mut self, value: Value) -> u32 {
        let local = self.next_local;
        self.next_local += 1;
        self.locals[value.index()] = Some(local);
        if let Some(stop) = &mut self.stop {
            stop.given.push(value);
        }
        local
    }

    /// Moves the top of the stack to a new local for `value`.
    fn set_local(&mut self, value: Value) {
        let local = self.give_local(value);
        self.sink().local_set(local);
    }

    /// Makes sure that `value` needs no more computing than reading a local or a constant.
    fn settle(&mut self, value: Value) {
        let is_constant = self.block.graph.constant_of(value).is_some();
        if is_constant || self.locals[value.index()].is_some() {
            return;
        }
        self.compute(value);
        self.set_local(value);
    }

    /// Pushes `value`, an i64.
    fn value(&mut self, value: Value) {
        if let Some(local) = self.locals[value.index()] {
            self.sink().local_get(local);
            return;
        }
        self.compute(value);
        if self.uses(value) > 1 && self.block.graph.constant_of(value).is_none() {
            let local = self.give_local(value);
            self.sink().local_tee(local);
        }
    }

    /// Pushes `value` as an i32 that is not zero where `value` is not.
    fn condition(&mut self, value: Value) {
        if self.locals[value.index()].is_none()
            && self.uses(value) <= 1
            && let Node::Binary(op, a, b) = self.block.graph.node(value)
            && op.is_comparison()
        {
            self.comparison(op, a, b);
            return;
        }
        self.value(value);
        if self.block.graph.possible(value) >> 32 == 0 {
            self.sink().i32_wrap_i64();
        } else {
            self.sink().i64_const(0).i64_ne();
        }
    }

    fn compute(&mut self, value: Value) {
        match self.block.graph.node(value) {
            Node::Const(constant) => {
                self.sink().i64_const(constant as i64);
            }
            Node::Input(cell) => {
                self.sink().local_get(STATE).i64_load(at(cell_offset(cell)));
            }
            Node::SegmentBase(segment) => {
                self.sink().local_get(STATE).i64_load(at(segment_base_offset(segment)));
            }
            Node::Product => unreachable!("a step puts its product into a local before anything asks for it"),
            Node::Unary(op, a) => {
                self.value(a);
                self.unary(op);
            }
            Node::Binary(op, a, b) if op.is_comparison() => {
                self.comparison(op, a, b);
                self.sink().i64_extend_i32_u();
            }
            Node::Binary(Binary::And, a, mask) if self.block.graph.constant_of(mask) == Some(Width::W32.mask()) => {
                self.value(a);
                self.sink().i32_wrap_i64().i64_extend_i32_u();
            }
            Node::Binary(op, a, b) => {
                self.value(a);
                self.value(b);
                self.binary(op);
            }
            Node::Select(condition, a, b) => {
                self.value(a);
                self.value(b);
                self.condition(condition);
                self.sink().select();
            }
        }
    }

    fn unary(&mut self, op: Unary) {
        let mut sink = self.sink();
        match op {
            Unary::SignExtend(Width::W8) => sink.i64_extend8_s(),
            Unary::SignExtend(Width::W16) => sink.i64_extend16_s(),
            Unary::SignExtend(_) => sink.i64_extend32_s(),
            Unary::TrailingZeros => sink.i64_ctz(),
            Unary::LeadingZeros => sink.i64_clz(),
            Unary::Ones => sink.i64_popcnt(),
        };
    }

    fn binary(&mut self, op: Binary) {
        let mut sink = self.sink();
        match op {
            Binary::Add => sink.i64_add(),
            Binary::Sub => sink.i64_sub(),
            Binary::Mul => sink.i64_mul(),
            Binary::MulHighUnsigned => sink.call(Callee::MulHighUnsigned as u32),
            Binary::MulHighSigned => sink.call(Callee::MulHighSigned as u32),
            Binary::DivUnsigned => sink.i64_div_u(),
            Binary::DivSigned => sink.i64_div_s(),
            Binary::RemUnsigned => sink.i64_rem_u(),
            Binary::RemSigned => sink.i64_rem_s(),
            Binary::And => sink.i64_and(),
            Binary::Or => sink.i64_or(),
            Binary::Xor => sink.i64_xor(),
            Binary::Shl => sink.i64_shl(),
            Binary::ShrUnsigned => sink.i64_shr_u(),
            Binary::ShrSigned => sink.i64_shr_s(),
            Binary::Equal => sink.i64_eq(),
            Binary::NotEqual => sink.i64_ne(),
            Binary::Below => sink.i64_lt_u(),
            Binary::BelowOrEqual => sink.i64_le_u(),
            Binary::Less => sink.i64_lt_s(),
            Binary::LessOrEqual => sink.i64_le_s(),
        };
    }

    /// Pushes a comparison's outcome, an i32.
    fn comparison(&mut self, op: Binary, a: Value, b: Value) {
        self.value(a);
        if op == Binary::Equal && self.block.graph.constant_of(b) == Some(0) {
            self.sink().i64_eqz();
            return;
        }
        self.value(b);
        self.binary(op);
    }
}

/// Bytes of `function` as a module holds it.
pub(crate) fn encoded_bytes(function: &Function) -> usize {
    let mut bytes = Vec::new();
    function.encode(&mut bytes);
    bytes.len()
}

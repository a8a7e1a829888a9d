//! WebAssembly out of the intermediate form.
//!
//! Cells are locals, which a block's end puts something new into. Values
//! asked for once are written where they are used; others get a local when they are first computed, free again behind the block.

mod access;
mod block;
mod flags;
mod float;
mod narrow;
mod region;
mod store;
mod strings;
mod system;
mod vector;
mod x87;

use wasm_encoder::{BlockType, Encode as _, Function, InstructionSink, ValType};
use x86::Width;

use crate::ahead::Ahead;
use crate::effects::Units;
use crate::emitter::Block;
use crate::groups::{Pace, Way};
use crate::homes::Homes;
use crate::ir::{Binary, CELLS, Cell, Node, RIP, Unary, Value, X87_BASE, XMM};
use crate::layout::{ENDS, segment_base_offset};
use crate::liveness::Liveness;
use crate::module::{Callee, at};
use crate::structure::BlockId;
use store::Stored;

pub(crate) use region::{Source, generate};
pub(crate) use vector::is_direct;

/// Parameters: where the region lies in linear memory, what is left of the slice, and the number of the entry; that is 0 again once it has been reached.
const PLACE: u32 = 0;
const LEFT: u32 = 1;
const ENTERED: u32 = LEFT + 1;
/// Locals: address of the TLB's tables, of the TLB entry at work; host address of the read-modify-write at work.
const TLB: u32 = LEFT + 2;
const ENTRY: u32 = LEFT + 3;
const HOST: u32 = LEFT + 4;
/// Where a branch without a fixed target goes, an i64.
const TARGET: u32 = LEFT + 5;
/// Where those of the x87 begin, if the region uses it: where the region was entered, an i64, and cells; then those of XMM registers, if it names any, and those of values.
const X87_START: u32 = LEFT + 6;
const X87_LOCALS: u32 = 1 + (CELLS - X87_BASE) as u32;

/// Something control can go to the end (or, of a loop, the start) of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    /// Nothing goes there.
    None,
    /// The guest's state is in the cells: store it and return.
    Leave,
    /// The same, because the next instruction accesses what the TLB does not cover.
    Access,
    /// The same, because the interpreter has to see its operands.
    Operands,
    /// The same, but look whether there is code where it goes on.
    Chain,
    /// The guest goes back to the start of the block at work, to be interpreted from there: 0 for the reason of [`Label::Access`], 1 for that
    /// of [`Label::Operands`].
    Restart(usize),
    /// The start of a block of the region, or of a gate.
    Block(usize),
}

/// What locals are for.
#[derive(Clone, Copy)]
enum Pool {
    Number,
    Vector,
    Single,
    Double,
    /// Addresses in the host's memory.
    Host,
}

impl Pool {
    fn of(node: Node) -> Pool {
        match node {
            Node::Float(_, lanes, _) if lanes.is_single() => Pool::Single,
            Node::Float(..) => Pool::Double,
            _ if node.is_vector() => Pool::Vector,
            _ => Pool::Number,
        }
    }

    fn of_type(ty: ValType) -> Pool {
        match ty {
            ValType::V128 => Pool::Vector,
            ValType::F32 => Pool::Single,
            ValType::F64 => Pool::Double,
            ValType::I32 => Pool::Host,
            _ => Pool::Number,
        }
    }

    fn ty(self) -> ValType {
        match self {
            Pool::Number => ValType::I64,
            Pool::Vector => ValType::V128,
            Pool::Single => ValType::F32,
            Pool::Double => ValType::F64,
            Pool::Host => ValType::I32,
        }
    }
}

/// Opcodes.
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;

struct Codegen<'a> {
    source: &'a Source<'a>,
    code: Vec<u8>,
    labels: Vec<Label>,
    /// Types of the locals for values.
    value_types: Vec<ValType>,
    /// Those locals that are free, by [`Pool`].
    free: [Vec<u32>; 5],
    /// How the step at work finds its memory.
    way: Way,
    /// The ways of the steps of all blocks, and where those of each block begin.
    ways: Vec<Way>,
    first_ways: Vec<usize>,
    /// For each group of accesses how many are still to come, and the local that holds where it begins in the host's memory.
    groups: Vec<(usize, u32)>,
    /// For each walk its accesses, and where each of them is in the host's memory: locals, once the first has been looked for.
    walks: Vec<(Vec<Pace>, Vec<u32>)>,
    /// Whether somebody has gone to each [`Label::Restart`] of the block at work.
    restarted: [bool; 2],
    /// How often each value will still be asked for, and those that have been, since the step at work began.
    left: Vec<u32>,
    consumed: Vec<Value>,
    block: &'a Block,
    /// Its number.
    number: BlockId,
    homes: Homes,
    ahead: Ahead,
    liveness: Liveness,
    locals: Vec<Option<u32>>,
    /// XMM registers that some block may have changed: stored where the region ends.
    changed_vectors: Vec<Cell>,
    /// Vectors that the function puts into locals where it begins: V8 makes each anew, by three instructions, wherever it stands.
    constants: Vec<(u128, u32)>,
    /// XMM registers that are zero above their lowest lanes, and the locals where what was there waits: see [`crate::scalars`].
    waiting: Vec<(usize, u32)>,
    /// What the block at work has stored ahead.
    stored: Stored,
    /// Instructions done before the block at work that have not been taken off what is left of the slice: most are on the ways out only, or together with others.
    pending: i64,
    /// The bits that [`cpu::compiled::Context::disabled`] has been looked at for on the way here.
    enabled: u32,
    /// The same of loops that are open, by their heads: looked at before them, and in force all through them.
    enabled_in: Vec<(BlockId, u32)>,
    /// A stop is being written.
    in_stop: bool,
    /// How often that asks for each value, and which values are asked for; zero and none otherwise.
    stop_uses: Vec<u32>,
    asked: Vec<Value>,
    /// Which values it gave locals.
    given: Vec<Value>,
    /// Room for lists that are short-lived: values whose uses are still to be counted, and cells to be put in order.
    to_count: Vec<Value>,
    put: Vec<(Cell, Value)>,
}

impl Codegen<'_> {
    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// Writes an instruction for a local. The most frequent ones are written here: to [`InstructionSink`] a number is a slice to be copied, and in WebAssembly
    /// that is a call into the engine.
    fn with_local(&mut self, opcode: u8, mut local: u32) {
        self.code.push(opcode);
        while local > 0x7f {
            self.code.push(local as u8 | 0x80);
            local >>= 7;
        }
        self.code.push(local as u8);
    }

    /// The same of a constant.
    fn number(&mut self, opcode: u8, mut number: i64) {
        self.code.push(opcode);
        while !(-0x40..0x40).contains(&number) {
            self.code.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.code.push(number as u8 & 0x7f);
    }

    fn open_if(&mut self, ty: BlockType) {
        self.sink().if_(ty);
        self.labels.push(Label::None);
    }

    fn open_block(&mut self, label: Label) {
        self.sink().block(BlockType::Empty);
        self.labels.push(label);
    }

    fn open_loop(&mut self, label: Label) {
        self.sink().loop_(BlockType::Empty);
        self.labels.push(label);
    }

    fn close(&mut self) {
        self.sink().end();
        self.labels.pop();
    }

    fn branch(&mut self, label: Label) {
        let depth = self.depth(label);
        self.sink().br(depth);
    }

    /// How many constructs are open inside that with `label`.
    fn depth(&self, label: Label) -> u32 {
        let depth = self.labels.iter().rev().position(|&open| open == label);
        depth.expect("branches lead to constructs that are open") as u32
    }

    /// How often `value` is asked for.
    fn uses(&self, value: Value) -> u32 {
        if self.in_stop { self.stop_uses[value.index()] } else { self.liveness.uses(value) }
    }

    /// Gives `value` a local that nothing has been put into.
    fn give_local(&mut self, value: Value) -> u32 {
        let local = self.take_local(Pool::of(self.block.graph.node(value)));
        self.locals[value.index()] = Some(local);
        if self.in_stop {
            self.given.push(value);
        }
        local
    }

    /// A local that is free.
    fn take_local(&mut self, pool: Pool) -> u32 {
        self.free[pool as usize].pop().unwrap_or_else(|| self.new_local(pool))
    }

    fn new_local(&mut self, pool: Pool) -> u32 {
        self.value_types.push(pool.ty());
        self.first_value() + self.value_types.len() as u32 - 1
    }

    /// The first local of XMM registers.
    fn first_vector(&self) -> u32 {
        if self.source.units.x87 == 0 { X87_START } else { X87_START + X87_LOCALS }
    }

    /// The first local behind those of XMM registers: those of general cells, as far as the region touches them.
    fn first_cell(&self) -> u32 {
        let first = self.first_vector();
        if self.source.units.vectors == 0 { first } else { first + 16 }
    }

    /// The first local behind those of general cells.
    fn first_value(&self) -> u32 {
        self.first_cell() + self.homes.touched.len()
    }

    /// The local of a cell.
    fn local_of(&self, cell: Cell) -> u32 {
        match cell {
            X87_BASE.. => X87_START + 1 + (cell - X87_BASE) as u32,
            XMM.. => self.first_vector() + (cell - XMM) as u32,
            RIP => PLACE,
            cell => {
                debug_assert!(self.homes.touched.has(cell), "cell {cell} is not touched");
                self.first_cell() + self.homes.touched.below(cell).len()
            }
        }
    }

    /// Moves the top of the stack to a new local for `value`.
    fn set_local(&mut self, value: Value) {
        let local = self.give_local(value);
        self.with_local(LOCAL_SET, local);
    }

    /// Frees the locals of values that are not asked for any more.
    fn release_consumed(&mut self) {
        for number in 0..self.consumed.len() {
            let value = self.consumed[number];
            let left = &mut self.left[value.index()];
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.release(value);
            }
        }
        self.consumed.clear();
    }

    fn release(&mut self, value: Value) {
        if let Some(local) = self.locals[value.index()].take() {
            self.free[Pool::of(self.block.graph.node(value)) as usize].push(local);
        }
    }

    /// Makes sure that `value` needs no more computing than reading a local or a constant.
    fn settle(&mut self, value: Value) {
        let is_ready = is_ready(self.block.graph.node(value));
        if is_ready || self.locals[value.index()].is_some() {
            return;
        }
        self.compute(value);
        self.set_local(value);
    }

    /// Pushes `value`.
    fn value(&mut self, value: Value) {
        if let Some(local) = self.locals[value.index()] {
            self.with_local(LOCAL_GET, local);
            return;
        }
        self.compute(value);
        let is_ready = is_ready(self.block.graph.node(value));
        if self.uses(value) > 1 && !is_ready {
            let local = self.give_local(value);
            self.with_local(LOCAL_TEE, local);
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
        let state = self.source.shared.state as u64;
        let node = self.block.graph.node(value);
        if !self.in_stop {
            node.for_operands(|operand| self.consumed.push(operand));
        }
        match node {
            Node::Const(constant) => self.number(I64_CONST, constant as i64),
            Node::Input(cell) => {
                let local = self.local_of(cell);
                self.with_local(LOCAL_GET, local);
            }
            Node::VectorConst([low, high]) => self.vector_constant(u128::from(high) << 64 | u128::from(low)),
            Node::Vector(vector, operands) => self.vector(vector, operands),
            Node::Scalar(scalar, operands) => self.scalar(scalar, operands),
            Node::Float(float, lanes, operands) => self.float(float, lanes.is_single(), operands),
            Node::SegmentBase(segment, _) => {
                self.sink().i32_const(0).i64_load(at(state + segment_base_offset(segment)));
            }
            Node::SegmentEnd(which, _) => {
                let end = self.source.shared.context as u64 + ENDS + 8 * which as u64;
                self.sink().i32_const(0).i64_load(at(end));
            }
            Node::Product | Node::VectorProduct => {
                unreachable!("a step puts its product into a local before anything asks for it")
            }
            Node::FoundCarries(_) => self.found_carries(),
            Node::FoundCarry(_) => self.found_carry(),
            Node::Unary(op, a) => {
                self.value(a);
                self.unary(op);
            }
            Node::Binary(op, a, b) if op.is_comparison() => {
                self.comparison(op, a, b);
                self.sink().i64_extend_i32_u();
            }
            Node::Binary(op, a, b) if self.fits_narrow(op, a, b) => {
                self.narrow_binary(op, a, b);
                self.sink().i64_extend_i32_u();
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
            Binary::RotateLeft32 => unreachable!("computed in 32 bits: `fits_narrow`"),
            Binary::RotateLeft64 => sink.i64_rotl(),
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
        if self.narrow_comparison(op, a, b) {
            return;
        }
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

/// Needs no more computing than reading a local or a constant.
fn is_ready(node: Node) -> bool {
    matches!(node, Node::Const(_) | Node::VectorConst(_) | Node::Input(_))
}

/// Locals of a region's function behind its parameters.
fn locals(units: Units, homes: &Homes, values: Vec<ValType>) -> impl ExactSizeIterator<Item = (u32, ValType)> {
    let mut all = vec![(TARGET - TLB, ValType::I32), (X87_START - TARGET, ValType::I64)];
    if units.x87 != 0 {
        all.push((X87_LOCALS, ValType::I64));
    }
    if units.vectors != 0 {
        all.push((16, ValType::V128));
    }
    all.push((homes.touched.len(), ValType::I64));
    all.extend(values.into_iter().map(|ty| (1, ty)));
    all.into_iter()
}

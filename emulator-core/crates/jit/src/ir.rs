//! The intermediate form of one straight-line block: pure values, the steps between which their order matters, and where it goes on.
//!
//! Values are in single-assignment form and numbered in order of creation; a value refers only to older ones. Guest
//! registers and lazy flags are not variables here: the emitter keeps which value each [`Cell`] holds, and writes
//! that map down at every point where compiled code may stop ([`Stop`]). What no step and no final cell needs is
//! therefore dead, or needed only by a stop, without anyone having to look for it.

use cpu::compiled::x87::{C1, X87Operation};
use x86::Width;
use x86::instructions::simd::{ConvertOp, FpOp, Lanes, PackedOp};

use crate::layout::{X87_TOP_MASK, X87_TOP_SHIFT};

/// A 64-bit value, always zero-extended from the width it was made in, or a vector of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Value(pub(crate) u32);

impl Value {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A piece of guest state that compiled code keeps in locals: sixteen general registers, then the others.
pub(crate) type Cell = usize;
pub(crate) const RAX: Cell = 0;
pub(crate) const RCX: Cell = 1;
pub(crate) const RSI: Cell = 6;
pub(crate) const RDI: Cell = 7;
pub(crate) const FLAG_RESULT: Cell = 16;
pub(crate) const FLAG_CARRIES: Cell = 17;
/// While a region runs, the address it was entered at; when it leaves, where the guest goes on.
pub(crate) const RIP: Cell = 18;
/// What [`FLAG_CARRIES`] is while compiled code runs: see [`cpu::compiled::FlagKind`].
pub(crate) const FLAG_KIND: Cell = 19;
/// The first of sixteen XMM registers.
pub(crate) const XMM: Cell = 20;
/// The x87. Its registers are counted from this one.
pub(crate) const X87_BASE: Cell = XMM + 16;
/// How many registers above that one ST(0) is: a constant everywhere.
pub(crate) const X87_DEPTH: Cell = X87_BASE + 1;
/// The status word without TOP and C1; PE is set where [`X87_LOST`] is not zero as well.
pub(crate) const X87_STATUS: Cell = X87_BASE + 2;
pub(crate) const X87_STATUS_BITS: u64 = 0xffff & !(X87_TOP_MASK << X87_TOP_SHIFT | C1 as u64);
pub(crate) const X87_LOST: Cell = X87_BASE + 3;
/// C1 is its lowest bit.
pub(crate) const X87_UP: Cell = X87_BASE + 4;
/// The tag word, with the tag of the register that is counted from in its lowest bits.
pub(crate) const X87_TAGS: Cell = X87_BASE + 5;
/// Which instruction was the last: see [`last_x87`].
pub(crate) const X87_LAST: Cell = X87_BASE + 6;
/// Offset of the last memory operand in its segment, and the segment's number plus one, or 0 where that is told in memory.
pub(crate) const X87_POINTER: Cell = X87_BASE + 7;
pub(crate) const X87_SEGMENT: Cell = X87_BASE + 8;
/// The first of eight registers' significands, exponents (with [`X87_NOT_NORMAL`]), and signs ([`X87_SIGN`] or 0).
pub(crate) const X87_SIGNIFICANDS: Cell = X87_BASE + 9;
pub(crate) const X87_EXPONENTS: Cell = X87_SIGNIFICANDS + 8;
pub(crate) const X87_SIGNS: Cell = X87_EXPONENTS + 8;
/// Number of cells.
pub(crate) const CELLS: usize = X87_SIGNS + 8;

/// The sign of a number of the x87, beside its exponent.
pub(crate) const X87_SIGN: u64 = 0x8000;
/// Beside an exponent: the number has no integer bit, but is not zero.
pub(crate) const X87_NOT_NORMAL: u64 = 0x1_0000;

/// [`X87_LAST`] behind the instruction with this opcode so many bytes from the region's entry. It is 0 where memory tells.
pub(crate) fn last_x87(offset: i64, opcode: u16) -> u64 {
    (offset as u64) << X87_LAST_SHIFT | X87_LAST_KNOWN | u64::from(opcode)
}

/// Parts of [`last_x87`].
pub(crate) const X87_LAST_SHIFT: u32 = 16;
pub(crate) const X87_LAST_OPCODE: u64 = 0x7ff;
const X87_LAST_KNOWN: u64 = 0x8000;

/// The value of every cell at one point of the block.
pub(crate) type Cells = [Value; CELLS];

/// How a value comes about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Node {
    Const(u64),
    /// A cell as the block found it.
    Input(Cell),
    /// Base of a segment register, after so many system instructions.
    SegmentBase(u8, u32),
    /// One of [`cpu::compiled::SegmentEnds`], likewise.
    SegmentEnd(usize, u32),
    /// The carry vector that these inputs stand for, [`FLAG_RESULT`], [`FLAG_CARRIES`] and [`FLAG_KIND`]: see [`cpu::compiled::FlagKind::carries`].
    FoundCarries([Value; 3]),
    /// CF by those.
    FoundCarry([Value; 3]),
    /// Made by a step.
    Product,
    Unary(Unary, Value),
    Binary(Binary, Value, Value),
    /// The second where the first is not zero, else the third.
    Select(Value, Value, Value),
    /// A constant vector: its quadwords, which take less room in a node than one number of 128 bits.
    VectorConst([u64; 2]),
    /// A vector of these operands.
    Vector(Vector, [Value; 3]),
    /// A number from vectors.
    Scalar(Scalar, [Value; 3]),
    /// A floating-point number of the format of these lanes, which are scalar, by itself.
    Float(Float, Lanes, [Value; 2]),
    /// A vector that a step makes.
    VectorProduct,
}

/// What a vector is made of; operands are vectors unless it says otherwise, and those not mentioned are without meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Vector {
    /// Two.
    Packed(PackedOp),
    /// Lanes of the first shifted by this.
    Shift(PackedOp, u8),
    /// The bytes of two, counted through, at these places.
    Shuffle([u8; 16]),
    /// Bits of the first where the third has ones, else of the second.
    BitSelect,
    /// Quadwords, numbers.
    Join,
    /// The first with one quadword, 0 or 1, replaced by the second, a number.
    Replace(u8),
    /// The first with its lowest lane replaced by the second, a floating-point number.
    Insert(Lanes),
    /// The upper lanes of the first operand stay in scalar forms.
    Float(FpOp, Lanes),
    /// All ones where the relation holds; as above.
    Compare(Relation, Lanes),
    Convert(ConvertOp),
    /// All ones where the exponent, biased, of a lane of the first is below the first of these, or not below the second.
    Outside(u16, u16, Lanes),
}

/// What a number is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Scalar {
    /// A quadword.
    Quadword(u8),
    /// The lowest doubleword.
    Doubleword,
    /// The sign bits of lanes of this width.
    Signs(u8),
    /// The bits of a floating-point number.
    Bits(Lanes),
    /// 1 where the relation holds between two floating-point numbers.
    Holds(Relation, Lanes),
    /// One as a 64-bit integer, truncated or rounded to the nearest even; within range, or anything.
    ToInteger(Lanes, bool),
    /// 1 where some bit is one.
    Any,
}

/// What a floating-point number is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Float {
    /// The lowest lane of a vector.
    Lowest,
    /// Two floating-point numbers; a square root has one.
    Operation(FpOp),
    /// One of the other format.
    Converted,
    /// A signed number.
    FromInteger,
}

/// A relation of floating-point numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    NotEqual,
    NotLess,
    NotLessOrEqual,
}

/// One operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Unary {
    /// Sign-extends from this width (not 64) to 64 bits.
    SignExtend(Width),
    TrailingZeros,
    LeadingZeros,
    Ones,
}

/// Two operands, in 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    MulHighUnsigned,
    MulHighSigned,
    /// Division: only behind a guard that the divisor is not zero (and the quotient fits).
    DivUnsigned,
    DivSigned,
    RemUnsigned,
    RemSigned,
    And,
    Or,
    Xor,
    Shl,
    ShrUnsigned,
    ShrSigned,
    /// In the low 32 bits, which are all there is of the first operand.
    RotateLeft32,
    RotateLeft64,
    Equal,
    NotEqual,
    Below,
    BelowOrEqual,
    Less,
    LessOrEqual,
}

impl Binary {
    /// Gives 0 or 1.
    pub(crate) fn is_comparison(self) -> bool {
        use Binary::{Below, BelowOrEqual, Equal, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Below | BelowOrEqual | Less | LessOrEqual)
    }
}

/// A memory access: width and linear address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) width: Width,
    pub(crate) address: Value,
}

/// A number of the guest's state that is always in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub(crate) width: Width,
    /// Bytes from the address of the state,
    pub(crate) offset: u64,
    /// and more of them, where it is one of several.
    pub(crate) place: Option<Value>,
}

/// What a [`Step::X87Nearest`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nearest {
    Sum,
    Difference,
    Product,
}

/// A rounded number of the x87.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded {
    pub(crate) significand: Value,
    pub(crate) exponent: Value,
    pub(crate) sign: Value,
    /// Not zero where it is not exact.
    pub(crate) lost: Value,
    /// Its lowest bit is one where it is further from zero.
    pub(crate) up: Value,
}

/// Something that must happen in its place.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Leaves the region, at the stop, where the TLB does not cover the access.
    Load {
        access: Access,
        value: Value,
        fault: StopId,
    },
    /// First half of a read-modify-write; leaves where a write would.
    LoadForWrite {
        access: Access,
        value: Value,
        fault: StopId,
    },
    Store {
        access: Access,
        value: Value,
        fault: StopId,
    },
    /// Second half of the read-modify-write that came last.
    StoreBack {
        width: Width,
        value: Value,
    },
    /// Leaves the region where one of these bits of [`cpu::compiled::Context::disabled`] is set.
    Require {
        enabled: u32,
        stop: StopId,
    },
    /// Sets this bit of it where the value is 1, and clears it where that is 0.
    SetDisabled {
        bit: u32,
        value: Value,
    },
    /// Leaves where string instructions go down: EFLAGS.DF is set.
    RequireUpwards {
        stop: StopId,
    },
    /// Bytes at a linear address, into a vector's low end; they must be aligned where `aligned` says so.
    LoadVector {
        address: Value,
        bytes: u64,
        aligned: bool,
        value: Value,
        fault: StopId,
    },
    /// 16 bytes.
    StoreVector {
        address: Value,
        aligned: bool,
        value: Value,
        fault: StopId,
    },
    /// Leaves where a store of 16 bytes would.
    ProbeVector {
        address: Value,
        fault: StopId,
    },
    /// Bits 255:128 of a YMM register, which stay in memory.
    LoadHigh {
        register: u8,
        value: Value,
    },
    StoreHigh {
        register: u8,
        value: Value,
    },
    LoadField {
        field: Field,
        value: Value,
    },
    StoreField {
        field: Field,
        value: Value,
    },
    /// Guest time when the block began.
    ReadTime {
        value: Value,
    },
    /// Arithmetic of the x87, by a helper without effects: see [`cpu::compiled::x87`].
    X87 {
        operation: X87Operation,
        operands: [Value; 3],
        result: Value,
        rest: Value,
    },
    /// Arithmetic of the x87 in the usual case (see `codegen/x87.rs`): of significand, exponent and sign of two numbers. What was
    /// lost before is the last operand.
    X87Nearest {
        operation: Nearest,
        operands: [Value; 7],
        result: Rounded,
    },
    /// Stops where `condition` is not zero.
    Guard {
        condition: Value,
        stop: StopId,
    },
    /// The 128-by-64-bit division, which WebAssembly does not have.
    DivideWide {
        signed: bool,
        operands: [Value; 3],
        quotient: Value,
        remainder: Value,
        fault: StopId,
    },
    /// Clears and sets flags that are not status flags.
    SetFlags {
        clear: u64,
        set: u64,
    },
    /// SWAPGS.
    SwapGs,
    /// Begins the interrupt shadow of an STI, if IF is clear.
    BeginShadow,
    /// Ends it.
    EndShadow,
    /// Leaves where an interrupt waits and may come.
    LetInterrupt {
        after: StopId,
    },
    /// The TLB's tables are others, as EFLAGS.AC wants.
    SelectView,
    /// An instruction that is not compiled, run by a helper.
    Interpret(Box<Interpreted>),
}

/// Who runs an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Helper {
    /// A vector or x87 instruction, or a general one.
    Interpret,
    /// A system instruction: after it the TLB's tables may be others.
    System,
    /// A repeated string instruction: where it faults, part of it is done.
    Repeat,
    /// One that transfers control.
    Transfer,
}

/// See [`Step::Interpret`].
#[derive(Clone, Debug)]
pub(crate) struct Interpreted {
    /// Its number in the block.
    pub(crate) op: usize,
    pub(crate) helper: Helper,
    /// Cells the helper has to find in memory.
    pub(crate) stored: Vec<(Cell, Value)>,
    /// Nothing happens where this is zero.
    pub(crate) count: Option<Value>,
    /// Cells it may change there: what they hold before, and after.
    pub(crate) loaded: Vec<(Cell, Value, Value)>,
    pub(crate) fault: StopId,
    /// Where it leaves when code, lines or mappings may have changed: behind the instruction.
    pub(crate) after: StopId,
}

/// Index of a [`Stop`].
pub(crate) type StopId = usize;

/// A point where compiled code may leave the block: the guest state it leaves behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Where the values of the cells begin among those of all stops: see [`crate::emitter::Block::cells_at`].
    pub(crate) cells: usize,
    /// Instructions of the block completed.
    pub(crate) retired: u16,
    /// A condition that is looked at there, where the guard's holds: the block goes on where this is zero.
    pub(crate) doubt: Option<Value>,
    /// The guest goes back to the start of the block, whose cells nobody has changed yet, instead: see [`Again`].
    pub(crate) restarts: bool,
    /// XMM registers, a bit each, of which the block has cleared what waits beside them: see [`crate::scalars`].
    pub(crate) cleared: u16,
}

/// What it means for a step to be done again, together with all before it.
///
/// As long as nothing speaks against it, a block that stops is begun again, by the interpreter, which gets to the same place: nothing has to be put in
/// order for that. An interrupt cannot come between: who leaves this way is interpreted at once. So flags that nobody reads before they are
/// set may be wrong there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    /// It makes the same of the same.
    Same,
    /// The same, of what memory holds.
    Reads,
    /// It puts the same into memory: that is no change, unless something before it read there.
    Writes,
    /// It must not be.
    Never,
}

/// Where a block goes on. Offsets are from the address the region was entered at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Goto(i64),
    /// To the first where the condition is not zero, else to the second.
    Branch(Value, [i64; 2]),
    /// Where cell [`RIP`] says.
    Dynamic,
}

impl Step {
    /// See [`Again`].
    pub(crate) fn again(&self) -> Again {
        match self {
            Step::Guard { .. } | Step::Require { .. } | Step::RequireUpwards { .. } | Step::ProbeVector { .. } => {
                Again::Same
            }
            Step::DivideWide { .. } | Step::X87 { .. } | Step::X87Nearest { .. } => Again::Same,
            Step::ReadTime { .. } => Again::Same,
            Step::Load { .. } | Step::LoadForWrite { .. } | Step::LoadVector { .. } => Again::Reads,
            Step::LoadHigh { .. } | Step::LoadField { .. } => Again::Reads,
            Step::Store { .. } | Step::StoreBack { .. } | Step::StoreVector { .. } => Again::Writes,
            Step::StoreHigh { .. } | Step::StoreField { .. } | Step::SetDisabled { .. } => Again::Writes,
            Step::SetFlags { .. } | Step::SwapGs => Again::Never,
            Step::BeginShadow | Step::EndShadow | Step::LetInterrupt { .. } | Step::SelectView => Again::Never,
            Step::Interpret(_) => Again::Never,
        }
    }

    /// Calls `ask` with the values the step uses.
    pub(crate) fn for_operands(&self, mut ask: impl FnMut(Value)) {
        match *self {
            Step::Interpret(ref interpreted) => {
                interpreted.count.into_iter().chain(interpreted.stored.iter().map(|&(_, value)| value)).for_each(ask);
            }
            Step::Load { access, .. } | Step::LoadForWrite { access, .. } => ask(access.address),
            Step::Store { access, value, .. } => [access.address, value].into_iter().for_each(ask),
            Step::StoreBack { value, .. } | Step::SetDisabled { value, .. } => ask(value),
            Step::Guard { condition, .. } => ask(condition),
            Step::Require { .. } | Step::RequireUpwards { .. } | Step::LoadHigh { .. } => {}
            Step::SetFlags { .. } | Step::SwapGs | Step::ReadTime { .. } => {}
            Step::BeginShadow | Step::EndShadow | Step::LetInterrupt { .. } | Step::SelectView => {}
            Step::LoadVector { address, .. } | Step::ProbeVector { address, .. } => ask(address),
            Step::StoreVector { address, value, .. } => [address, value].into_iter().for_each(ask),
            Step::StoreHigh { value, .. } => ask(value),
            Step::DivideWide { operands, .. } | Step::X87 { operands, .. } => operands.into_iter().for_each(ask),
            Step::X87Nearest { operands, .. } => operands.into_iter().for_each(ask),
            Step::LoadField { field, .. } => field.place.into_iter().for_each(ask),
            Step::StoreField { field, value } => field.place.into_iter().chain([value]).for_each(ask),
        }
    }

    /// Where the step may leave the block.
    pub(crate) fn all_stops(&self) -> impl Iterator<Item = StopId> {
        let interpreted = match *self {
            Step::Interpret(ref interpreted) => [Some(interpreted.fault), Some(interpreted.after)],
            _ => [None; 2],
        };
        self.stops().chain(interpreted.into_iter().flatten())
    }

    /// It leaves the block only where the TLB does not cover its access.
    pub(crate) fn leaves_by_tlb_only(&self) -> bool {
        match *self {
            Step::LoadVector { aligned, .. } | Step::StoreVector { aligned, .. } => !aligned,
            Step::Load { .. } | Step::LoadForWrite { .. } | Step::Store { .. } | Step::ProbeVector { .. } => true,
            _ => false,
        }
    }

    /// Where the step may leave the block, with values that are there before it.
    pub(crate) fn stops(&self) -> impl Iterator<Item = StopId> {
        let stops = match *self {
            Step::Load { fault, .. }
            | Step::LoadForWrite { fault, .. }
            | Step::Store { fault, .. }
            | Step::DivideWide { fault, .. } => Some(fault),
            Step::LoadVector { fault, .. } | Step::StoreVector { fault, .. } | Step::ProbeVector { fault, .. } => {
                Some(fault)
            }
            Step::StoreBack { .. } | Step::LoadHigh { .. } | Step::StoreHigh { .. } => None,
            Step::LoadField { .. } | Step::StoreField { .. } | Step::ReadTime { .. } => None,
            Step::SetDisabled { .. } => None,
            Step::X87 { .. } | Step::X87Nearest { .. } => None,
            Step::SetFlags { .. } | Step::SwapGs | Step::BeginShadow | Step::EndShadow | Step::SelectView => None,
            Step::LetInterrupt { after } => Some(after),
            Step::Guard { stop, .. } | Step::Require { stop, .. } | Step::RequireUpwards { stop } => Some(stop),
            // What it leaves with, an instruction may have made.
            Step::Interpret(_) => None,
        };
        stops.into_iter()
    }
}

impl Node {
    /// Calls `ask` with the values the node is made of.
    pub(crate) fn for_operands(&self, mut ask: impl FnMut(Value)) {
        match *self {
            Node::Const(_) | Node::Input(_) | Node::SegmentBase(..) | Node::SegmentEnd(..) | Node::Product => {}
            Node::VectorConst(_) | Node::VectorProduct => {}
            Node::FoundCarries(inputs) | Node::FoundCarry(inputs) => inputs.into_iter().for_each(ask),
            Node::Vector(vector, operands) => operands.into_iter().take(vector.operands()).for_each(ask),
            Node::Scalar(scalar, operands) => operands.into_iter().take(scalar.operands()).for_each(ask),
            Node::Float(float, _, operands) => operands.into_iter().take(float.operands()).for_each(ask),
            Node::Unary(_, a) => ask(a),
            Node::Binary(_, a, b) => [a, b].into_iter().for_each(ask),
            Node::Select(condition, a, b) => [condition, a, b].into_iter().for_each(ask),
        }
    }
}

impl Vector {
    fn operands(self) -> usize {
        match self {
            Vector::Shift(..) | Vector::Outside(..) => 1,
            Vector::BitSelect => 3,
            _ => 2,
        }
    }
}

impl Float {
    fn operands(self) -> usize {
        match self {
            Float::Operation(op) if op != FpOp::Sqrt => 2,
            _ => 1,
        }
    }
}

impl Scalar {
    fn operands(self) -> usize {
        match self {
            Scalar::Holds(..) => 2,
            _ => 1,
        }
    }
}

impl Node {
    /// A vector, not a number.
    pub(crate) fn is_vector(&self) -> bool {
        match *self {
            Node::Input(cell) => (XMM..X87_BASE).contains(&cell),
            Node::VectorConst(_) | Node::Vector(..) | Node::VectorProduct => true,
            _ => false,
        }
    }
}

//! MMX and SSE to SSE4.2 (Intel SDM vol. 1, chapters 9 to 12): rows and semantics for every engine.
//!
//! What computes lanes is a [`PackedOp`] or one of its relatives, which an engine maps to whatever it has; the pure functions in
//! [`lanes`] are their definition. What this module's semantics add is where operands come from and go to.

mod convert;
mod float;
mod kinds;
pub mod lanes;
mod moves;
mod packed;
mod state;
mod strings;

pub use kinds::{BlendOp, ConvertOp, FpOp, Lanes, PackedImmOp, PackedOp, StringOp};

use crate::{Engine, Form, Op, Row, Width};

/// What a vector instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Simd {
    /// First operand = operation of first and second.
    Packed(PackedOp),
    /// The same on MMX registers.
    PackedMmx(PackedOp),
    /// First operand = operation of first, second and the immediate.
    PackedImm(PackedImmOp),
    /// The same on MMX registers.
    PackedImmMmx(PackedImmOp),
    /// A shift by an immediate.
    Shift(PackedOp),
    /// The same on MMX registers.
    ShiftMmx(PackedOp),
    /// A blend by XMM0.
    Blend(BlendOp),
    /// Floating point, in these lanes.
    Float(FloatOp),
    /// A conversion between XMM registers.
    Convert(ConvertOp),
    /// A conversion from MMX to XMM.
    ConvertFromMmx(ConvertOp),
    /// A conversion from XMM to MMX.
    ConvertToMmx(ConvertOp),
    /// `CVTSI2SS`, `CVTSI2SD`.
    IntegerToScalar(Lanes),
    /// `CVTSS2SI`, `CVTSD2SI`.
    ScalarToInteger(Lanes),
    /// `CVTTSS2SI`, `CVTTSD2SI`.
    ScalarToIntegerTruncating(Lanes),
    /// `COMISS`, `COMISD`.
    CompareOrdered(Lanes),
    /// `UCOMISS`, `UCOMISD`.
    CompareUnordered(Lanes),
    /// `PCMPESTRI` and its family.
    String(StringOp),
    /// `PTEST`.
    Ptest,
    /// `MOVMSKPS`, `MOVMSKPD`, `PMOVMSKB`: sign bits of lanes of this width in bits.
    SignMask(u8),
    /// `PMOVMSKB` of an MMX register.
    SignMaskMmx,
    /// Whole registers; memory must be aligned.
    Move,
    /// Whole registers; memory need not be aligned.
    MoveUnaligned,
    /// `MOVQ mm`, `MOVNTQ`.
    MoveMmx,
    /// `MOVSS`, `MOVSD` by lane.
    MoveScalar(Lanes),
    /// `MOVQ xmm`: the upper half is cleared.
    MoveQuadword,
    /// `MOVLPS`, `MOVLPD`.
    MoveLow,
    /// `MOVHPS`, `MOVHPD`.
    MoveHigh,
    /// `MOVD`, `MOVQ` from a general register or memory.
    MoveFromGeneral,
    /// The same to an MMX register.
    MoveFromGeneralMmx,
    /// `MOVD`, `MOVQ` to a general register or memory.
    MoveToGeneral,
    /// The same from an MMX register.
    MoveToGeneralMmx,
    /// `MOVQ2DQ`.
    Movq2dq,
    /// `MOVDQ2Q`.
    Movdq2q,
    /// `MASKMOVDQU`.
    Maskmovdqu,
    /// `MASKMOVQ`.
    Maskmovq,
    /// `PINSRB`, `PINSRW`, `PINSRD`, `PINSRQ`: lanes of 8 to 64 bits.
    Insert(Width),
    /// `PINSRW` of an MMX register.
    InsertMmx,
    /// `PEXTRB`, `PEXTRW`, `PEXTRD`, `PEXTRQ`, `EXTRACTPS`.
    Extract(Width),
    /// `PEXTRW` of an MMX register.
    ExtractMmx,
    /// `EMMS`.
    Emms,
    /// `LDMXCSR`.
    Ldmxcsr,
    /// `STMXCSR`.
    Stmxcsr,
}

/// A floating-point operation in some lanes, in one byte: the operation times four, plus the lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FloatOp(u8);

impl FloatOp {
    /// `op` in `lanes`.
    #[must_use]
    pub const fn new(op: FpOp, lanes: Lanes) -> FloatOp {
        FloatOp(op as u8 * 4 + lanes as u8)
    }

    /// The operation.
    #[must_use]
    pub const fn op(self) -> FpOp {
        float::OPERATIONS[(self.0 / 4) as usize]
    }

    /// The lanes.
    #[must_use]
    pub const fn lanes(self) -> Lanes {
        [Lanes::Ps, Lanes::Pd, Lanes::Ss, Lanes::Sd][(self.0 % 4) as usize]
    }
}

/// Rows of all vector instructions.
pub const ROWS: &[&[Row]] = &[
    moves::ROWS,
    packed::LANES,
    packed::LANES_MMX,
    packed::WITH_IMMEDIATE,
    packed::ELEMENTS,
    float::ROWS,
    convert::ROWS,
    strings::ROWS,
    state::ROWS,
];

/// What vector semantics may ask of an engine beyond [`Engine`].
pub trait VectorEngine: Engine {
    /// A 128-bit value.
    type X: Copy;

    /// Whether SSE instructions may run: CR0.EM, CR4.OSFXSR, CR0.TS (Intel SDM vol. 3, table 2-2).
    ///
    /// # Errors
    /// #UD or #NM.
    fn sse_enabled(&mut self) -> Result<(), Self::Stop>;
    /// Whether MMX instructions may run: CR0.EM, CR0.TS, and no x87 exception waiting (Intel SDM vol. 3, table 12-1).
    ///
    /// # Errors
    /// #UD, #NM or #MF.
    fn mmx_enabled(&mut self) -> Result<(), Self::Stop>;

    /// Reads an XMM register.
    fn xmm(&mut self, register: u8) -> Self::X;
    /// Writes an XMM register.
    fn set_xmm(&mut self, register: u8, value: Self::X);
    /// Reads an MMX register.
    fn mmx(&mut self, register: u8) -> Self::V;
    /// Writes an MMX register: the exponent of the x87 register it is part of becomes all ones.
    fn set_mmx(&mut self, register: u8, value: Self::V);
    /// What every MMX instruction but `EMMS` does to the x87: TOP is 0, all registers are in use.
    fn enter_mmx(&mut self);
    /// `EMMS`: all x87 registers are empty.
    fn leave_mmx(&mut self);

    /// Reads the 16 bytes of the memory operand.
    ///
    /// # Errors
    /// The access faults; with `aligned`, #GP(0) where it is not on a 16-byte boundary.
    fn load_vector(&mut self, op: &Op, aligned: bool) -> Result<Self::X, Self::Stop>;
    /// Writes the 16 bytes of the memory operand.
    ///
    /// # Errors
    /// As [`VectorEngine::load_vector`]; nothing is written.
    fn store_vector(&mut self, op: &Op, aligned: bool, value: Self::X) -> Result<(), Self::Stop>;
    /// Writes those of the memory operand's `bytes` (8 or 16) bytes whose byte in `mask` has its top bit set.
    ///
    /// # Errors
    /// The access faults; nothing is written.
    fn store_masked(&mut self, op: &Op, bytes: u8, value: Self::X, mask: Self::X) -> Result<(), Self::Stop>;

    /// A 128-bit value of two halves.
    fn join(&mut self, low: Self::V, high: Self::V) -> Self::X;
    /// Bits 63:0.
    fn low(&mut self, value: Self::X) -> Self::V;
    /// Bits 127:64.
    fn high(&mut self, value: Self::X) -> Self::V;
    /// The sign bits of the lanes, `bits` wide, in order.
    fn sign_mask(&mut self, bits: u8, value: Self::X) -> Self::V;

    /// See [`PackedOp`].
    fn packed(&mut self, op: PackedOp, a: Self::X, b: Self::X) -> Self::X;
    /// See [`PackedImmOp`].
    fn packed_imm(&mut self, op: PackedImmOp, a: Self::X, b: Self::X, imm: u8) -> Self::X;
    /// Lanes of `b` where `mask` has its sign set, else of `a`.
    fn blend(&mut self, op: BlendOp, a: Self::X, b: Self::X, mask: Self::X) -> Self::X;
    /// A string comparison of `a` (with its length in elements, where the instruction takes lengths) with `b`: the result,
    /// an index or a mask, and the status flags in their EFLAGS positions.
    fn string_compare(
        &mut self,
        op: StringOp,
        a: (Self::X, Self::V),
        b: (Self::X, Self::V),
        imm: u8,
    ) -> (Self::X, Self::V);

    /// See [`FpOp`].
    ///
    /// # Errors
    /// #XM (or #UD, CR4.OSXMMEXCPT) for an unmasked exception; MXCSR has the flags then too.
    fn float(&mut self, op: FloatOp, a: Self::X, b: Self::X, imm: u8) -> Result<Self::X, Self::Stop>;
    /// Compares the lowest lanes: ZF, PF and CF in their EFLAGS positions.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn compare(&mut self, lanes: Lanes, quiet: bool, a: Self::X, b: Self::X) -> Result<Self::V, Self::Stop>;
    /// See [`ConvertOp`].
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn convert(&mut self, op: ConvertOp, a: Self::X, b: Self::X) -> Result<Self::X, Self::Stop>;
    /// `a` with its lowest lane replaced by a signed integer of width `w`, converted.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn integer_to_lane(&mut self, lanes: Lanes, w: Width, a: Self::X, integer: Self::V) -> Result<Self::X, Self::Stop>;
    /// The lowest lane as a signed integer of width `w`.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn lane_to_integer(&mut self, lanes: Lanes, w: Width, truncate: bool, a: Self::X) -> Result<Self::V, Self::Stop>;

    /// Reads MXCSR.
    fn mxcsr(&mut self) -> Self::V;
    /// Writes MXCSR.
    ///
    /// # Errors
    /// A reserved bit is set: #GP(0).
    fn set_mxcsr(&mut self, value: Self::V) -> Result<(), Self::Stop>;
}

/// Performs `simd`.
///
/// # Errors
/// The instruction faults.
pub fn execute<E: VectorEngine>(e: &mut E, op: &Op, simd: Simd) -> Result<(), E::Stop> {
    match simd {
        Simd::Packed(kind) => packed::packed(e, op, kind),
        Simd::PackedMmx(kind) => packed::packed_mmx(e, op, kind),
        Simd::PackedImm(kind) => packed::packed_imm(e, op, kind),
        Simd::PackedImmMmx(kind) => packed::packed_imm_mmx(e, op, kind),
        Simd::Shift(kind) => packed::shift(e, op, kind),
        Simd::ShiftMmx(kind) => packed::shift_mmx(e, op, kind),
        Simd::Blend(kind) => packed::blend(e, op, kind),
        Simd::Float(kind) => float::float(e, op, kind),
        Simd::CompareOrdered(lanes) => float::compare(e, op, lanes, false),
        Simd::CompareUnordered(lanes) => float::compare(e, op, lanes, true),
        Simd::Convert(kind) => convert::convert(e, op, kind),
        Simd::ConvertFromMmx(kind) => convert::from_mmx(e, op, kind),
        Simd::ConvertToMmx(kind) => convert::to_mmx(e, op, kind),
        Simd::IntegerToScalar(lanes) => convert::from_integer(e, op, lanes),
        Simd::ScalarToInteger(lanes) => convert::to_integer(e, op, lanes, false),
        Simd::ScalarToIntegerTruncating(lanes) => convert::to_integer(e, op, lanes, true),
        Simd::String(kind) => strings::compare(e, op, kind),
        Simd::Ptest => packed::ptest(e, op),
        Simd::SignMask(bits) => packed::sign_mask(e, op, bits),
        Simd::SignMaskMmx => packed::sign_mask_mmx(e, op),
        Simd::Move => moves::whole(e, op, true),
        Simd::MoveUnaligned => moves::whole(e, op, false),
        Simd::MoveMmx => moves::mmx(e, op),
        Simd::MoveScalar(lanes) => moves::scalar(e, op, lanes),
        Simd::MoveQuadword => moves::quadword(e, op),
        Simd::MoveLow => moves::half(e, op, false),
        Simd::MoveHigh => moves::half(e, op, true),
        Simd::MoveFromGeneral => moves::from_general(e, op),
        Simd::MoveFromGeneralMmx => moves::from_general_mmx(e, op),
        Simd::MoveToGeneral => moves::to_general(e, op),
        Simd::MoveToGeneralMmx => moves::to_general_mmx(e, op),
        Simd::Movq2dq => moves::movq2dq(e, op),
        Simd::Movdq2q => moves::movdq2q(e, op),
        Simd::Maskmovdqu => moves::maskmovdqu(e, op),
        Simd::Maskmovq => moves::maskmovq(e, op),
        Simd::Insert(w) => packed::insert(e, op, w),
        Simd::InsertMmx => packed::insert_mmx(e, op),
        Simd::Extract(w) => packed::extract(e, op, w),
        Simd::ExtractMmx => packed::extract_mmx(e, op),
        Simd::Emms => state::emms(e),
        Simd::Ldmxcsr => state::ldmxcsr(e, op),
        Simd::Stmxcsr => state::stmxcsr(e, op),
    }
}

/// Reads the second operand: an XMM register, or as many bytes of memory as the row says, zero-extended; 16 of them have to be
/// aligned (Intel SDM vol. 1, 4.1.1).
fn source<E: VectorEngine>(e: &mut E, op: &Op) -> Result<E::X, E::Stop> {
    if op.form != Form::Rm {
        return Ok(e.xmm(op.src));
    }
    if op.memory_bytes == 16 {
        return e.load_vector(op, true);
    }
    let width = memory_width(op);
    let low = e.load(width, op)?;
    Ok(zero_extended(e, low))
}

/// Reads the second operand of an MMX instruction.
fn source_mmx<E: VectorEngine>(e: &mut E, op: &Op) -> Result<E::V, E::Stop> {
    if op.form == Form::Rm { e.load(memory_width(op), op) } else { Ok(e.mmx(op.src)) }
}

fn memory_width(op: &Op) -> Width {
    Width::from_bytes(u64::from(op.memory_bytes)).unwrap_or(Width::W64)
}

fn zero_extended<E: VectorEngine>(e: &mut E, low: E::V) -> E::X {
    let none = e.imm(0);
    e.join(low, none)
}

/// `value` with its low half replaced.
fn with_low<E: VectorEngine>(e: &mut E, value: E::X, low: E::V) -> E::X {
    let high = e.high(value);
    e.join(low, high)
}

/// Sets all six status flags from their EFLAGS positions.
fn set_status<E: Engine>(e: &mut E, eflags: E::V) {
    use crate::flags::carries_from;
    let bit = |e: &mut E, number: u64| {
        let number = e.imm(number);
        let moved = e.shr(eflags, number);
        let one = e.imm(1);
        e.and(moved, one)
    };
    let (carry, parity, zero) = (bit(e, 0), bit(e, 2), bit(e, 6));
    let (sign, overflow) = (bit(e, 7), bit(e, 11));
    let one = e.imm(1);
    // A result of 0 or 1: its sign is clear, its parity even exactly when it is zero. Bits 0 and 1 of the carries invert those.
    let result = e.xor(zero, one);
    let inverted = e.xor(parity, zero);
    let inverted = e.shl(Width::W64, inverted, one);
    let carries = carries_from(e, carry, overflow);
    let carries = e.or(carries, sign);
    let carries = e.or(carries, inverted);
    e.set_flags(result, carries);
}

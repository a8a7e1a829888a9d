//! MMX, SSE to SSE4.2, AVX, AVX2, FMA and F16C, AES, SHA and carry-less multiplication (Intel SDM vol. 1, chapters 9 to 14): rows and
//! semantics for every engine.
//!
//! A VEX encoding of 128 bits runs through the same functions as the encoding it extends: `enabled`, `first` and
//! `set_vector` know the difference. One of 256 bits does lane by lane what that does (`wide`).
//!
//! What computes lanes is a [`PackedOp`] or one of its relatives, which an engine maps to whatever it has; the pure functions in
//! [`lanes`] are their definition. What this module's semantics add is where operands come from and go to.

mod avx;
mod convert;
mod crypto;
mod engine;
mod float;
mod fused;

mod kinds;
pub mod lanes;
mod moves;
mod packed;
mod state;
mod strings;
mod vex;
mod wide;

pub use engine::VectorEngine;
pub use fused::FmaOp;
pub use kinds::{ConvertOp, FmaKind, FmaOrder, FpOp, GatherOp, Lanes, PackedImmOp, PackedOp, StringOp, TernaryOp};

use super::{Family, family};
use crate::{Form, Op, Vex, Width};

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
    /// First operand = operation of first, second and XMM0, or the register the immediate names.
    Ternary(TernaryOp),
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
    /// A fused multiplication and addition.
    Fused(FmaOp),
    /// `VBROADCASTSS` and its family: the lowest element, of this width, everywhere.
    Broadcast(Width),
    /// `VBROADCASTF128`, `VBROADCASTI128`.
    BroadcastHalf,
    /// `VINSERTF128`, `VINSERTI128`.
    InsertHalf,
    /// `VEXTRACTF128`, `VEXTRACTI128`.
    ExtractHalf,
    /// `VPERM2F128`, `VPERM2I128`.
    PermuteHalves,
    /// `VPERMQ`, `VPERMPD`.
    PermuteQuadwords,
    /// `VPERMD`, `VPERMPS`.
    PermuteDwords,
    /// `VTESTPS`, `VTESTPD`: lanes of this width in bits.
    TestSigns(u8),
    /// `VMASKMOVPS`, `VPMASKMOVD` and the others, from memory.
    MaskedLoad(Width),
    /// The same to memory.
    MaskedStore(Width),
    /// `VGATHERDPS` and its family.
    Gather(GatherOp),
    /// `VCVTPH2PS`.
    HalfToSingle,
    /// `VCVTPS2PH`.
    SingleToHalf,
    /// `VZEROUPPER`.
    Vzeroupper,
    /// `VZEROALL`.
    Vzeroall,
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
pub(super) const FAMILIES: &[Family] = &[
    family("simd/moves", &[moves::ROWS]),
    family("simd/packed", &[packed::LANES, packed::LANES_MMX, packed::WITH_IMMEDIATE, packed::ELEMENTS]),
    family("simd/float", &[float::ROWS]),
    family("simd/convert", &[convert::ROWS]),
    family("simd/strings", &[strings::ROWS]),
    family("simd/state", &[state::ROWS]),
    family("simd/crypto", &[crypto::ROWS]),
    family("simd/fused", &[fused::ROWS_128, fused::ROWS_256, fused::SCALARS]),
    family(
        "simd/vex",
        &[
            vex::INTEGERS_128,
            vex::INTEGERS_256,
            vex::FLOATS_128,
            vex::FLOATS_256,
            vex::ONLY_128,
            vex::ONLY_256,
            vex::SCALARS,
            vex::TO_FLAGS,
            vex::ELEMENTS,
            vex::STATE,
        ],
    ),
    family(
        "simd/avx",
        &[
            avx::AVX_128,
            avx::AVX_256,
            avx::AVX2_128,
            avx::AVX2_256,
            avx::F16C_128,
            avx::F16C_256,
            avx::HALVES,
            avx::HALVES_2,
        ],
    ),
];

/// Performs `simd`.
///
/// # Errors
/// The instruction faults.
pub fn execute<E: VectorEngine>(e: &mut E, op: &Op, simd: Simd) -> Result<(), E::Stop> {
    if op.vex == Vex::L256 {
        return wide::execute(e, op, simd);
    }
    match simd {
        Simd::Packed(kind) => packed::packed(e, op, kind),
        Simd::PackedMmx(kind) => packed::packed_mmx(e, op, kind),
        Simd::PackedImm(kind) => packed::packed_imm(e, op, kind),
        Simd::PackedImmMmx(kind) => packed::packed_imm_mmx(e, op, kind),
        Simd::Shift(kind) => packed::shift(e, op, kind),
        Simd::ShiftMmx(kind) => packed::shift_mmx(e, op, kind),
        Simd::Ternary(kind) => packed::ternary(e, op, kind),
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
        _ => {
            e.avx_enabled()?;
            avx::execute(e, op, simd)
        }
    }
}

/// Whether the instruction may run, in its encoding.
fn enabled<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    if op.vex == Vex::None { e.sse_enabled() } else { e.avx_enabled() }
}

/// Reads the first operand: the destination or, with a VEX prefix, the register that names.
fn first<E: VectorEngine>(e: &mut E, op: &Op) -> E::X {
    e.xmm(if op.vex == Vex::None { op.dst } else { op.aux })
}

/// Writes a vector register: a VEX prefix clears what is above 128 bits, without one it is kept (Intel SDM vol. 1, 14.2.2).
fn set_vector<E: VectorEngine>(e: &mut E, op: &Op, register: u8, value: E::X) {
    e.set_xmm(register, value);
    if op.vex != Vex::None {
        let zero = e.imm(0);
        let none = e.join(zero, zero);
        e.set_ymm_high(register, none);
    }
}

/// Reads the second operand: an XMM register, or as many bytes of memory as the row says, zero-extended; 16 of them have to be
/// aligned where there is no VEX prefix (Intel SDM vol. 1, 4.1.1 and 14.9).
fn source<E: VectorEngine>(e: &mut E, op: &Op) -> Result<E::X, E::Stop> {
    if op.form != Form::Rm {
        return Ok(e.xmm(op.src));
    }
    if op.memory_bytes == 16 {
        return e.load_vector(op, op.vex == Vex::None);
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

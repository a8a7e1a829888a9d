//! What the semantics of vector instructions ask of an engine.

use super::{ConvertOp, FloatOp, FmaOp, GatherOp, Lanes, PackedImmOp, PackedOp, StringOp, TernaryOp};
use crate::{Engine, Op, Width};

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

    /// Whether VEX-encoded vector instructions may run: CR4.OSXSAVE, XCR0, CR0.TS (Intel SDM vol. 2, 2.4.3).
    ///
    /// # Errors
    /// #UD or #NM.
    fn avx_enabled(&mut self) -> Result<(), Self::Stop>;

    /// Reads an XMM register.
    fn xmm(&mut self, register: u8) -> Self::X;
    /// Writes an XMM register.
    fn set_xmm(&mut self, register: u8, value: Self::X);
    /// Reads bits 255:128 of a YMM register.
    fn ymm_high(&mut self, register: u8) -> Self::X;
    /// Writes bits 255:128 of a YMM register.
    fn set_ymm_high(&mut self, register: u8, value: Self::X);
    /// `VZEROUPPER` and, with `whole`, `VZEROALL`, of the registers the mode has.
    fn clear_vectors(&mut self, whole: bool);
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

    /// Reads the 32 bytes of the memory operand.
    ///
    /// # Errors
    /// The access faults; with `aligned`, #GP(0) where it is not on a 32-byte boundary.
    fn load_wide(&mut self, op: &Op, aligned: bool) -> Result<[Self::X; 2], Self::Stop>;
    /// Writes the 32 bytes of the memory operand.
    ///
    /// # Errors
    /// As [`VectorEngine::load_wide`]; nothing is written.
    fn store_wide(&mut self, op: &Op, aligned: bool, value: [Self::X; 2]) -> Result<(), Self::Stop>;
    /// Reads the 8 bytes of the memory operand, whose alignment is never checked.
    ///
    /// # Errors
    /// The access faults.
    fn load_quadword(&mut self, op: &Op) -> Result<Self::V, Self::Stop>;
    /// Writes the 8 bytes of the memory operand, whose alignment is never checked.
    ///
    /// # Errors
    /// The access faults; nothing is written.
    fn store_quadword(&mut self, op: &Op, value: Self::V) -> Result<(), Self::Stop>;
    /// Reads those elements of the memory operand whose lane in `mask` has its sign set; the others are zero, and are not touched.
    ///
    /// # Errors
    /// The access to one of them faults.
    fn load_elements(&mut self, op: &Op, w: Width, mask: [Self::X; 2]) -> Result<[Self::X; 2], Self::Stop>;
    /// Writes those elements of the memory operand whose lane in `mask` has its sign set.
    ///
    /// # Errors
    /// The access to one of them faults; nothing is written.
    fn store_elements(&mut self, op: &Op, w: Width, mask: [Self::X; 2], value: [Self::X; 2]) -> Result<(), Self::Stop>;
    /// A gather: destination, index and mask are registers of the op. It may fault with a part of it done, which the mask shows.
    ///
    /// # Errors
    /// The access to an element faults.
    fn gather(&mut self, op: &Op, kind: GatherOp) -> Result<(), Self::Stop>;

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
    /// See [`TernaryOp`].
    fn ternary(&mut self, op: TernaryOp, a: Self::X, b: Self::X, c: Self::X) -> Self::X;
    /// The doublewords of `value` that the doublewords of `index` name, by three bits.
    fn permute_dwords(&mut self, index: [Self::X; 2], value: [Self::X; 2]) -> [Self::X; 2];
    /// A string comparison of `a` (with its length in elements, where the instruction takes lengths) with `b`: the result,
    /// an index or a mask, and the status flags in their EFLAGS positions.
    fn string_compare(
        &mut self,
        op: StringOp,
        a: (Self::X, Self::V),
        b: (Self::X, Self::V),
        imm: u8,
    ) -> (Self::X, Self::V);

    /// See [`super::FpOp`]. What all parts raise is raised together.
    ///
    /// # Errors
    /// #XM (or #UD, CR4.OSXMMEXCPT) for an unmasked exception; MXCSR has the flags then too.
    fn float<const PARTS: usize>(
        &mut self,
        op: FloatOp,
        a: [Self::X; PARTS],
        b: [Self::X; PARTS],
        imm: u8,
    ) -> Result<[Self::X; PARTS], Self::Stop>;
    /// See [`super::FmaKind`]; scalar forms keep the rest of `first`.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn fused<const PARTS: usize>(
        &mut self,
        op: FmaOp,
        first: [Self::X; PARTS],
        abc: [[Self::X; PARTS]; 3],
    ) -> Result<[Self::X; PARTS], Self::Stop>;
    /// The low four half-precision numbers of each part, in single precision.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn half_to_single<const PARTS: usize>(&mut self, b: [Self::X; PARTS]) -> Result<[Self::X; PARTS], Self::Stop>;
    /// Four single-precision numbers of each part in half precision, in its low half.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn single_to_half<const PARTS: usize>(
        &mut self,
        b: [Self::X; PARTS],
        imm: u8,
    ) -> Result<[Self::X; PARTS], Self::Stop>;
    /// Compares the lowest lanes: ZF, PF and CF in their EFLAGS positions.
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn compare(&mut self, lanes: Lanes, quiet: bool, a: Self::X, b: Self::X) -> Result<Self::V, Self::Stop>;
    /// See [`ConvertOp`].
    ///
    /// # Errors
    /// As [`VectorEngine::float`].
    fn convert<const PARTS: usize>(
        &mut self,
        op: ConvertOp,
        a: [Self::X; PARTS],
        b: [Self::X; PARTS],
    ) -> Result<[Self::X; PARTS], Self::Stop>;
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

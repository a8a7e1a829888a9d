//! What an instruction's semantics may ask of whoever runs it.

use crate::instructions::{fpu::Fpu, system::Sys};
use crate::{Exception, Op, Width};

/// Runs, or emits, the semantics of instructions.
///
/// A [`Engine::V`] is an integer of up to 64 bits that is **always zero-extended**: whoever produces one in width `w`
/// clears the bits above. Booleans are 0 or 1. The interpreter's `V` is `u64`; the JIT's names a WebAssembly value.
///
/// Semantics must do everything that can fault (loads, [`Engine::load_rw`], division) before they change any
/// state, so that a fault leaves the instruction undone.
pub trait Engine: Sized {
    /// An integer value.
    type V: Copy;
    /// Where a read-modify-write operand lies; made by [`Engine::load_rw`].
    type Place: Copy;
    /// Why an instruction did not complete. An engine that emits code never returns it.
    type Stop;

    /// A constant.
    fn imm(&mut self, value: u64) -> Self::V;

    /// `a + b` in `w`.
    fn add(&mut self, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b` in `w`.
    fn sub(&mut self, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// Low half of `a * b` in `w`.
    fn mul(&mut self, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// High half of the unsigned product of two values of width `w`.
    fn mul_high_unsigned(&mut self, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// High half of the signed product of two values of width `w`.
    fn mul_high_signed(&mut self, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// 1 where the signed product of two values of width `w`, whose low half is `low`, does not fit in `w`.
    #[inline(always)]
    fn signed_product_overflows(&mut self, w: Width, a: Self::V, b: Self::V, low: Self::V) -> Self::V {
        let high = self.mul_high_signed(w, a, b);
        let top = self.imm(63);
        let sign = self.sar(w, low, top);
        let differ = self.xor(sign, high);
        let zero = self.imm(0);
        self.below(zero, differ)
    }
    /// Quotient and remainder of `high:low` by `divisor`, each of width `w`.
    ///
    /// # Errors
    /// #DE where the divisor is zero or the quotient does not fit.
    fn divide_unsigned(
        &mut self,
        w: Width,
        high: Self::V,
        low: Self::V,
        divisor: Self::V,
    ) -> Result<(Self::V, Self::V), Self::Stop>;
    /// Signed [`Engine::divide_unsigned`], truncating towards zero.
    ///
    /// # Errors
    /// As there.
    fn divide_signed(
        &mut self,
        w: Width,
        high: Self::V,
        low: Self::V,
        divisor: Self::V,
    ) -> Result<(Self::V, Self::V), Self::Stop>;

    /// Bitwise and.
    fn and(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise or.
    fn or(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise exclusive or.
    fn xor(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise complement in `w`.
    fn not(&mut self, w: Width, a: Self::V) -> Self::V;
    /// `a << count` in `w`; `count` is 0..=63.
    fn shl(&mut self, w: Width, a: Self::V, count: Self::V) -> Self::V;
    /// Logical `a >> count`; `count` is 0..=63.
    fn shr(&mut self, a: Self::V, count: Self::V) -> Self::V;
    /// Arithmetic `a >> count` of a value of width `w`; `count` is 0..=63.
    fn sar(&mut self, w: Width, a: Self::V, count: Self::V) -> Self::V;
    /// Sign-extends `a` from `from` to `to`.
    fn sign_extend(&mut self, from: Width, to: Width, a: Self::V) -> Self::V;
    /// Cuts `a` to `w`.
    fn truncate(&mut self, w: Width, a: Self::V) -> Self::V;
    /// Index of the lowest set bit; `a` is not zero.
    fn count_trailing_zeros(&mut self, a: Self::V) -> Self::V;
    /// 63 less the index of the highest set bit; `a` is not zero.
    fn count_leading_zeros(&mut self, a: Self::V) -> Self::V;
    /// Number of set bits.
    fn count_ones(&mut self, a: Self::V) -> Self::V;

    /// 1 where `a == b`.
    fn equal(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// 1 where `a < b`, unsigned.
    fn below(&mut self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` where `condition` is not zero, else `b`.
    fn select(&mut self, condition: Self::V, a: Self::V, b: Self::V) -> Self::V;

    /// Reads a general register; `slot` is a byte offset as [`crate::gpr_slot`] makes it.
    fn register(&mut self, w: Width, slot: u8) -> Self::V;
    /// Writes a general register; a 32-bit write clears bits 63:32, narrower ones keep the rest.
    fn set_register(&mut self, w: Width, slot: u8, value: Self::V);

    /// Offset of the memory operand in its segment, in the op's address size (what `LEA` computes).
    fn effective_address(&mut self, op: &Op) -> Self::V;
    /// Reads the memory operand.
    ///
    /// # Errors
    /// The access faults.
    fn load(&mut self, w: Width, op: &Op) -> Result<Self::V, Self::Stop>;
    /// Writes the memory operand.
    ///
    /// # Errors
    /// The access faults; nothing is written.
    fn store(&mut self, w: Width, op: &Op, value: Self::V) -> Result<(), Self::Stop>;
    /// Reads the memory operand for a read-modify-write: faults as a write would.
    ///
    /// # Errors
    /// The access faults.
    fn load_rw(&mut self, w: Width, op: &Op) -> Result<(Self::V, Self::Place), Self::Stop>;
    /// Completes a read-modify-write. Cannot fault.
    fn store_rw(&mut self, w: Width, place: Self::Place, value: Self::V);
    /// The memory operand moved by a signed number of bytes (bit-string instructions), for a read-modify-write.
    ///
    /// # Errors
    /// The access faults.
    fn load_rw_at(&mut self, w: Width, op: &Op, displacement: Self::V) -> Result<(Self::V, Self::Place), Self::Stop>;
    /// As [`Engine::load_rw_at`], for reading only.
    ///
    /// # Errors
    /// The access faults.
    fn load_at(&mut self, w: Width, op: &Op, displacement: Self::V) -> Result<Self::V, Self::Stop>;

    /// Address size of the stack: SS.B in protected mode, 64 bits in 64-bit mode.
    fn stack_width(&mut self) -> Width;
    /// Reads `SS:pointer`; `pointer` has the stack's width.
    ///
    /// # Errors
    /// The access faults.
    fn load_stack(&mut self, w: Width, pointer: Self::V) -> Result<Self::V, Self::Stop>;
    /// Writes `SS:pointer`; `pointer` has the stack's width.
    ///
    /// # Errors
    /// The access faults; nothing is written.
    fn store_stack(&mut self, w: Width, pointer: Self::V, value: Self::V) -> Result<(), Self::Stop>;

    /// The lazy flag state: the last result, sign-extended to 64 bits. See [`crate::flags`].
    fn flag_result(&mut self) -> Self::V;
    /// The lazy flag state: the carry vector. See [`crate::flags`].
    fn flag_carries(&mut self) -> Self::V;
    /// Replaces the lazy flag state.
    fn set_flags(&mut self, result: Self::V, carries: Self::V);
    /// The flags just set are those of an addition, or a subtraction, in `w` of which `b` is the second operand, without a carry: an engine may
    /// keep that instead of the carry vector.
    fn flags_of_sum(&mut self, _w: Width, _subtracted: bool, _b: Self::V) {}
    /// The same of an increment or decrement, which keeps CF: that is `carry`.
    fn flags_of_step(&mut self, _w: Width, _subtracted: bool, _carry: Self::V) {}
    /// Sets or clears EFLAGS.DF.
    fn set_direction(&mut self, down: bool);

    /// Offset (RIP) of the instruction after `op`, in the code segment's width.
    fn next_ip(&mut self, op: &Op) -> Self::V;
    /// Continues at `target` (already cut to the operand size) instead of the next instruction.
    ///
    /// # Errors
    /// The target is not canonical or beyond the code segment's limit: #GP(0).
    fn jump(&mut self, op: &Op, target: Self::V) -> Result<(), Self::Stop>;
    /// Continues at the op's relative target (next instruction plus immediate, cut to the operand size).
    ///
    /// # Errors
    /// As [`Engine::jump`].
    fn jump_relative(&mut self, op: &Op) -> Result<(), Self::Stop>;
    /// Where `condition` is not zero, continues at the op's relative target.
    ///
    /// # Errors
    /// As [`Engine::jump`].
    fn branch(&mut self, op: &Op, condition: Self::V) -> Result<(), Self::Stop>;

    /// Raises `exception`.
    ///
    /// # Errors
    /// Always, in an engine that computes.
    fn raise(&mut self, exception: Exception) -> Result<(), Self::Stop>;

    /// Runs an irregular instruction.
    ///
    /// # Errors
    /// As the instruction defines.
    fn system(&mut self, op: &Op, sys: Sys) -> Result<(), Self::Stop>;
    /// Runs an x87 instruction.
    ///
    /// # Errors
    /// As the instruction defines.
    fn fpu(&mut self, op: &Op, fpu: Fpu) -> Result<(), Self::Stop>;
}

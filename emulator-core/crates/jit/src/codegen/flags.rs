//! The carry vector that a block finds.

use cpu::compiled::FlagKind;
use wasm_encoder::{BlockType, ValType};

use super::{Codegen, Pool};
use crate::ir::{FLAG_CARRIES, FLAG_KIND, FLAG_RESULT};

impl Codegen<'_> {
    /// The locals of the flags' cells: result, operand and kind.
    fn flags(&self) -> [u32; 3] {
        [FLAG_RESULT, FLAG_CARRIES, FLAG_KIND].map(|cell| self.local_of(cell))
    }

    /// Pushes CF as it says. INC and DEC keep CF, and in a loop find what they have left, so that a branch costs less than a choice.
    pub(super) fn found_carry(&mut self) {
        let [_, operand, kind] = self.flags();
        self.sink().local_get(kind).i64_const(FlagKind::STEP as i64).i64_and().i32_wrap_i64();
        self.open_if(BlockType::Result(ValType::I64));
        self.sink().local_get(operand).else_();
        self.found_carries();
        self.sink().i64_const(63).i64_shr_u();
        self.close();
    }

    /// Pushes it, by [`FlagKind::carries`], behind a branch: it may be the vector already.
    pub(super) fn found_carries(&mut self) {
        const AUXILIARY: i64 = 8;
        const MEANINGLESS: i64 = 3;
        let [flag_result, flag_operand, kind] = self.flags();
        let [result, operand, other, mask] = [Pool::Number; 4].map(|pool| self.take_local(pool));
        self.sink().local_get(kind).i32_wrap_i64();
        self.open_if(BlockType::Result(ValType::I64));
        let mut sink = self.sink();
        // Shifts are by the lowest six bits, which are [`FlagKind::SHIFT`].
        sink.i64_const(-1).local_get(kind).i64_shr_u().local_tee(mask);
        sink.local_get(flag_result).i64_and().local_set(result);
        sink.i64_const(1)
            .local_get(flag_operand)
            .local_get(kind)
            .i64_const(FlagKind::STEP as i64)
            .i64_and()
            .i32_wrap_i64();
        sink.select().local_set(operand);
        sink.local_get(kind).i64_const(FlagKind::SUBTRACTED as i64).i64_and().i32_wrap_i64();
        self.open_if(BlockType::Empty);
        // The first operand, inverted.
        self.sink().local_get(result).local_get(operand).i64_add().i64_const(-1).i64_xor().local_set(other);
        self.sink().else_();
        // The first operand, and the result inverted.
        self.sink().local_get(result).local_get(operand).i64_sub().local_set(other);
        self.sink().local_get(result).i64_const(-1).i64_xor().local_set(result);
        self.close();
        let mut sink = self.sink();
        sink.local_get(other).local_get(operand).i64_and();
        sink.local_get(other).local_get(operand).i64_or().local_get(result).i64_and().i64_or();
        sink.local_get(mask).i64_and().local_tee(other);
        sink.local_get(kind).i64_shl().local_get(other).i64_const(AUXILIARY).i64_and().i64_or();
        sink.i64_const(!MEANINGLESS).i64_and().local_set(result);
        // Where CF was kept: both highest bits, for OF is that they differ.
        sink.local_get(result);
        sink.local_get(kind).i64_const(FlagKind::STEP as i64).i64_and().i64_eqz();
        self.open_if(BlockType::Result(ValType::I64));
        let mut sink = self.sink();
        sink.i64_const(0).else_();
        sink.local_get(result).i64_const(63).i64_shr_u().local_get(flag_operand).i64_xor().i64_const(3).i64_mul();
        sink.i64_const(62).i64_shl();
        self.close();
        let mut sink = self.sink();
        sink.i64_xor().else_().local_get(flag_operand);
        self.close();
        self.free[Pool::Number as usize].extend([result, operand, other, mask]);
    }
}

//! The carry vector that a block finds.

use cpu::compiled::FlagKind;
use wasm_encoder::{BlockType, ValType};

use super::{Codegen, Pool};
use crate::ir::{FLAG_CARRIES, FLAG_KIND, FLAG_RESULT};

const RESULT: u32 = FLAG_RESULT as u32;
const OPERAND: u32 = FLAG_CARRIES as u32;
const KIND: u32 = FLAG_KIND as u32;

impl Codegen<'_> {
    /// Pushes it, by [`FlagKind::carries`]. In a loop it is mostly the vector already (INC and DEC keep CF, and find what they have left), so that a branch costs less than a choice.
    pub(super) fn found_carries(&mut self) {
        const AUXILIARY: i64 = 8;
        const MEANINGLESS: i64 = 3;
        let [result, other, mask] = [Pool::Number; 3].map(|pool| self.take_local(pool));
        self.sink().local_get(KIND).i32_wrap_i64();
        self.open_if(BlockType::Result(ValType::I64));
        let mut sink = self.sink();
        // Shifts are by the lowest six bits, which are [`FlagKind::SHIFT`].
        sink.i64_const(-1).local_get(KIND).i64_shr_u().local_tee(mask);
        sink.local_get(RESULT).i64_and().local_set(result);
        sink.local_get(KIND).i64_const(FlagKind::SUBTRACTED as i64).i64_and().i32_wrap_i64();
        self.open_if(BlockType::Empty);
        // The first operand, inverted.
        self.sink().local_get(result).local_get(OPERAND).i64_add().i64_const(-1).i64_xor().local_set(other);
        self.sink().else_();
        // The first operand, and the result inverted.
        self.sink().local_get(result).local_get(OPERAND).i64_sub().local_set(other);
        self.sink().local_get(result).i64_const(-1).i64_xor().local_set(result);
        self.close();
        let mut sink = self.sink();
        sink.local_get(other).local_get(OPERAND).i64_and();
        sink.local_get(other).local_get(OPERAND).i64_or().local_get(result).i64_and().i64_or();
        sink.local_get(mask).i64_and().local_tee(other);
        sink.local_get(KIND).i64_shl().local_get(other).i64_const(AUXILIARY).i64_and().i64_or();
        sink.i64_const(!MEANINGLESS).i64_and();
        sink.else_().local_get(OPERAND);
        self.close();
        self.free[Pool::Number as usize].extend([result, other, mask]);
    }
}

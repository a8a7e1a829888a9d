//! Flags that are not status flags, and what else of system instructions is not worth a helper.

use cpu::{Exit, InterruptShadow, eflags};
use wasm_encoder::BlockType;
use x86::seg;

use super::{Codegen, LEFT, at};
use crate::ir::{StopId, Value};
use crate::layout::{EXIT, INTERRUPT_SHADOW, KERNEL_GS_BASE, SYSTEM_FLAGS, TIME, WAITING, segment_base_offset};
use crate::module::Callee;

impl Codegen<'_> {
    /// Pushes which of the system flags in `mask` are set.
    pub(super) fn push_flags(&mut self, mask: u64) {
        let flags = self.in_state(SYSTEM_FLAGS);
        self.sink().i32_const(0).i64_load(at(flags)).i64_const(mask as i64).i64_and();
    }

    pub(super) fn set_flags(&mut self, clear: u64, set: u64) {
        let flags = self.in_state(SYSTEM_FLAGS);
        self.sink().i32_const(0);
        self.push_flags(!clear);
        self.sink().i64_const(set as i64).i64_or().i64_store(at(flags));
    }

    pub(super) fn swap_gs(&mut self) {
        let [one, other] = [segment_base_offset(seg::GS), KERNEL_GS_BASE].map(|offset| at(self.in_state(offset)));
        self.sink().i32_const(0).i32_const(0).i64_load(other).i32_const(0).i32_const(0).i64_load(one);
        self.sink().i64_store(other).i64_store(one);
    }

    /// An STI that finds IF set has no shadow (Intel SDM vol. 2, STI).
    pub(super) fn begin_shadow(&mut self) {
        const { assert!(InterruptShadow::None as u8 == 0 && InterruptShadow::Sti as u8 == 1) };
        let shadow = self.in_state(INTERRUPT_SHADOW);
        self.sink().i32_const(0);
        self.push_flags(eflags::IF);
        self.sink().i64_eqz().i32_store8(at(shadow));
    }

    pub(super) fn end_shadow(&mut self) {
        let shadow = self.in_state(INTERRUPT_SHADOW);
        self.sink().i32_const(0).i32_const(0).i32_store8(at(shadow));
    }

    pub(super) fn let_interrupt(&mut self, after: StopId) {
        let [waiting, exit] = [WAITING, EXIT].map(|offset| at(self.source.shared.context as u64 + offset));
        self.push_flags(eflags::IF);
        self.sink().i64_const(0).i64_ne();
        self.sink().i32_const(0).i32_load(waiting).i32_const(0).i32_ne().i32_and();
        self.open_if(BlockType::Empty);
        self.sink().i32_const(0).i32_const(Exit::Event as i32).i32_store(exit);
        self.leave_at(after);
        self.close();
    }

    pub(super) fn select_view(&mut self) {
        self.push_context();
        self.sink().call(Callee::SelectView as u32);
        self.load_tlb();
    }

    /// As [`Context::time`](cpu::compiled::Context) says.
    pub(super) fn read_time(&mut self, value: Value) {
        const INSTRUCTIONS: i64 = 1000;
        let [start, span, rate] = [0, 8, 16].map(|offset| TIME + offset);
        self.load_context(start);
        self.load_context(span);
        self.sink().local_get(LEFT).i64_sub();
        self.load_context(rate);
        self.sink().i64_mul().i64_const(INSTRUCTIONS).i64_div_u().i64_add();
        self.set_local(value);
    }

    fn in_state(&self, offset: u64) -> u64 {
        self.source.shared.state as u64 + offset
    }
}

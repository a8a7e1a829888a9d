//! Guest memory: the TLB compare inline, a helper behind it.
//!
//! One compare decides everything: presence, permission, dirtiness, MMIO, page crossing and "holds decoded code" all make
//! the tag differ (`cpu::tlb_layout`).

use cpu::tlb_layout::{ENTRIES, Entry, PAGE_MASK, Use};
use wasm_encoder::{BlockType, ValType};
use x86::Width;

use super::{Codegen, ENTRY, HOST, LEFT, TLB, at};
use crate::ir::{Access, StopId, Value};
use crate::layout::{ANSWERS, describe_access, tlb_offset};
use crate::module::Callee;

const PAGE_SHIFT: u32 = PAGE_MASK.trailing_zeros();
const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();

/// Status of a helper that did nothing: the access faults.
const FAULT: i32 = 1;

impl Codegen<'_> {
    pub(super) fn load(&mut self, access: Access, value: Value, fault: StopId) {
        let wanted = self.liveness.uses(value) > 0;
        self.settle(access.address);
        self.tlb_hits(access, Use::Read);
        if !wanted {
            self.sink().i32_eqz();
            self.open_if(BlockType::Empty);
            self.load_by_helper(Callee::Load, access, fault);
            self.close();
            return;
        }
        self.open_if(BlockType::Result(ValType::I64));
        self.host_address(access, Use::Read);
        self.load_host(access.width);
        self.sink().else_();
        self.load_by_helper(Callee::Load, access, fault);
        self.load_context(ANSWERS[0]);
        self.close();
        self.set_local(value);
    }

    /// Calls a helper that reads, and leaves where the access faults. Of a device that was read, the board hears when the region leaves.
    fn load_by_helper(&mut self, callee: Callee, access: Access, fault: StopId) {
        self.call_helper(callee, access, None);
        self.sink().i32_const(FAULT).i32_eq();
        self.open_if(BlockType::Empty);
        self.leave_at(fault);
        self.close();
    }

    pub(super) fn load_for_write(&mut self, access: Access, value: Value, fault: StopId) {
        self.settle(access.address);
        self.tlb_hits(access, Use::Write);
        self.open_if(BlockType::Result(ValType::I64));
        self.host_address(access, Use::Write);
        self.sink().local_tee(HOST);
        self.load_host(access.width);
        self.sink().else_().i32_const(0).local_set(HOST);
        self.load_by_helper(Callee::LoadForWrite, access, fault);
        self.load_context(ANSWERS[0]);
        self.close();
        self.set_local(value);
    }

    pub(super) fn store(&mut self, access: Access, value: Value, fault: StopId, after: StopId) {
        self.settle(access.address);
        self.settle(value);
        self.tlb_hits(access, Use::Write);
        self.open_if(BlockType::Empty);
        self.host_address(access, Use::Write);
        self.value(value);
        self.store_host(access.width);
        self.sink().else_();
        self.call_helper(Callee::Store, access, Some(value));
        self.sink().local_tee(HOST);
        self.open_if(BlockType::Empty);
        self.sink().local_get(HOST).i32_const(FAULT).i32_eq();
        self.open_if(BlockType::Empty);
        self.leave_at(fault);
        self.close();
        self.leave_at(after);
        self.close();
        self.close();
    }

    pub(super) fn store_back(&mut self, access: Access, value: Value, after: StopId) {
        self.settle(access.address);
        self.settle(value);
        self.sink().local_get(HOST);
        self.open_if(BlockType::Empty);
        self.sink().local_get(HOST);
        self.value(value);
        self.store_host(access.width);
        self.sink().else_();
        self.call_helper(Callee::Store, access, Some(value));
        self.open_if(BlockType::Empty);
        self.leave_at(after);
        self.close();
        self.close();
    }

    /// Leaves the entry's address in [`ENTRY`] and pushes whether the access may go ahead.
    fn tlb_hits(&mut self, access: Access, usage: Use) {
        let index_mask = ((ENTRIES - 1) << ENTRY_SHIFT) as i32;
        self.value(access.address);
        self.sink().i64_const(i64::from(PAGE_SHIFT - ENTRY_SHIFT)).i64_shr_u().i32_wrap_i64();
        self.sink().i32_const(index_mask).i32_and().local_get(TLB).i32_add().local_tee(ENTRY);
        self.sink().i64_load(at(tlb_offset(usage)));
        self.value(access.address);
        if access.width != Width::W8 {
            self.sink().i64_const(access.width.bytes() as i64 - 1).i64_add();
        }
        self.sink().i64_const(PAGE_MASK as i64).i64_and().i64_eq();
    }

    /// Pushes the host address: linear memory has 32-bit addresses, so the low half of the addend is enough.
    fn host_address(&mut self, access: Access, usage: Use) {
        self.value(access.address);
        self.sink().i32_wrap_i64().local_get(ENTRY);
        self.sink().i32_load(at(tlb_offset(usage) + 8)).i32_add();
    }

    fn load_host(&mut self, w: Width) {
        let mut sink = self.sink();
        match w {
            Width::W8 => sink.i64_load8_u(at(0)),
            Width::W16 => sink.i64_load16_u(at(0)),
            Width::W32 => sink.i64_load32_u(at(0)),
            Width::W64 => sink.i64_load(at(0)),
        };
    }

    fn store_host(&mut self, w: Width) {
        let mut sink = self.sink();
        match w {
            Width::W8 => sink.i64_store8(at(0)),
            Width::W16 => sink.i64_store16(at(0)),
            Width::W32 => sink.i64_store32(at(0)),
            Width::W64 => sink.i64_store(at(0)),
        };
    }

    /// Calls `callee` for the access; pushes its status.
    fn call_helper(&mut self, callee: Callee, access: Access, value: Option<Value>) {
        self.push_context();
        self.value(access.address);
        self.sink().i32_const(describe_access(access.width, access.segment));
        if let Some(value) = value {
            self.value(value);
        }
        self.sink().local_get(LEFT).call(callee as u32);
    }
}

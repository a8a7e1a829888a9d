//! Guest memory: the TLB compare inline.
//!
//! One compare decides everything: presence, permission, dirtiness, MMIO, page crossing and "holds decoded code" all make
//! the entry one of another page (`cpu::tlb_layout`).

use cpu::tlb_layout::{ENTRIES, Entry, PAGE_MASK, Use, least_difference};
use wasm_encoder::BlockType;
use x86::Width;

use super::{Codegen, ENTRY, HOST, Label, Pool, TLB, at};
use crate::groups::Way;
use crate::ir::{Access, StopId, Value};
use crate::layout::tlb_offset;

const PAGE_SHIFT: u32 = PAGE_MASK.trailing_zeros();
const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();

impl Codegen<'_> {
    pub(super) fn load(&mut self, access: Access, value: Value, fault: StopId) {
        self.check(access, Use::Read, fault);
        if self.liveness.uses(value) > 0 {
            let offset = self.push_host(access.address, Use::Read);
            self.load_host(access.width, offset);
            self.set_local(value);
        }
        self.leave_group();
    }

    pub(super) fn load_for_write(&mut self, access: Access, value: Value, fault: StopId) {
        self.check(access, Use::Write, fault);
        let offset = self.push_host(access.address, Use::Write);
        if offset > 0 {
            self.sink().i32_const(offset as i32).i32_add();
        }
        self.sink().local_tee(HOST);
        self.load_host(access.width, 0);
        self.set_local(value);
        self.leave_group();
    }

    pub(super) fn store(&mut self, access: Access, value: Value, fault: StopId) {
        let float = self.stored_float(access.width, value);
        self.settle(float.map_or(value, |(_, float)| float));
        self.check(access, Use::Write, fault);
        let offset = self.push_host(access.address, Use::Write);
        if let Some(float) = float {
            self.store_float(value, float, offset);
        } else {
            self.value(value);
            self.store_host(access.width, offset);
        }
        self.leave_group();
    }

    pub(super) fn store_back(&mut self, width: Width, value: Value) {
        self.sink().local_get(HOST);
        self.value(value);
        self.store_host(width, 0);
    }

    pub(super) fn load_vector(&mut self, address: Value, bytes: u64, aligned: bool, value: Value, fault: StopId) {
        self.check_alignment(address, aligned, fault);
        self.check_bytes(address, bytes, Use::Read, fault);
        if self.liveness.uses(value) > 0 {
            let offset = self.push_host(address, Use::Read);
            match bytes {
                4 => self.sink().v128_load32_zero(at(offset)),
                8 => self.sink().v128_load64_zero(at(offset)),
                _ => self.sink().v128_load(at(offset)),
            };
            self.set_local(value);
        }
        self.leave_group();
    }

    pub(super) fn store_vector(&mut self, address: Value, aligned: bool, value: Value, fault: StopId) {
        self.settle(value);
        self.check_alignment(address, aligned, fault);
        self.check_bytes(address, 16, Use::Write, fault);
        let offset = self.push_host(address, Use::Write);
        self.value(value);
        self.sink().v128_store(at(offset));
        self.leave_group();
    }

    pub(super) fn probe_vector(&mut self, address: Value, fault: StopId) {
        self.check_bytes(address, 16, Use::Write, fault);
        self.leave_group();
    }

    /// Leaves where 16 bytes are not aligned but have to be.
    fn check_alignment(&mut self, address: Value, aligned: bool, fault: StopId) {
        if !aligned {
            return;
        }
        self.settle(address);
        self.value(address);
        self.sink().i64_const(15).i64_and().i64_eqz().i32_eqz();
        self.leave_if(Label::Operands, fault);
    }

    /// Leaves where the TLB does not cover the access: the interpreter will see what it is. There is no call in its place, which would
    /// cost every value that lives across it a place on the stack (V8 does not know that it is rare).
    fn check(&mut self, access: Access, usage: Use, fault: StopId) {
        self.check_bytes(access.address, access.width.bytes(), usage, fault);
    }

    fn check_bytes(&mut self, address: Value, bytes: u64, usage: Use, fault: StopId) {
        match self.way {
            Way::Alone => {
                self.settle(address);
                self.tlb_misses(address, 0, bytes, usage);
                self.leave_if(Label::Access, fault);
            }
            Way::First { group, before, bytes, usage } => {
                self.settle(address);
                self.tlb_misses(address, before, bytes, usage);
                self.leave_if(Label::Access, fault);
                let host = self.give_host(group);
                self.host_address(address, usage);
                self.sink().i32_const(before as i32).i32_sub().local_set(host);
            }
            Way::FirstOfWalk { walk, before, bytes, usage } => {
                self.settle(address);
                self.tlb_misses(address, before, bytes, usage);
                let count = self.walks[walk].0.len();
                self.walks[walk].1 = (0..count).map(|_| self.take_local(Pool::Host)).collect();
                self.open_if(BlockType::Empty);
                self.pace_apart(walk, address);
                self.leave_if(Label::Access, fault);
                self.sink().else_();
                self.pace_together(walk, address, usage);
                self.close();
            }
            Way::Within { .. } | Way::InWalk { .. } => {}
        }
    }

    /// Puts where the accesses of `walk`, which lie in the page of the first one's `address`, are in the host's memory into locals.
    fn pace_together(&mut self, walk: usize, address: Value, usage: Use) {
        let (paces, hosts) = core::mem::take(&mut self.walks[walk]);
        self.host_address(address, usage);
        self.sink().local_set(hosts[0]);
        for (pace, &host) in paces.iter().zip(&hosts).skip(1) {
            self.sink().local_get(hosts[0]).i32_const(pace.offset as i32).i32_add().local_set(host);
        }
        self.walks[walk] = (paces, hosts);
    }

    /// The same wherever they lie; pushes whether one of them may not be done.
    fn pace_apart(&mut self, walk: usize, address: Value) {
        let (paces, hosts) = core::mem::take(&mut self.walks[walk]);
        let place = self.take_local(Pool::Number);
        for (number, (pace, &host)) in paces.iter().zip(&hosts).enumerate() {
            self.value(address);
            self.sink().i64_const(pace.offset).i64_add();
            // Linear addresses wrap at 4 GiB, but for those of 64-bit mode.
            if self.source.mode.code != Width::W64 {
                self.sink().i32_wrap_i64().i64_extend_i32_u();
            }
            self.sink().local_set(place);
            let push = |codegen: &mut Self| {
                codegen.sink().local_get(place);
            };
            self.misses(&push, 0, pace.bytes, pace.usage);
            if number > 0 {
                self.sink().i32_or();
            }
            self.sink().local_get(place);
            self.add_entry(pace.usage);
            self.sink().local_set(host);
        }
        self.free[Pool::Number as usize].push(place);
        self.walks[walk] = (paces, hosts);
    }

    /// Pushes an address from which the access at work lies so many bytes further.
    fn push_host(&mut self, address: Value, usage: Use) -> u64 {
        let (group, offset) = match self.way {
            Way::Alone => {
                self.host_address(address, usage);
                return 0;
            }
            Way::First { group, before, .. } => (group, before),
            Way::Within { group, offset } => (group, offset),
            Way::FirstOfWalk { walk, .. } => return self.push_pace(walk, 0),
            Way::InWalk { walk, number } => return self.push_pace(walk, number),
        };
        let host = self.groups[group].1;
        self.sink().local_get(host);
        offset
    }

    fn push_pace(&mut self, walk: usize, number: usize) -> u64 {
        let host = self.walks[walk].1[number];
        self.sink().local_get(host);
        0
    }

    /// A local for the host address of `group`.
    fn give_host(&mut self, group: usize) -> u32 {
        let host = self.take_local(Pool::Host);
        self.groups[group].1 = host;
        host
    }

    /// The access at work is done: behind the last of its group nobody needs the address any more.
    fn leave_group(&mut self) {
        let group = match self.way {
            Way::Alone => return,
            Way::First { group, .. } | Way::Within { group, .. } => group,
            Way::FirstOfWalk { walk, .. } => return self.leave_walk(walk, 0),
            Way::InWalk { walk, number } => return self.leave_walk(walk, number),
        };
        let (left, host) = &mut self.groups[group];
        *left -= 1;
        if *left == 0 {
            let host = *host;
            self.free[Pool::Host as usize].push(host);
        }
    }

    fn leave_walk(&mut self, walk: usize, number: usize) {
        let host = self.walks[walk].1[number];
        self.free[Pool::Host as usize].push(host);
    }

    /// Leaves the entry's address in [`ENTRY`] and pushes whether not all `bytes` from so many before `address` may be accessed.
    pub(super) fn tlb_misses(&mut self, address: Value, before: u64, bytes: u64, usage: Use) {
        self.misses(&|codegen| codegen.value(address), before, bytes, usage);
    }

    /// The same of an address that `push` pushes.
    ///
    /// How V8 compiles it: `<` is a condition as it stands, while `!=` is made of `==`, and the branch turned around, so that the way that is hardly ever gone lies right
    /// behind it, in the midst of the others; and the entry is the left operand, since V8 loads the right one twice.
    fn misses(&mut self, push: &dyn Fn(&mut Self), before: u64, bytes: u64, usage: Use) {
        let index_mask = ((ENTRIES - 1) << ENTRY_SHIFT) as i32;
        let first = |codegen: &mut Self| {
            push(codegen);
            if before > 0 {
                codegen.sink().i64_const(before as i64).i64_sub();
            }
        };
        first(self);
        self.sink().i32_wrap_i64().i32_const((PAGE_SHIFT - ENTRY_SHIFT) as i32).i32_shr_u();
        self.sink().i32_const(index_mask).i32_and();
        if !self.source.mode.user {
            self.sink().local_get(TLB).i32_add();
        }
        let page = at(self.tables() + tlb_offset(usage));
        self.sink().local_tee(ENTRY).i64_load(page);
        first(self);
        self.sink().i64_sub().i64_const(least_difference(bytes) as i64).i64_lt_u();
    }

    /// Pushes the host address: linear memory has 32-bit addresses, so the low half of the addend is enough.
    pub(super) fn host_address(&mut self, address: Value, usage: Use) {
        self.value(address);
        self.add_entry(usage);
    }

    /// Makes the host address of the linear one on the stack.
    fn add_entry(&mut self, usage: Use) {
        let addend = at(self.tables() + tlb_offset(usage) + 8);
        self.sink().i32_wrap_i64().local_get(ENTRY).i32_load(addend).i32_add();
    }

    /// What [`ENTRY`] is relative to: in user mode the TLB's tables, which are always the same there.
    fn tables(&self) -> u64 {
        if self.source.mode.user { self.source.shared.user_tlb as u64 } else { 0 }
    }

    pub(super) fn load_host(&mut self, w: Width, offset: u64) {
        let mut sink = self.sink();
        match w {
            Width::W8 => sink.i64_load8_u(at(offset)),
            Width::W16 => sink.i64_load16_u(at(offset)),
            Width::W32 => sink.i64_load32_u(at(offset)),
            Width::W64 => sink.i64_load(at(offset)),
        };
    }

    pub(super) fn store_host(&mut self, w: Width, offset: u64) {
        let mut sink = self.sink();
        match w {
            Width::W8 => sink.i64_store8(at(offset)),
            Width::W16 => sink.i64_store16(at(offset)),
            Width::W32 => sink.i64_store32(at(offset)),
            Width::W64 => sink.i64_store(at(offset)),
        };
    }
}

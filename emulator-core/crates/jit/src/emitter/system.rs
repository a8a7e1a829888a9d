//! System instructions that kernels run at every turn, and of which little is left at privilege level 0.

use cpu::compiled::{ENABLED_PRIVILEGED, ENABLED_TIME};
use cpu::eflags;
use x86::instructions::system::Sys;
use x86::{Engine, Op, Width, flags, gpr_slot};

use super::Emitter;
use crate::ir::{Access, Field, RAX, Step, Value};
use crate::layout::{SYSTEM_FLAGS, TSC_OFFSET, selector_offset};

const RDX: u8 = 2;
const RSP: u8 = 4;
const SYSTEM_FLAGS_FIELD: Field = Field { width: Width::W64, offset: SYSTEM_FLAGS, place: None };

impl Emitter {
    /// `CLI`, `SWAPGS`, `STI`, `CLAC` and `STAC` (Intel SDM vol. 2) outside user mode; false where `sys` is something else. `STI` only where another
    /// instruction follows in the block, which then runs in its shadow.
    pub(super) fn privileged(&mut self, sys: Sys, followed: bool) -> bool {
        let compiled = match sys {
            Sys::Cli | Sys::Swapgs => true,
            Sys::Sti => followed,
            Sys::Clac | Sys::Stac => self.mode.vex,
            _ => false,
        };
        if self.mode.user || !compiled {
            return false;
        }
        self.require(ENABLED_PRIVILEGED);
        match sys {
            Sys::Cli => self.push(Step::SetFlags { clear: eflags::IF, set: 0 }),
            Sys::Swapgs => {
                self.push(Step::SwapGs);
                self.systems += 1;
            }
            Sys::Clac | Sys::Stac => {
                let (clear, set) = if sys == Sys::Clac { (eflags::AC, 0) } else { (0, eflags::AC) };
                self.push(Step::SetFlags { clear, set });
                self.push(Step::SelectView);
            }
            _ => {
                self.push(Step::BeginShadow);
                self.push(Step::SetFlags { clear: 0, set: eflags::IF });
                self.in_shadow = true;
            }
        }
        true
    }

    /// `PUSH` and `MOV` of a segment register; false where `op` is something else.
    pub(super) fn selector(&mut self, op: &Op, sys: Sys) -> bool {
        match sys {
            Sys::StoreSegment => {
                let selector = self.load_selector(op.src);
                if op.form.dst_is_memory() {
                    let Ok(()) = self.store(Width::W16, op, selector);
                } else {
                    self.set_register(op.opsize, op.dst, selector);
                }
            }
            Sys::PushSegment => {
                // The upper half of a doubleword is not written (Intel SDM vol. 2, PUSH).
                let width = if op.opsize == Width::W32 { Width::W16 } else { op.opsize };
                let selector = self.load_selector(op.dst);
                self.push_value(op.opsize, width, selector);
            }
            _ => return false,
        }
        true
    }

    fn load_selector(&mut self, segment: u8) -> Value {
        self.load_field(Field { width: Width::W16, offset: selector_offset(segment), place: None })
    }

    /// Makes room on the stack, and stores the low `width` of `value` there.
    fn push_value(&mut self, room: Width, width: Width, value: Value) {
        let (stack, pointer) = (self.mode.stack, gpr_slot(RSP, false));
        let (before, bytes) = (self.register(stack, pointer), self.imm(room.bytes()));
        let address = self.sub(stack, before, bytes);
        self.store_access(Access { width, address }, value);
        self.set_register(stack, pointer, address);
    }

    /// `PUSHF` in protected mode, and at privilege level 0 the `POPF` that changes status flags and IF at most; false where `op` is something else.
    pub(super) fn flags(&mut self, op: &Op, sys: Sys) -> bool {
        match sys {
            // In virtual-8086 mode it depends on IOPL.
            Sys::Pushf if self.mode.vex => self.push_flags(op.opsize),
            Sys::Popf if self.mode.vex && !self.mode.user && op.opsize != Width::W16 => self.pop_flags(op.opsize),
            _ => return false,
        }
        true
    }

    fn push_flags(&mut self, w: Width) {
        let system = self.load_field(SYSTEM_FLAGS_FIELD);
        let shown = self.imm(!(eflags::VM | eflags::RF));
        let (system, status) = (self.and(system, shown), flags::status(self));
        let image = self.or(system, status);
        let image = self.truncate(w, image);
        self.push_value(w, w, image);
    }

    fn pop_flags(&mut self, w: Width) {
        const OTHERS: u64 = eflags::TF | eflags::DF | eflags::IOPL | eflags::NT | eflags::AC | eflags::ID;
        self.require(ENABLED_PRIVILEGED);
        let (stack, slot) = (self.mode.stack, gpr_slot(RSP, false));
        let pointer = self.register(stack, slot);
        let value = self.load_access(Access { width: w, address: pointer });
        let system = self.load_field(SYSTEM_FLAGS_FIELD);
        // RF of the image is ignored, and clear afterwards.
        let (others, rf) = (self.imm(OTHERS), self.imm(eflags::RF));
        let changed = self.xor(value, system);
        let changed = self.and(changed, others);
        let resumed = self.and(system, rf);
        let condition = self.or(changed, resumed);
        self.interpret_where(condition);
        let (kept, interruptible) = (self.imm(!eflags::IF), self.imm(eflags::IF));
        let (kept, interruptible) = (self.and(system, kept), self.and(value, interruptible));
        let system = self.or(kept, interruptible);
        self.push(Step::StoreField { field: SYSTEM_FLAGS_FIELD, value: system });
        flags::set_status(self, value);
        let bytes = self.imm(w.bytes());
        let pointer = self.add(stack, pointer, bytes);
        self.set_register(stack, slot, pointer);
        self.let_interrupt();
    }

    /// `RDTSC`, which runs by itself, so that it needs no more than the time when its block began; false where `sys` is something else.
    pub(super) fn time(&mut self, sys: Sys) -> bool {
        if sys != Sys::Rdtsc || self.retired > 0 {
            return false;
        }
        self.require(ENABLED_TIME);
        let now = self.graph.product(u64::MAX);
        self.push(Step::ReadTime { value: now });
        let offset = self.load_field(Field { width: Width::W64, offset: TSC_OFFSET, place: None });
        let counter = self.add(Width::W64, now, offset);
        let half = self.imm(32);
        let (low, high) = (self.truncate(Width::W32, counter), self.shr(counter, half));
        self.set_register(Width::W32, gpr_slot(RAX as u8, false), low);
        self.set_register(Width::W32, gpr_slot(RDX, false), high);
        true
    }

    /// The instruction at work was the one behind an STI.
    pub(super) fn end_shadow(&mut self) {
        self.push(Step::EndShadow);
        self.let_interrupt();
    }

    fn let_interrupt(&mut self) {
        let after = self.stop_after();
        self.push(Step::LetInterrupt { after });
    }
}

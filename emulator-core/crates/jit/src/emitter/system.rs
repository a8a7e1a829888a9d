//! System instructions that kernels run at every turn, and of which little is left at privilege level 0.

use cpu::compiled::ENABLED_PRIVILEGED;
use cpu::eflags;
use x86::instructions::system::Sys;
use x86::{Engine, Op, Width, gpr_slot};

use super::Emitter;
use crate::ir::{Access, Field, Step, Value};
use crate::layout::selector_offset;

const RSP: u8 = 4;

impl Emitter {
    /// `CLI`, `SWAPGS` and `STI` (Intel SDM vol. 2) outside user mode; false where `sys` is something else. `STI` only where another instruction follows in
    /// the block, which then runs in its shadow.
    pub(super) fn privileged(&mut self, sys: Sys, followed: bool) -> bool {
        let compiled = matches!(sys, Sys::Cli | Sys::Swapgs) || sys == Sys::Sti && followed;
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
            _ => {
                self.steps.extend([Step::BeginShadow, Step::SetFlags { clear: 0, set: eflags::IF }]);
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
                let (stack, pointer) = (self.mode.stack, gpr_slot(RSP, false));
                let (before, bytes) = (self.register(stack, pointer), self.imm(op.opsize.bytes()));
                let address = self.sub(stack, before, bytes);
                // The upper half of a doubleword is not written (Intel SDM vol. 2, PUSH).
                let width = if op.opsize == Width::W32 { Width::W16 } else { op.opsize };
                let selector = self.load_selector(op.dst);
                self.store_access(Access { width, address }, selector);
                self.set_register(stack, pointer, address);
            }
            _ => return false,
        }
        true
    }

    fn load_selector(&mut self, segment: u8) -> Value {
        self.load_field(Field { width: Width::W16, offset: selector_offset(segment), place: None })
    }

    /// The instruction at work was the one behind an STI.
    pub(super) fn end_shadow(&mut self) {
        let after = self.stop_after();
        self.push(Step::EndShadow { after });
    }
}

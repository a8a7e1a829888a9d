//! Fast system calls (Intel SDM vol. 3, 5.8.7 and 5.8.8).

use x86::{Engine, Exception, Op, Width, seg};

use super::{R11, RCX, RDX, RSP};
use crate::exceptions::DR6_STEP;
use crate::exec::Exec;
use crate::mmu::canonical;
use crate::state::control::{CR0_PE, EFER_SCE};
use crate::state::{Access, Segment, eflags};

/// Flat segments with fixed rights.
fn flat(selector: u16, access: u32) -> Segment {
    Segment { selector, base: 0, limit: u32::MAX, access: Access(access) }
}

const CODE64: u32 = 0xa09b;
const CODE32: u32 = 0xc09b;
const DATA: u32 = 0xc093;
const DPL3: u32 = 3 << 5;

impl Exec<'_> {
    pub(super) fn syscall(&mut self, op: &Op) -> Result<(), Exception> {
        if self.cpu.state.msrs.efer & EFER_SCE == 0 {
            return Err(Exception::InvalidOpcode);
        }
        let next = self.next_ip(op);
        let state = &mut self.cpu.state;
        let rflags = state.rflags();
        state.regs.set(RCX, next);
        state.regs.set(R11, rflags & !eflags::RF);
        state.rip = state.msrs.lstar;
        let selector = (state.msrs.star >> 32) as u16 & !3;
        state.segs[usize::from(seg::CS)] = flat(selector, CODE64);
        state.segs[usize::from(seg::SS)] = flat(selector.wrapping_add(8), DATA);
        state.cpl = 0;
        state.set_rflags(rflags & !state.msrs.sfmask & !eflags::RF);
        // What IA32_FMASK leaves of TF decides whether a single-step trap follows.
        self.cpu.stepping = self.cpu.state.system_flags & eflags::TF != 0;
        self.cpu.state_changed();
        Ok(())
    }

    pub(super) fn sysret(&mut self, op: &Op) -> Result<(), Exception> {
        if self.cpu.state.msrs.efer & EFER_SCE == 0 {
            return Err(Exception::InvalidOpcode);
        }
        self.require_privilege(0)?;
        let wide = op.opsize == Width::W64;
        let target = self.cpu.state.regs.get(RCX);
        if wide && !canonical(target) {
            return Err(Exception::GeneralProtection(0));
        }
        let state = &mut self.cpu.state;
        let base = (state.msrs.star >> 48) as u16;
        let (selector, access) = if wide { (base.wrapping_add(16), CODE64) } else { (base, CODE32) };
        state.rip = if wide { target } else { Width::W32.truncate(target) };
        state.segs[usize::from(seg::CS)] = flat(selector | 3, access | DPL3);
        state.segs[usize::from(seg::SS)] = flat(base.wrapping_add(8) | 3, DATA | DPL3);
        state.cpl = 3;
        // Every flag but VM and RF (Intel SDM vol. 2, SYSRET).
        const RESTORED: u64 = 0x3c_7fd7;
        let rflags = state.regs.get(R11) & RESTORED;
        self.replace_flags(rflags, u64::MAX);
        // As if SYSCALL had just completed: unlike IRET, restoring TF traps before the next instruction.
        if rflags & eflags::TF != 0 {
            self.trap_after(DR6_STEP);
        }
        Ok(())
    }

    pub(super) fn sysenter(&mut self) -> Result<(), Exception> {
        let state = &mut self.cpu.state;
        let selector = state.msrs.sysenter_cs as u16 & !3;
        if state.cr0 & CR0_PE == 0 || selector == 0 {
            return Err(Exception::GeneralProtection(0));
        }
        let long = state.long_mode();
        let (pointer, target) = (state.msrs.sysenter_esp, state.msrs.sysenter_eip);
        let cut = |value| if long { value } else { Width::W32.truncate(value) };
        state.regs.set(RSP, cut(pointer));
        state.rip = cut(target);
        state.segs[usize::from(seg::CS)] = flat(selector, if long { CODE64 } else { CODE32 });
        state.segs[usize::from(seg::SS)] = flat(selector.wrapping_add(8), DATA);
        state.cpl = 0;
        state.system_flags &= !(eflags::VM | eflags::IF | eflags::RF);
        self.cpu.state_changed();
        Ok(())
    }

    pub(super) fn sysexit(&mut self, op: &Op) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let base = state.msrs.sysenter_cs as u16 & !3;
        if base == 0 || !state.protected() || state.cpl != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        let wide = op.opsize == Width::W64;
        let (target, pointer) = (state.regs.get(RDX), state.regs.get(RCX));
        if wide && !(canonical(target) && canonical(pointer)) {
            return Err(Exception::GeneralProtection(0));
        }
        let cut = |value| if wide { value } else { Width::W32.truncate(value) };
        let (code, access) = if wide { (base.wrapping_add(32), CODE64) } else { (base.wrapping_add(16), CODE32) };
        let state = &mut self.cpu.state;
        state.rip = cut(target);
        state.regs.set(RSP, cut(pointer));
        state.segs[usize::from(seg::CS)] = flat(code | 3, access | DPL3);
        state.segs[usize::from(seg::SS)] = flat(code.wrapping_add(8) | 3, DATA | DPL3);
        state.cpl = 3;
        self.cpu.state_changed();
        Ok(())
    }
}

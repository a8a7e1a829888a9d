//! What follows from the architectural state: the decoding mode and the TLB's view.

use x86::{Width, seg};

use crate::Cpu;
use crate::state::control::{CR0_AM, CR4_SMAP};
use crate::state::{InterruptShadow, Mode, State, eflags};
use crate::tlb::View;

/// Breakpoint enable bits of DR7, L0 to G3.
pub(crate) const DR7_ENABLES: u64 = 0xff;

impl Mode {
    /// The mode `state` is in.
    pub(crate) fn of(state: &State) -> Mode {
        let segment = |number: u8| &state.segs[usize::from(number)];
        let width = |big| if big { Width::W32 } else { Width::W16 };
        let long = state.code64();
        let user = state.cpl == 3;
        let flags = state.system_flags;
        Mode {
            code: if long { Width::W64 } else { width(segment(seg::CS).access.big()) },
            stack: if long { Width::W64 } else { width(segment(seg::SS).access.big()) },
            flat: long || flat(state),
            user,
            aligned: user && state.cr0 & CR0_AM != 0 && flags & eflags::AC != 0,
            vex: state.protected(),
            single: flags & eflags::TF != 0
                || state.interrupt_shadow != InterruptShadow::None
                || state.dr[7] & DR7_ENABLES != 0,
        }
    }

    /// Packed into 16 bits, [`USER`] among them.
    pub(crate) fn bits(self) -> u16 {
        let flags = [self.vex, self.flat, self.user, self.aligned, self.single];
        let packed = flags.iter().fold(0, |bits, &flag| bits << 1 | u16::from(flag));
        packed << 4 | (self.code as u16) << 2 | self.stack as u16
    }
}

/// The bit of user mode in [`Mode::bits`].
pub(crate) const USER: u16 = 1 << 6;

/// Whether every access through ES, CS, SS and DS is within limits and rights. CS is readable; only a store through it
/// would still be wrong, and decoding sees to that.
fn flat(state: &State) -> bool {
    let whole = |number: u8| {
        let segment = &state.segs[usize::from(number)];
        let access = segment.access;
        // With a base of zero an offset that wrapped at 32 bits is a linear address that did.
        segment.base == 0 && segment.limit == u32::MAX && !access.expand_down() && access.readable()
    };
    let writable = |number: u8| state.segs[usize::from(number)].access.writable();
    [seg::ES, seg::SS, seg::DS].iter().all(|&s| whole(s) && writable(s)) && whole(seg::CS)
}

impl Cpu {
    /// Derives `mode`, `mode_bits` and the TLB's view from `state`; `Mode::single` is also set while exec is traced.
    pub fn state_changed(&mut self) {
        self.mode = Mode::of(&self.state);
        self.context.ends_changed = true;
        if self.trace.as_ref().is_some_and(|trace| trace.exec) {
            self.mode.single = true;
        }
        self.mode_bits = self.mode.bits();
        self.tlb.select(self.state.view_at(self.state.cpl));
    }
}

impl State {
    /// As whom a data access at privilege level `cpl` is checked.
    pub(crate) fn view_at(&self, cpl: u8) -> View {
        if cpl == 3 {
            View::User
        } else if self.cr4 & CR4_SMAP != 0 && self.system_flags & eflags::AC == 0 {
            View::Supervisor
        } else {
            View::SupervisorWithUser
        }
    }
}

//! Descriptor-table registers, and instructions that examine selectors (Intel SDM vol. 3, 5.10).

use x86::instructions::system::Sys;
use x86::{Engine, Exception, Op, Width, flags};

use crate::exec::Exec;
use crate::mmu::canonical;
use crate::segments::descriptor::{Descriptor, system};
use crate::segments::{is_null, rpl, selector_error, unusable_segment};
use crate::state::DescriptorTable;
use crate::state::control::CR4_UMIP;

/// Bits of a descriptor's upper half that `LAR` shows.
const RIGHTS: u64 = 0x00ff_ff00;

impl Exec<'_> {
    pub(super) fn table_register(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let protected = self.cpu.state.protected();
        if matches!(sys, Sys::Sldt | Sys::Str | Sys::Lldt | Sys::Ltr) && !protected {
            return Err(Exception::InvalidOpcode);
        }
        if matches!(sys, Sys::Sgdt | Sys::Sidt | Sys::Sldt | Sys::Str) {
            self.check_user_mode_prevention()?;
        } else {
            self.require_privilege(0)?;
        }
        match sys {
            Sys::Sgdt => self.store_table(op, self.cpu.state.gdtr),
            Sys::Sidt => self.store_table(op, self.cpu.state.idtr),
            Sys::Lgdt => {
                self.cpu.state.gdtr = self.read_table(op)?;
                Ok(())
            }
            Sys::Lidt => {
                self.cpu.state.idtr = self.read_table(op)?;
                Ok(())
            }
            Sys::Sldt => self.write_word(op, u64::from(self.cpu.state.ldtr.selector)),
            Sys::Str => self.write_word(op, u64::from(self.cpu.state.tr.selector)),
            Sys::Lldt => self.lldt(op),
            _ => self.ltr(op),
        }
    }

    /// CR4.UMIP keeps user mode from `SGDT`, `SIDT`, `SLDT`, `SMSW` and `STR`.
    pub(super) fn check_user_mode_prevention(&self) -> Result<(), Exception> {
        if self.cpu.state.cr4 & CR4_UMIP != 0 { self.require_privilege(0) } else { Ok(()) }
    }

    fn base_width(&self) -> Width {
        if self.cpu.mode.code == Width::W64 { Width::W64 } else { Width::W32 }
    }

    fn store_table(&mut self, op: &Op, table: DescriptorTable) -> Result<(), Exception> {
        let w = self.base_width();
        // Both parts are known to be writable before either is written.
        let (_, base) = self.load_rw_at(w, op, 2)?;
        self.store(Width::W16, op, u64::from(table.limit))?;
        self.store_rw(w, base, w.truncate(table.base));
        Ok(())
    }

    fn read_table(&mut self, op: &Op) -> Result<DescriptorTable, Exception> {
        let limit = self.load(Width::W16, op)? as u16;
        let w = self.base_width();
        let mut base = self.load_at(w, op, 2)?;
        if w == Width::W64 && !canonical(base) {
            return Err(Exception::GeneralProtection(0));
        }
        if op.opsize == Width::W16 {
            base &= 0xff_ffff;
        }
        Ok(DescriptorTable { base, limit })
    }

    fn lldt(&mut self, op: &Op) -> Result<(), Exception> {
        let selector = self.read_word(op, op.dst)?;
        if is_null(selector) {
            self.cpu.state.ldtr = unusable_segment(selector);
            return Ok(());
        }
        let (descriptor, base_high) = self.table_descriptor(selector, |kind| kind == system::LDT)?;
        let mut ldtr = descriptor.segment(selector);
        ldtr.base |= base_high;
        self.cpu.state.ldtr = ldtr;
        Ok(())
    }

    fn ltr(&mut self, op: &Op) -> Result<(), Exception> {
        let selector = self.read_word(op, op.dst)?;
        let long = self.cpu.state.long_mode();
        let available = |kind| kind == system::TSS32_AVAILABLE || (kind == system::TSS16_AVAILABLE && !long);
        let (descriptor, base_high) = self.table_descriptor(selector, available)?;
        self.set_busy(selector, true)?;
        const BUSY: u64 = 2 << 40;
        let mut tr = Descriptor(descriptor.0 | BUSY).segment(selector);
        tr.base |= base_high;
        self.cpu.state.tr = tr;
        Ok(())
    }

    /// The descriptor of an LDT or TSS that `LLDT` or `LTR` loads, and bits 63:32 of its base.
    fn table_descriptor(&mut self, selector: u16, fits: impl Fn(u8) -> bool) -> Result<(Descriptor, u64), Exception> {
        let error = selector_error(selector);
        if is_null(selector) || selector & 4 != 0 {
            return Err(Exception::GeneralProtection(error));
        }
        let (descriptor, base_high) = self.system_descriptor(selector, Exception::GeneralProtection, 0)?;
        if !descriptor.system_type().is_some_and(fits) || !canonical(base_high | descriptor.base()) {
            return Err(Exception::GeneralProtection(error));
        }
        if !descriptor.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        Ok((descriptor, base_high))
    }

    pub(super) fn examine_selector(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        if !self.cpu.state.protected() {
            return Err(Exception::InvalidOpcode);
        }
        if sys == Sys::Arpl {
            return self.arpl(op);
        }
        let slot = if matches!(sys, Sys::Lar | Sys::Lsl) { op.src } else { op.dst };
        let selector = self.read_word(op, slot)?;
        let visible = self.visible_descriptor(selector, sys)?;
        self.set_status_flag(flags::ZF, visible.is_some());
        let Some(descriptor) = visible else { return Ok(()) };
        let w = op.opsize;
        match sys {
            Sys::Lar => self.set_register(w, op.dst, w.truncate(descriptor.0 >> 32 & RIGHTS)),
            Sys::Lsl => self.set_register(w, op.dst, w.truncate(u64::from(descriptor.limit()))),
            _ => {}
        }
        Ok(())
    }

    /// The descriptor of `selector`, where the instruction may see it at this privilege level.
    fn visible_descriptor(&mut self, selector: u16, sys: Sys) -> Result<Option<Descriptor>, Exception> {
        if is_null(selector) {
            return Ok(None);
        }
        let Some(linear) = self.descriptor_address(selector, 8) else { return Ok(None) };
        let descriptor = Descriptor(self.load_system(Width::W64, linear)?);
        let access = descriptor.access();
        let long = self.cpu.state.long_mode();
        let shown = match (sys, descriptor.system_type()) {
            (Sys::Verr, None) => access.readable(),
            (Sys::Verw, None) => access.writable(),
            (_, None) => true,
            (Sys::Lar, Some(kind)) => lar_shows(kind, long),
            (Sys::Lsl, Some(kind)) => lsl_shows(kind, long),
            _ => false,
        };
        let reachable = access.conforming() || access.dpl() >= self.cpu.state.cpl.max(rpl(selector));
        Ok((shown && reachable).then_some(descriptor))
    }

    fn arpl(&mut self, op: &Op) -> Result<(), Exception> {
        let wanted = self.register(Width::W16, op.src);
        let raise = |selector: u64| selector & !3 | wanted & 3;
        let lower;
        if op.form.dst_is_memory() {
            let selector = self.load(Width::W16, op)?;
            lower = selector & 3 < wanted & 3;
            if lower {
                self.store(Width::W16, op, raise(selector))?;
            }
        } else {
            let selector = self.register(Width::W16, op.dst);
            lower = selector & 3 < wanted & 3;
            if lower {
                self.set_register(Width::W16, op.dst, raise(selector));
            }
        }
        self.set_status_flag(flags::ZF, lower);
        Ok(())
    }
}

/// System descriptor types `LAR` accepts (Intel SDM vol. 2, table 3-52).
fn lar_shows(kind: u8, long: bool) -> bool {
    match kind {
        system::LDT | system::TSS32_AVAILABLE | system::TSS32_BUSY | system::CALL_GATE32 => true,
        system::TSS16_AVAILABLE | system::TSS16_BUSY | system::CALL_GATE16 | system::TASK_GATE => !long,
        _ => false,
    }
}

/// System descriptor types `LSL` accepts: those with a limit (table 3-54).
fn lsl_shows(kind: u8, long: bool) -> bool {
    match kind {
        system::LDT | system::TSS32_AVAILABLE | system::TSS32_BUSY => true,
        system::TSS16_AVAILABLE | system::TSS16_BUSY => !long,
        _ => false,
    }
}

//! Control and debug registers, HLT and TLB invalidation (Intel SDM vol. 3, 2.5 and 2.8).

use x86::{Engine, Exception, Feature, FeatureSet, Op, Width, seg};

use crate::exec::Exec;
use crate::mmu::{PHYSICAL_BITS, canonical};
use crate::state::control::*;

/// CR0 bits that exist.
const CR0_BITS: u64 = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/// CR4 bits and the feature each comes with.
const CR4_FEATURES: [(u64, Feature); 16] = [
    (CR4_VME | CR4_PVI, Feature::Vme),
    (CR4_TSD, Feature::Tsc),
    (CR4_DE, Feature::De),
    (CR4_PSE, Feature::Pse),
    (CR4_PAE, Feature::Pae),
    (CR4_MCE, Feature::Mce),
    (CR4_PGE, Feature::Pge),
    (CR4_PCE, Feature::P6),
    (CR4_OSFXSR, Feature::Fxsr),
    (CR4_OSXMMEXCPT, Feature::Sse),
    (CR4_UMIP, Feature::Umip),
    (CR4_FSGSBASE, Feature::Fsgsbase),
    (CR4_PCIDE, Feature::Pcid),
    (CR4_OSXSAVE, Feature::Xsave),
    (CR4_SMEP, Feature::Smep),
    (CR4_SMAP, Feature::Smap),
];
/// A change of these invalidates translations (Intel SDM vol. 3, 4.10.4.1).
const CR0_PAGING: u64 = CR0_PG | CR0_WP | CR0_PE;
const CR4_PAGING: u64 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
/// A change of these reloads the page-directory-pointer entries of PAE paging (4.4.1).
const CR4_PDPTE: u64 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP;
/// Bit 63 of a value written to CR3: keep the translations of its PCID.
const CR3_KEEP: u64 = 1 << 63;
const PCID: u64 = 0xfff;

/// The CR4 bits a processor with `features` has; setting another is #GP(0).
pub(crate) fn cr4_bits(features: FeatureSet) -> u64 {
    CR4_FEATURES.iter().filter(|(_, feature)| features.contains(*feature)).fold(0, |bits, (bit, _)| bits | bit)
}

impl Exec<'_> {
    pub(super) fn store_control(&mut self, op: &Op) -> Result<(), Exception> {
        self.check_register_move(op.src)?;
        let state = &self.cpu.state;
        let value = match op.src {
            0 => state.cr0,
            2 => state.cr2,
            3 => state.cr3,
            4 => state.cr4,
            8 => u64::from(self.bus.task_priority()),
            _ => return Err(Exception::InvalidOpcode),
        };
        let w = self.register_move_width();
        self.set_register(w, op.dst, w.truncate(value));
        Ok(())
    }

    pub(super) fn load_control(&mut self, op: &Op) -> Result<(), Exception> {
        self.check_register_move(op.dst)?;
        let w = self.register_move_width();
        let value = self.register(w, op.src);
        match op.dst {
            0 => self.write_cr0(value),
            2 => {
                self.cpu.state.cr2 = value;
                Ok(())
            }
            3 => self.write_cr3(value),
            4 => self.write_cr4(value),
            8 => self.write_cr8(value),
            _ => Err(Exception::InvalidOpcode),
        }
    }

    /// Control register `number` exists, and privilege level 0, and not virtual-8086 mode.
    fn check_register_move(&self, number: u8) -> Result<(), Exception> {
        if !matches!(number, 0 | 2 | 3 | 4 | 8) {
            return Err(Exception::InvalidOpcode);
        }
        self.require_privilege(0)
    }

    /// The operand size prefix does not count.
    fn register_move_width(&self) -> Width {
        if self.cpu.mode.code == Width::W64 { Width::W64 } else { Width::W32 }
    }

    /// Intel SDM vol. 3, 2.5 and 9.8.5; vol. 2, MOV to control register.
    fn write_cr0(&mut self, value: u64) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let paging = value & CR0_PG != 0;
        let impossible = value >> 32 != 0
            || (paging && value & CR0_PE == 0)
            || (value & CR0_NW != 0 && value & CR0_CD == 0)
            || (!paging && (state.code64() || state.cr4 & CR4_PCIDE != 0));
        if impossible {
            return Err(Exception::GeneralProtection(0));
        }
        let new = value & CR0_BITS | CR0_ET;
        let changed = new ^ state.cr0;
        let mut efer = state.msrs.efer;
        if changed & CR0_PG != 0 {
            if paging && efer & EFER_LME != 0 {
                let segs = &state.segs;
                if state.cr4 & CR4_PAE == 0
                    || segs[usize::from(seg::CS)].access.long()
                    || state.tr.access.kind() & 8 == 0
                {
                    return Err(Exception::GeneralProtection(0));
                }
                efer |= EFER_LMA;
            } else if !paging {
                efer &= !EFER_LMA;
            }
        }
        if changed & (CR0_PG | CR0_CD | CR0_NW) != 0 && efer & EFER_LMA == 0 {
            let (cr3, cr4) = (state.cr3, state.cr4);
            self.load_pdptes(new, cr3, cr4)?;
        }
        self.cpu.state.cr0 = new;
        self.cpu.state.msrs.efer = efer;
        if changed & CR0_PAGING != 0 {
            self.flush_translations(false);
        }
        self.cpu.state_changed();
        Ok(())
    }

    fn write_cr3(&mut self, value: u64) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let (cr0, cr4) = (state.cr0, state.cr4);
        let mut value = value;
        let has_pcids = cr4 & CR4_PCIDE != 0;
        let keep = has_pcids && value & CR3_KEEP != 0;
        if has_pcids {
            value &= !CR3_KEEP;
        }
        if state.long_mode() && value >> PHYSICAL_BITS != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        self.load_pdptes(cr0, value, cr4)?;
        let before = core::mem::replace(&mut self.cpu.state.cr3, value);
        if has_pcids {
            self.switch_space((before & PCID) as u16, (value & PCID) as u16, keep);
        } else {
            self.flush_translations(true);
        }
        Ok(())
    }

    fn write_cr4(&mut self, value: u64) -> Result<(), Exception> {
        let state = &self.cpu.state;
        let (cr0, cr3, changed) = (state.cr0, state.cr3, state.cr4 ^ value);
        let enables_pcid = changed & value & CR4_PCIDE != 0;
        let impossible = value & !cr4_bits(self.cpu.features) != 0
            || (state.long_mode() && value & CR4_PAE == 0)
            || (enables_pcid && (!state.long_mode() || cr3 & PCID != 0));
        if impossible {
            return Err(Exception::GeneralProtection(0));
        }
        if changed & CR4_PDPTE != 0 {
            self.load_pdptes(cr0, cr3, value)?;
        }
        self.cpu.state.cr4 = value;
        if changed & CR4_PAGING != 0 {
            self.flush_translations(false);
        }
        self.cpu.state_changed();
        Ok(())
    }

    fn write_cr8(&mut self, value: u64) -> Result<(), Exception> {
        if value > 15 {
            return Err(Exception::GeneralProtection(0));
        }
        let now = self.now();
        self.bus.set_task_priority(value as u8, now);
        self.bus_accessed();
        Ok(())
    }

    pub(super) fn load_debug(&mut self, op: &Op) -> Result<(), Exception> {
        let value = self.register(self.register_move_width(), op.src);
        self.write_debug(op.dst, value)
    }

    pub(super) fn store_debug(&mut self, op: &Op) -> Result<(), Exception> {
        let value = self.read_debug(op.src)?;
        let w = self.register_move_width();
        self.set_register(w, op.dst, w.truncate(value));
        Ok(())
    }

    pub(super) fn smsw(&mut self, op: &Op) -> Result<(), Exception> {
        self.check_user_mode_prevention()?;
        let value = self.cpu.state.cr0;
        self.write_word(op, value)
    }

    /// Bits 3:0 of CR0; PE can be set, not cleared.
    pub(super) fn lmsw(&mut self, op: &Op) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let value = u64::from(self.read_word(op, op.dst)?);
        let old = self.cpu.state.cr0;
        self.write_cr0(old & !0xe | value & 0xf | old & CR0_PE)
    }

    pub(super) fn clts(&mut self) -> Result<(), Exception> {
        self.require_privilege(0)?;
        self.cpu.state.cr0 &= !CR0_TS;
        Ok(())
    }

    pub(super) fn invlpg(&mut self, op: &Op) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let offset = self.effective_address(op);
        let linear = self.wrap(self.cpu.state.segs[usize::from(op.seg)].base.wrapping_add(offset));
        if canonical(linear) {
            self.invalidate_page(linear);
        }
        Ok(())
    }

    /// Drops the translations of a page: of the address space in force, and global ones.
    fn invalidate_page(&mut self, linear: u64) {
        let large = self.cpu.tlb.flush_page(linear);
        self.cpu.blocks.forget_page_jumps(linear, large);
    }

    /// SDM vol. 2, INVPCID. Of an address space that is not in force, more goes than has to: all of it.
    pub(super) fn invpcid(&mut self, op: &Op) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let kind = self.register(op.width, op.dst);
        let pcid = self.load(Width::W64, op)?;
        let linear = self.load_at(Width::W64, op, 8)?;
        let one_address = kind == 0;
        let names_pcid = kind < 2;
        let without_pcids = self.cpu.state.cr4 & CR4_PCIDE == 0;
        let impossible = kind > 3
            || pcid & !PCID != 0
            || (one_address && !canonical(linear))
            || (names_pcid && pcid != 0 && without_pcids);
        if impossible {
            return Err(Exception::GeneralProtection(0));
        }
        const ONE_PCID: u64 = 1;
        const ALL_WITH_GLOBAL: u64 = 2;
        let in_force = if without_pcids { 0 } else { self.cpu.state.cr3 & PCID };
        match kind {
            0 | ONE_PCID if pcid != in_force => self.forget_space(pcid as u16),
            0 => self.invalidate_page(linear),
            ONE_PCID => self.flush_translations(true),
            ALL_WITH_GLOBAL => self.flush_translations(false),
            _ => {
                self.forget_spaces();
                self.flush_translations(true);
            }
        }
        Ok(())
    }

    pub(super) fn hlt(&mut self) -> Result<(), Exception> {
        self.require_privilege(0)?;
        self.cpu.state.halted = true;
        self.cpu.attention = true;
        Ok(())
    }
}

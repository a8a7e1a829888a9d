//! The page walker (Intel SDM vol. 3, chapter 4): linear to physical address, rights, accessed and dirty bits.

use platform::{Backing, PhysAddr};
use x86::{Exception, Width};

use crate::exec::Exec;
use crate::state::control::{CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_NXE};
use crate::tlb::{PageKind, Use, View};

/// Width of a physical address; CPUID leaf 0x80000008 reports it.
pub(crate) const PHYSICAL_BITS: u32 = 39;
/// Physical address bits of an entry's page frame.
const FRAME: u64 = ((1 << PHYSICAL_BITS) - 1) & !0xfff;
/// Physical address bits a processor of this width does not have, up to bit 51.
const ABOVE_WIDTH: u64 = (1 << 52) - (1 << PHYSICAL_BITS);

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;

/// Error code of a page fault (Intel SDM vol. 3, figure 4-12).
mod error {
    pub const PROTECTION: u16 = 1 << 0;
    pub const WRITE: u16 = 1 << 1;
    pub const USER: u16 = 1 << 2;
    pub const RESERVED: u16 = 1 << 3;
    pub const FETCH: u16 = 1 << 4;
}

/// Where a linear address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) phys: PhysAddr,
    pub(crate) kind: PageKind,
}

/// How an access is checked.
#[derive(Clone, Copy)]
struct Attempt {
    linear: u64,
    usage: Use,
    view: View,
    /// Entries are to be marked accessed and dirty; else those that are not end the walk.
    marks: bool,
}

/// What the entries of a walk allow together.
#[derive(Clone, Copy)]
struct Rights {
    /// `WRITABLE` and `USER` only where every entry has them.
    all: u64,
    /// `NO_EXECUTE` where any entry has it.
    any: u64,
}

/// An entry the walk used and where it was read.
#[derive(Clone, Copy, Default)]
struct Used {
    addr: PhysAddr,
    value: u64,
}

/// One level of a walk.
struct Level {
    /// Lowest linear address bit of this level's index.
    shift: u32,
    /// Number of index bits.
    bits: u32,
    /// Bits that must be zero in an entry that points to a table.
    reserved: u64,
    /// Bits that must be zero in an entry that maps a large page; `None`: PS is itself reserved or ignored here.
    large_reserved: Option<u64>,
}

impl Exec<'_> {
    /// Translates `linear` for an access of `usage` as the TLB's selected view, and marks the entries accessed and, for
    /// a write, dirty.
    ///
    /// # Errors
    /// #PF.
    pub(crate) fn walk(&mut self, usage: Use, linear: u64) -> Result<Translation, Exception> {
        let view = self.cpu.tlb.view();
        self.attempt(Attempt { linear, usage, view, marks: true })
    }

    /// The page that code at `linear` would be fetched from, if that left no trace: nothing is marked, and no exception raised.
    pub(crate) fn peek_code(&mut self, linear: u64) -> Option<Translation> {
        let kind = PageKind { global: self.cpu.tlb.is_global_code(linear), large: false };
        if let Some((phys, _)) = self.cpu.tlb.lookup_code(linear) {
            return Some(Translation { phys, kind });
        }
        let (fault_address, view) = (self.cpu.fault_address, self.cpu.tlb.view());
        let found = self.attempt(Attempt { linear, usage: Use::Execute, view, marks: false });
        self.cpu.fault_address = fault_address;
        found.ok().map(|found| Translation { phys: found.phys.page(), ..found })
    }

    fn attempt(&mut self, attempt: Attempt) -> Result<Translation, Exception> {
        let linear = attempt.linear;
        let state = &self.cpu.state;
        if state.cr0 & CR0_PG == 0 {
            return Ok(Translation { phys: PhysAddr(linear), kind: PageKind::default() });
        }
        if state.long_mode() {
            let root = state.cr3 & FRAME;
            return self.walk_levels(attempt, root, Rights { all: WRITABLE | USER, any: 0 }, &self.long_levels());
        }
        if state.cr4 & CR4_PAE != 0 {
            let pointer = state.pdptes[(linear >> 30) as usize & 3];
            if pointer & PRESENT == 0 {
                return Err(self.page_fault(attempt, 0));
            }
            let levels = self.long_levels();
            return self.walk_levels(attempt, pointer & FRAME, Rights { all: WRITABLE | USER, any: 0 }, &levels[2..]);
        }
        self.walk_legacy(attempt)
    }

    /// Levels of 4-level paging; PAE paging is the last two (tables 4-9 to 4-11 and 4-15 to 4-19). There are no 1-GiB pages.
    fn long_levels(&self) -> [Level; 4] {
        let no_execute = if self.cpu.state.msrs.efer & EFER_NXE == 0 { NO_EXECUTE } else { 0 };
        // PAE reserves bits 62:52 as well; 4-level paging ignores them.
        let high = if self.cpu.state.long_mode() { 0 } else { 0x7ff << 52 };
        let reserved = ABOVE_WIDTH | no_execute | high;
        let level = |shift, reserved, large_reserved| Level { shift, bits: 9, reserved, large_reserved };
        [
            level(39, reserved | LARGE, None),
            level(30, reserved | LARGE, None),
            level(21, reserved, Some(reserved | 0x1f_e000)),
            level(12, reserved, None),
        ]
    }

    fn walk_levels(
        &mut self,
        attempt: Attempt,
        root: u64,
        mut rights: Rights,
        levels: &[Level],
    ) -> Result<Translation, Exception> {
        let mut used = [Used::default(); 4];
        let mut table = root;
        for (depth, level) in levels.iter().enumerate() {
            let index = attempt.linear >> level.shift & ((1 << level.bits) - 1);
            let addr = PhysAddr(table + index * 8);
            let value = self.structure_entry(Width::W64, addr);
            used[depth] = Used { addr, value };
            let large = level.large_reserved.filter(|_| value & LARGE != 0);
            if value & PRESENT == 0 {
                return Err(self.page_fault(attempt, 0));
            }
            if value & large.unwrap_or(level.reserved) != 0 {
                return Err(self.page_fault(attempt, error::PROTECTION | error::RESERVED));
            }
            rights = Rights { all: rights.all & value, any: rights.any | value };
            if large.is_some() || depth + 1 == levels.len() {
                let offset = (1 << level.shift) - 1;
                let phys = PhysAddr(value & FRAME & !offset | attempt.linear & offset);
                self.finish_walk(attempt, rights, &used[..=depth], Width::W64)?;
                return Ok(self.translation(phys, value, large.is_some()));
            }
            table = value & FRAME;
        }
        unreachable!("the last level maps a page")
    }

    /// Reads an entry of a paging structure; where its page is RAM is remembered.
    fn structure_entry(&mut self, w: Width, addr: PhysAddr) -> u64 {
        let page = addr.page();
        let host = match self.cpu.tlb.structure(page) {
            Some(host) => host,
            None => {
                let Backing::Ram(at) = self.bus.backing(addr) else { return self.physical_read(w, addr) };
                let Some(host) = self.host_page(at) else { return self.physical_read(w, addr) };
                self.cpu.tlb.remember_structure(page, host as usize);
                host as usize
            }
        };
        let at = (host + (addr.0 & 0xfff) as usize) as *const u8;
        // SAFETY: `host_page` gives pages that lie in guest memory, which stays where it is while the bus is there; entries are aligned, so
        // that they lie within one. When the memory map changes, what was remembered is forgotten with all translations.
        unsafe {
            if w == Width::W64 {
                at.cast::<u64>().read_unaligned()
            } else {
                u64::from(at.cast::<u32>().read_unaligned())
            }
        }
    }

    /// 32-bit paging (Intel SDM vol. 3, 4.3).
    fn walk_legacy(&mut self, attempt: Attempt) -> Result<Translation, Exception> {
        let linear = attempt.linear;
        let pse = self.cpu.state.cr4 & CR4_PSE != 0;
        let directory = PhysAddr((self.cpu.state.cr3 & 0xffff_f000) + (linear >> 22 & 0x3ff) * 4);
        let pde = self.structure_entry(Width::W32, directory);
        let first = Used { addr: directory, value: pde };
        if pde & PRESENT == 0 {
            return Err(self.page_fault(attempt, 0));
        }
        if pse && pde & LARGE != 0 {
            // PSE-36: bits 20:13 are address bits 39:32, of which those above the width are reserved, as is bit 21.
            let high = pde >> 13 & 0xff;
            if pde & 1 << 21 != 0 || high >> (PHYSICAL_BITS - 32) != 0 {
                return Err(self.page_fault(attempt, error::PROTECTION | error::RESERVED));
            }
            self.finish_walk(attempt, Rights { all: pde, any: 0 }, &[first], Width::W32)?;
            let phys = PhysAddr(high << 32 | pde & 0xffc0_0000 | linear & 0x3f_ffff);
            return Ok(self.translation(phys, pde, true));
        }
        let table = PhysAddr((pde & 0xffff_f000) + (linear >> 12 & 0x3ff) * 4);
        let pte = self.structure_entry(Width::W32, table);
        if pte & PRESENT == 0 {
            return Err(self.page_fault(attempt, 0));
        }
        let rights = Rights { all: pde & pte, any: 0 };
        self.finish_walk(attempt, rights, &[first, Used { addr: table, value: pte }], Width::W32)?;
        Ok(self.translation(PhysAddr(pte & 0xffff_f000 | linear & 0xfff), pte, false))
    }

    fn translation(&self, phys: PhysAddr, leaf: u64, large: bool) -> Translation {
        let global = leaf & GLOBAL != 0 && self.cpu.state.cr4 & CR4_PGE != 0;
        Translation { phys, kind: PageKind { global, large } }
    }

    /// Checks the rights and writes the accessed and dirty bits of a complete walk.
    fn finish_walk(&mut self, attempt: Attempt, rights: Rights, used: &[Used], w: Width) -> Result<(), Exception> {
        if !self.permitted(attempt, rights) {
            return Err(self.page_fault(attempt, error::PROTECTION));
        }
        for (depth, entry) in used.iter().enumerate() {
            let leaf = depth + 1 == used.len();
            let marks = if leaf && attempt.usage == Use::Write { ACCESSED | DIRTY } else { ACCESSED };
            if entry.value & marks != marks {
                if !attempt.marks {
                    return Err(self.page_fault(attempt, 0));
                }
                self.physical_write(w, entry.addr, entry.value | marks);
            }
        }
        Ok(())
    }

    /// Intel SDM vol. 3, 4.6.1.
    fn permitted(&self, attempt: Attempt, rights: Rights) -> bool {
        let state = &self.cpu.state;
        let user_page = rights.all & USER != 0;
        let executable = rights.any & NO_EXECUTE == 0;
        let writable = rights.all & WRITABLE != 0;
        match (attempt.view, attempt.usage) {
            (View::User, _) if !user_page => false,
            (View::User, Use::Execute) => executable,
            (View::User, Use::Write) => writable,
            (View::User, Use::Read) => true,
            (_, Use::Execute) => executable && !(user_page && state.cr4 & CR4_SMEP != 0),
            (View::Supervisor, _) if user_page && state.cr4 & CR4_SMAP != 0 => false,
            (_, Use::Write) => writable || state.cr0 & CR0_WP == 0,
            (_, Use::Read) => true,
        }
    }

    fn page_fault(&mut self, attempt: Attempt, cause: u16) -> Exception {
        let state = &self.cpu.state;
        let mut error = cause;
        if attempt.usage == Use::Write {
            error |= error::WRITE;
        }
        if attempt.view == View::User {
            error |= error::USER;
        }
        let tells_fetch = state.cr4 & CR4_SMEP != 0 || (state.cr4 & CR4_PAE != 0 && state.msrs.efer & EFER_NXE != 0);
        if attempt.usage == Use::Execute && tells_fetch {
            error |= error::FETCH;
        }
        self.cpu.fault_address = attempt.linear;
        Exception::PageFault(error)
    }

    /// Loads the four page-directory-pointer entries where PAE paging is in use.
    ///
    /// # Errors
    /// #GP(0) where a present entry has a reserved bit set (Intel SDM vol. 3, 4.4.1); nothing is loaded.
    pub(crate) fn load_pdptes(&mut self, cr0: u64, cr3: u64, cr4: u64) -> Result<(), Exception> {
        if cr0 & CR0_PG == 0 || cr4 & CR4_PAE == 0 || self.cpu.state.long_mode() {
            return Ok(());
        }
        const RESERVED: u64 = 0x1e6 | ABOVE_WIDTH | 0xfff << 52;
        let mut entries = [0; 4];
        for (place, entry) in entries.iter_mut().enumerate() {
            *entry = self.physical_read(Width::W64, PhysAddr((cr3 & 0xffff_ffe0) + place as u64 * 8));
            if *entry & PRESENT != 0 && *entry & RESERVED != 0 {
                return Err(Exception::GeneralProtection(0));
            }
        }
        self.cpu.state.pdptes = entries;
        Ok(())
    }
}

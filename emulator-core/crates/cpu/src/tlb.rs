//! The translation look-aside buffer: where a linear page lies in host memory, if it may be touched without asking.
//!
//! Direct-mapped, 16-byte entries, one compare an access. There are separate tables for reading, writing and fetching, so that
//! permission, dirtiness, MMIO and "holds decoded code" all fold into an entry that does not match; and a set of tables for every
//! privilege a data access can have, so that a change of CPL or EFLAGS.AC swaps a pointer. How far an address
//! lies in the page is compared with how far it may, so an access that crosses pages misses too. The layout is what compiled code indexes.
//!
//! Entries always cover 4 KiB. Where the guest maps a larger page, its 4 MiB of linear address space is marked, and
//! invalidating any address in it drops every entry there (Intel SDM vol. 3, 4.10.4.1).

use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

use platform::PhysAddr;

use crate::spaces::Spaces;

/// Entries in each table.
pub const ENTRIES: usize = 8192;
/// Bytes of a page.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// Clears the offset within a page.
pub const PAGE_MASK: u64 = !(PAGE_BYTES - 1);

/// The page of an entry that is none: one that has its entry two places away, so that no access that begins in a page with its entry at `slot` is in it.
const fn elsewhere(slot: usize) -> u64 {
    (slot ^ 2) as u64 * PAGE_BYTES
}

/// One translation.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    /// Linear address right before the page: less an address in the page it is a small negative number, whichever of the page's bytes that is of. The page is
    /// another one where the entry is none: see [`elsewhere`].
    before: u64,
    /// Added to a linear address in the page it gives the host address.
    addend: u64,
}

impl Entry {
    /// Linear address of the page.
    fn page(&self) -> u64 {
        self.before.wrapping_add(1)
    }

    /// Makes this, the entry at `slot` of a table, one that is none.
    fn drop_at(&mut self, slot: usize) {
        self.before = elsewhere(slot).wrapping_sub(1);
    }

    /// Whether all `bytes` from `linear` on, 4,096 at most, lie in the page. Compiled code asks the same.
    #[inline(always)]
    fn covers(&self, linear: u64, bytes: u64) -> bool {
        self.before.wrapping_sub(linear) >= least_difference(bytes)
    }

    /// As it lies in memory: the address before the page, and what is added.
    #[must_use]
    pub fn words(&self) -> [u64; 2] {
        [self.before, self.addend]
    }

    /// The page, if this is the entry at `slot` of a table and there is one.
    #[must_use]
    pub fn at(&self, slot: usize) -> Option<u64> {
        (self.page() != elsewhere(slot)).then_some(self.page())
    }
}

/// The least of what an [`Entry`]'s address less that of `bytes` in its page may be, unsigned.
#[must_use]
pub const fn least_difference(bytes: u64) -> u64 {
    bytes.wrapping_sub(PAGE_BYTES + 1)
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Use {
    /// Data read.
    Read = 0,
    /// Data write: the page is present, writable, dirty, and holds no decoded code.
    Write = 1,
    /// Instruction fetch.
    Execute = 2,
}

/// As whom a data access is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum View {
    /// User mode.
    User = 0,
    /// Supervisor mode with SMAP in force: user pages fault.
    Supervisor = 1,
    /// Supervisor mode with user pages allowed: CR4.SMAP clear, or EFLAGS.AC set.
    SupervisorWithUser = 2,
}

const VIEWS: usize = 3;
const USES: usize = 3;

#[repr(C)]
struct Tables {
    entries: [[Entry; ENTRIES]; USES],
    /// Bit set: the entry belongs to a global page.
    global: [[u64; ENTRIES / 64]; USES],
    /// Physical page of each [`Use::Execute`] entry.
    code_pages: [PhysAddr; ENTRIES],
}

/// See the module.
pub struct Tlb {
    /// Tables by [`View`]; owned, as a box would, so that `selected` may point into it.
    tables: NonNull<[Tables; VIEWS]>,
    /// The tables of `view`: what every access indexes.
    selected: NonNull<Tables>,
    view: usize,
    /// Misses since power-on, for statistics.
    pub misses: u64,
    /// Entries filled since they were flushed last, as `view << 20 | use << 16 | index`: those of pages that are not global, and those of
    /// global ones, which a load of CR3 need not even look at. Past [`ENTRIES`] of them a flush goes through all tables.
    filled: [Vec<u32>; 2],
    /// Where pages of RAM that paging structures lie in are in the host's memory, by physical page.
    structures: [(PhysAddr, usize); STRUCTURES],
    /// Hashed set of 4 MiB regions in which some entry comes from a large page.
    large: [u64; LARGE_BITS / 64],
    /// Entries of other address spaces.
    spaces: Spaces<Vec<Kept>>,
}

/// An entry that is not in force.
#[derive(Clone, Copy)]
struct Kept {
    /// As in [`Tlb::filled`].
    place: u32,
    entry: Entry,
    code_page: PhysAddr,
}

/// Entries kept of an address space that is not in force: those that were filled last.
const MOST_KEPT: usize = 512;

/// Bits in the set of regions with large pages.
const LARGE_BITS: usize = 1024;
/// log2 of the size of such a region: of the largest page the walker knows, that of 32-bit paging.
pub const LARGE_SHIFT: u32 = 22;

/// Pages of paging structures kept: a walk needs four.
const STRUCTURES: usize = 64;
/// No page begins there.
const NO_PAGE: (PhysAddr, usize) = (PhysAddr(1), 0);

#[inline(always)]
fn index(linear: u64) -> usize {
    (linear >> 12) as usize & (ENTRIES - 1)
}

/// View, use and index of an entry, see [`Tlb::filled`].
#[inline(always)]
fn parts(place: u32) -> (usize, usize, usize) {
    let place = place as usize;
    (place >> 20, place >> 16 & 3, place & 0xffff)
}

#[inline(always)]
fn region(linear: u64) -> usize {
    (linear >> LARGE_SHIFT ^ linear >> (LARGE_SHIFT + 10)) as usize & (LARGE_BITS - 1)
}

#[inline(always)]
fn structure_slot(page: PhysAddr) -> usize {
    (page.0 >> 12) as usize % STRUCTURES
}

/// What kind of page a translation comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageKind {
    /// Survives a load of CR3.
    pub global: bool,
    /// Larger than 4 KiB.
    pub large: bool,
}

impl Tlb {
    /// An empty TLB.
    pub fn new() -> Tlb {
        let layout = Layout::new::<[Tables; VIEWS]>();
        // SAFETY: the tables have a size.
        let tables = NonNull::new(unsafe { alloc_zeroed(layout) }.cast::<[Tables; VIEWS]>());
        // In place: a value of this size would pass over the stack.
        let tables = tables.unwrap_or_else(|| handle_alloc_error(layout));
        let mut tlb = Tlb {
            tables,
            selected: tables.cast(),
            view: 0,
            misses: 0,
            filled: [Vec::new(), Vec::new()],
            structures: [NO_PAGE; STRUCTURES],
            large: [0; LARGE_BITS / 64],
            spaces: Spaces::new(),
        };
        // SAFETY: allocated above, and nobody else's; zero is a value of every number in there.
        let all = unsafe { tlb.tables.as_mut() };
        for table in all.iter_mut().flat_map(|tables| &mut tables.entries) {
            for (slot, entry) in table.iter_mut().enumerate() {
                entry.drop_at(slot);
            }
        }
        tlb.select(View::Supervisor);
        tlb
    }

    fn tables(&mut self) -> &mut [Tables; VIEWS] {
        // SAFETY: the allocation is this value's own; `selected` is only read through `&self`, never during this borrow.
        unsafe { self.tables.as_mut() }
    }

    /// Selects the tables for data accesses of `view` (and for fetches of the same privilege).
    #[inline(always)]
    pub fn select(&mut self, view: View) {
        self.view = view as usize;
        self.selected = self.tables_of(view);
    }

    fn tables_of(&self, view: View) -> NonNull<Tables> {
        // SAFETY: `View` is below VIEWS, so the pointer stays inside the allocation.
        unsafe { self.tables.cast::<Tables>().add(view as usize) }
    }

    /// Address of the tables of `view`.
    pub fn address(&self, view: View) -> usize {
        self.tables_of(view).as_ptr() as usize
    }

    /// Address of the tables of the selected view.
    pub fn selected_address(&self) -> usize {
        self.selected.as_ptr() as usize
    }

    /// The selected view.
    pub fn view(&self) -> View {
        match self.view {
            0 => View::User,
            1 => View::Supervisor,
            _ => View::SupervisorWithUser,
        }
    }

    /// Physical page and host address of `linear`, where it may be fetched from in the selected view.
    pub fn lookup_code(&self, linear: u64) -> Option<(PhysAddr, usize)> {
        let host = self.lookup(Use::Execute, linear, 1)?;
        // SAFETY: `selected` points at one of our tables.
        Some((unsafe { self.selected.as_ref() }.code_pages[index(linear)], host))
    }

    /// Physical page that code at `linear` is fetched from at some privilege, as far as the TLB knows.
    pub fn code_page(&self, linear: u64) -> Option<PhysAddr> {
        let slot = index(linear);
        // SAFETY: the allocation is this value's own.
        let views = unsafe { self.tables.as_ref() };
        let knows = |tables: &&Tables| tables.entries[Use::Execute as usize][slot].covers(linear, 1);
        views.iter().find(knows).map(|tables| tables.code_pages[slot])
    }

    /// Whether `linear` is fetched from a global page, as far as the TLB knows.
    pub fn is_global_code(&self, linear: u64) -> bool {
        let slot = index(linear);
        // SAFETY: `selected` points at one of our tables.
        let tables = unsafe { self.selected.as_ref() };
        let usage = Use::Execute as usize;
        tables.entries[usage][slot].covers(linear, 1) && tables.global[usage][slot / 64] >> (slot % 64) & 1 != 0
    }

    /// Host address of `linear`, where all `bytes` lie in one page that may be used so in the selected view.
    #[inline(always)]
    pub fn lookup(&self, usage: Use, linear: u64, bytes: u64) -> Option<usize> {
        // SAFETY: `selected` points at one of our tables; `usage` is below USES and `index` masks to ENTRIES.
        let entry =
            unsafe { self.selected.as_ref().entries.get_unchecked(usage as usize).get_unchecked(index(linear)) };
        entry.covers(linear, bytes).then(|| linear.wrapping_add(entry.addend) as usize)
    }

    /// Records that the page of `linear` is the physical page `phys` at `host_page`, for `usage` in the selected view.
    pub fn fill(&mut self, usage: Use, linear: u64, phys: PhysAddr, host_page: usize, kind: PageKind) {
        let page = linear & PAGE_MASK;
        let slot = index(linear);
        let PageKind { global, large } = kind;
        if large {
            let region = region(linear);
            self.large[region / 64] |= 1 << (region % 64);
        }
        let view = self.view;
        let tables = &mut self.tables()[view];
        if usage == Use::Execute {
            tables.code_pages[slot] = phys;
        }
        tables.entries[usage as usize][slot] =
            Entry { before: page.wrapping_sub(1), addend: (host_page as u64).wrapping_sub(page) };
        let bit = 1u64 << (slot % 64);
        let word = &mut tables.global[usage as usize][slot / 64];
        *word = if global { *word | bit } else { *word & !bit };
        let filled = &mut self.filled[usize::from(global)];
        if filled.len() <= ENTRIES {
            filled.push((self.view << 20 | (usage as usize) << 16 | slot) as u32);
        }
    }

    /// The address space `to` takes the place of `from`; both are PCIDs. With `keep` the translations of `to` are still good.
    pub fn switch(&mut self, from: u16, to: u16, keep: bool) {
        if from == to && keep {
            return;
        }
        let kept = self.keep();
        self.flush(true);
        self.spaces.put(from, kept);
        let kept = self.spaces.take(to).filter(|_| keep).unwrap_or_default();
        for Kept { place, entry, code_page } in kept.into_iter().rev() {
            let (view, usage, slot) = parts(place);
            let tables = &mut self.tables()[view];
            tables.entries[usage][slot] = entry;
            tables.global[usage][slot / 64] &= !(1 << (slot % 64));
            if usage == Use::Execute as usize {
                tables.code_pages[slot] = code_page;
            }
            self.filled[0].push(place);
        }
    }

    /// The entries of the address space in force that are to be kept, the one filled last first.
    fn keep(&mut self) -> Vec<Kept> {
        // SAFETY: the allocation is this value's own.
        let views = unsafe { self.tables.as_ref() };
        let mut kept: Vec<Kept> = Vec::new();
        for &place in self.filled[0].iter().rev() {
            let (view, usage, slot) = parts(place);
            let (entry, code_page) = (views[view].entries[usage][slot], views[view].code_pages[slot]);
            let global = views[view].global[usage][slot / 64] >> (slot % 64) & 1 != 0;
            if entry.at(slot).is_some() && !global {
                kept.push(Kept { place, entry, code_page });
            }
            if kept.len() == MOST_KEPT {
                break;
            }
        }
        kept
    }

    /// Drops what is kept of the address space `pcid`, which is not in force.
    pub fn forget_space(&mut self, pcid: u16) {
        self.spaces.take(pcid);
    }

    /// Drops what is kept of all address spaces that are not in force.
    pub fn forget_spaces(&mut self) {
        self.spaces.clear();
    }

    /// Host address of the page of RAM with paging structures at `page`, if it has been remembered.
    #[inline(always)]
    pub fn structure(&self, page: PhysAddr) -> Option<usize> {
        let (known, host) = self.structures[structure_slot(page)];
        (known == page).then_some(host)
    }

    /// Remembers where that is.
    pub fn remember_structure(&mut self, page: PhysAddr, host: usize) {
        self.structures[structure_slot(page)] = (page, host);
    }

    /// Drops every translation; with `keep_global`, all but those of global pages.
    pub fn flush(&mut self, keep_global: bool) {
        if !keep_global {
            // Also when the board's memory map has changed.
            self.structures = [NO_PAGE; STRUCTURES];
            self.large = [0; LARGE_BITS / 64];
            self.spaces.clear();
        }
        self.flush_filled(keep_global, false);
        if !keep_global {
            self.flush_filled(false, true);
        }
    }

    /// Drops the entries that were filled for pages that are `global`, or not; with `keep_global`, none that a global page has by now.
    fn flush_filled(&mut self, keep_global: bool, global: bool) {
        let mut filled = core::mem::take(&mut self.filled[usize::from(global)]);
        let tables = self.tables();
        let mut drop_entry = |view: usize, usage: usize, slot: usize| {
            let tables = &mut tables[view];
            if !(keep_global && tables.global[usage][slot / 64] >> (slot % 64) & 1 != 0) {
                tables.entries[usage][slot].drop_at(slot);
            }
        };
        if filled.len() > ENTRIES {
            let all = (0..VIEWS).flat_map(|view| (0..USES).map(move |usage| (view, usage)));
            all.for_each(|(view, usage)| (0..ENTRIES).for_each(|slot| drop_entry(view, usage, slot)));
        } else {
            filled.iter().map(|&place| parts(place)).for_each(|(view, usage, slot)| drop_entry(view, usage, slot));
        }
        filled.clear();
        self.filled[usize::from(global)] = filled;
    }

    /// Drops the translations of the page `linear` lies in, whatever its size, in every view. True where it may be a large one.
    pub fn flush_page(&mut self, linear: u64) -> bool {
        let region = region(linear);
        if self.large[region / 64] >> (region % 64) & 1 != 0 {
            self.flush_region(linear);
            return true;
        }
        let (page, slot) = (linear & PAGE_MASK, index(linear));
        for tables in self.tables().iter_mut() {
            for usage in 0..USES {
                let entry = &mut tables.entries[usage][slot];
                if entry.page() == page {
                    entry.drop_at(slot);
                }
            }
        }
        false
    }

    /// Drops the translations of the 4 MiB around `linear` in every view: their entries are next to one another.
    fn flush_region(&mut self, linear: u64) {
        const PAGES: usize = 1 << (LARGE_SHIFT - 12);
        const { assert!(ENTRIES >= PAGES) };
        let first = index(linear & !((1 << LARGE_SHIFT) - 1));
        let tables = self.tables().iter_mut().flat_map(|tables| &mut tables.entries);
        for (slot, entry) in tables.flat_map(|table| table.iter_mut().enumerate().skip(first).take(PAGES)) {
            if entry.page() >> LARGE_SHIFT == linear >> LARGE_SHIFT {
                entry.drop_at(slot);
            }
        }
    }

    /// Drops every write translation that leads to the host page at `host_page`: code has been decoded from it.
    pub fn protect_host_page(&mut self, host_page: usize) {
        let leads_there = |entry: &Entry| entry.page().wrapping_add(entry.addend) as usize == host_page;
        for tables in self.tables().iter_mut() {
            for (slot, entry) in tables.entries[Use::Write as usize].iter_mut().enumerate() {
                if leads_there(entry) {
                    entry.drop_at(slot);
                }
            }
        }
        for kept in self.spaces.iter_mut() {
            kept.retain(|kept| parts(kept.place).1 != Use::Write as usize || !leads_there(&kept.entry));
        }
    }
}

// SAFETY: the allocation belongs to this value alone and nothing else points into it.
unsafe impl Send for Tlb {}

impl Drop for Tlb {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` as a box of this type would be, freed only here.
        drop(unsafe { Box::from_raw(self.tables.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 0xffff_8000_1234_5000;
    const HOST: usize = 0x7000;

    #[test]
    fn an_access_is_covered_where_all_its_bytes_lie_in_the_page() {
        let mut tlb = Tlb::new();
        tlb.fill(Use::Read, PAGE + 0x123, PhysAddr(0), HOST, PageKind::default());
        for bytes in [1, 2, 4, 8, 16, 128] {
            let last = PAGE + PAGE_BYTES - bytes;
            assert_eq!(tlb.lookup(Use::Read, PAGE, bytes), Some(HOST));
            assert_eq!(tlb.lookup(Use::Read, last, bytes), Some(HOST + (last - PAGE) as usize));
            assert_eq!(tlb.lookup(Use::Read, last + 1, bytes), None, "{bytes} bytes end in the next page");
            assert_eq!(tlb.lookup(Use::Read, PAGE - 1, bytes), None);
            // The same entry of the table.
            assert_eq!(tlb.lookup(Use::Read, PAGE + ((ENTRIES as u64) << 12), bytes), None);
            assert_eq!(tlb.lookup(Use::Write, PAGE, bytes), None);
        }
    }

    #[test]
    fn an_entry_that_is_none_covers_no_address_whatsoever() {
        let mut tlb = Tlb::new();
        tlb.fill(Use::Read, PAGE, PhysAddr(0), HOST, PageKind::default());
        tlb.flush(false);
        // Of every entry the first and the last page that it may be of, those in the middle of the address space, and the ones around them.
        for slot in 0..ENTRIES as u64 {
            for above in [0, 1 << 25, 1 << 32, 1 << 47, 1 << 63, !0 << 25] {
                let page = (slot << 12).wrapping_add(above);
                for (offset, bytes) in [(0, 1), (0, 4096), (1, 128), (4000, 128), (4095, 1), (4095, 16)] {
                    assert_eq!(tlb.lookup(Use::Read, page.wrapping_add(offset), bytes), None, "{page:#x} + {offset}");
                }
            }
        }
    }
}

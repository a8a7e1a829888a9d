//! The translation look-aside buffer: where a linear page lies in host memory, if it may be touched without asking.
//!
//! Direct-mapped, 16-byte entries, one compare an access. There are separate tables for reading, writing and fetching, so that
//! permission, dirtiness, MMIO and "holds decoded code" all fold into a tag that does not match; and a set of tables for every
//! privilege a data access can have, so that a change of CPL or EFLAGS.AC swaps a pointer. A tag is compared with
//! `(address + bytes - 1) & PAGE_MASK`, so an access that crosses pages misses too. The layout is what compiled code indexes.

/// Entries in each table.
pub const ENTRIES: usize = 1024;
/// Clears the offset within a page.
pub const PAGE_MASK: u64 = !0xfff;
/// A tag no address compares equal to.
const INVALID: u64 = 1;

/// One translation.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    /// Linear address of the page, or [`INVALID`].
    tag: u64,
    /// Added to a linear address in the page it gives the host address.
    addend: u64,
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
}

/// See the module.
pub struct Tlb {
    /// Tables by [`View`].
    tables: Box<[Tables; VIEWS]>,
    view: usize,
    /// Misses since power-on, for statistics.
    pub misses: u64,
    /// Entries filled since the last complete flush, as `view << 16 | use << 12 | index`; past `entries * 2` a flush clears everything.
    filled: Vec<u32>,
}

const EMPTY: Entry = Entry { tag: INVALID, addend: 0 };

#[inline(always)]
fn index(linear: u64) -> usize {
    (linear >> 12) as usize & (ENTRIES - 1)
}

impl Tlb {
    /// An empty TLB.
    pub fn new() -> Tlb {
        // Built in place by the allocator: an array literal of this size would pass over the stack.
        let tables: Vec<Tables> = (0..VIEWS)
            .map(|_| Tables { entries: [[EMPTY; ENTRIES]; USES], global: [[0; ENTRIES / 64]; USES] })
            .collect();
        let Ok(tables) = tables.into_boxed_slice().try_into() else { unreachable!("VIEWS tables were made") };
        Tlb { tables, view: View::Supervisor as usize, misses: 0, filled: Vec::new() }
    }

    /// Selects the tables for data accesses of `view` (and for fetches of the same privilege).
    #[inline(always)]
    pub fn select(&mut self, view: View) {
        self.view = view as usize;
    }

    /// The selected view.
    pub fn view(&self) -> usize {
        self.view
    }

    /// Host address of `linear`, where all `bytes` lie in one page that may be used so in the selected view.
    #[inline(always)]
    pub fn lookup(&self, usage: Use, linear: u64, bytes: u64) -> Option<usize> {
        // SAFETY: `view` is only ever set from `View`, `usage` is below USES and `index` masks to ENTRIES.
        let entry = unsafe {
            self.tables.get_unchecked(self.view).entries.get_unchecked(usage as usize).get_unchecked(index(linear))
        };
        let last = linear.wrapping_add(bytes - 1) & PAGE_MASK;
        (entry.tag == last).then(|| linear.wrapping_add(entry.addend) as usize)
    }

    /// Records that the page of `linear` lies at `host_page` for `usage` in the selected view.
    pub fn fill(&mut self, usage: Use, linear: u64, host_page: usize, global: bool) {
        let page = linear & PAGE_MASK;
        let slot = index(linear);
        let tables = &mut self.tables[self.view];
        tables.entries[usage as usize][slot] = Entry { tag: page, addend: (host_page as u64).wrapping_sub(page) };
        let bit = 1u64 << (slot % 64);
        let word = &mut tables.global[usage as usize][slot / 64];
        *word = if global { *word | bit } else { *word & !bit };
        if self.filled.len() <= ENTRIES {
            self.filled.push((self.view << 16 | (usage as usize) << 12 | slot) as u32);
        }
    }

    /// Drops every translation; with `keep_global`, all but those of global pages.
    pub fn flush(&mut self, keep_global: bool) {
        if self.filled.len() > ENTRIES {
            self.flush_everything(keep_global);
            return;
        }
        let tables = &mut self.tables;
        self.filled.retain(|&packed| {
            let (view, usage, slot) = (packed as usize >> 16, packed as usize >> 12 & 3, packed as usize & 0xfff);
            let keep = keep_global && tables[view].global[usage][slot / 64] >> (slot % 64) & 1 != 0;
            if !keep {
                tables[view].entries[usage][slot].tag = INVALID;
            }
            keep
        });
    }

    fn flush_everything(&mut self, keep_global: bool) {
        self.filled.clear();
        for (view, tables) in self.tables.iter_mut().enumerate() {
            for usage in 0..USES {
                for slot in 0..ENTRIES {
                    let entry = &mut tables.entries[usage][slot];
                    let global = tables.global[usage][slot / 64] >> (slot % 64) & 1 != 0;
                    if !(keep_global && global) {
                        entry.tag = INVALID;
                    } else if entry.tag != INVALID {
                        self.filled.push((view << 16 | usage << 12 | slot) as u32);
                    }
                }
            }
        }
    }

    /// Drops the translations of one page (4 KiB) in every view.
    pub fn flush_page(&mut self, linear: u64) {
        let (page, slot) = (linear & PAGE_MASK, index(linear));
        for tables in self.tables.iter_mut() {
            for usage in 0..USES {
                let entry = &mut tables.entries[usage][slot];
                if entry.tag == page {
                    entry.tag = INVALID;
                }
            }
        }
    }

    /// Drops every write translation that leads to the host page at `host_page`: code has been decoded from it.
    pub fn protect_host_page(&mut self, host_page: usize) {
        for tables in self.tables.iter_mut() {
            for entry in &mut tables.entries[Use::Write as usize] {
                if entry.tag != INVALID && entry.tag.wrapping_add(entry.addend) as usize == host_page {
                    entry.tag = INVALID;
                }
            }
        }
    }
}

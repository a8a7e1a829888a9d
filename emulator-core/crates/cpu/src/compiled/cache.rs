//! Compiled regions, found by the physical address and mode of their entry. They outlive the predecoded blocks they were made of.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::region::RegionPage;
use super::{Code, Entry, Straddles};
use crate::blocks::Key;

/// Regions kept: a C compiler goes through 8,000. A region takes 12 to 40 KiB of the process (its module, the host's code for it, and what the
/// engine knows of both).
const CAPACITY: usize = 16384;
/// Where there are more, so many stay.
const KEPT: usize = CAPACITY / 8 * 7;

/// How often a region's pages are looked for in vain before it goes.
const PATIENCE: u32 = 100;

/// Bytes of a region, within one page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Linear address that led there when the region was compiled.
    pub linear: u64,
    /// Physical address.
    pub phys: u64,
    /// How many they are.
    pub bytes: u16,
}

/// A compiled region.
pub(super) struct Compiled {
    pub(super) entries: Vec<Key>,
    pages: Rc<[RegionPage]>,
    /// Its blocks, the entry's first.
    pub(super) parts: Vec<Part>,
    /// [`Region::usual_x87`](super::Region::usual_x87).
    usual_x87: bool,
    /// How many had been compiled before.
    number: u64,
    /// The jump cache has learned of it since it was emptied to find out.
    used: bool,
    /// How often in a row it could not be entered, for pages of it were missing.
    waited: u32,
}

/// See the module.
#[derive(Default)]
pub(crate) struct CodeCache {
    regions: FxHashMap<u32, Compiled>,
    by_entry: FxHashMap<Key, Entry>,
    /// Regions with code in a physical page.
    by_page: FxHashMap<u64, Vec<u32>>,
    /// Regions compiled since power-on.
    compiled: u64,
    /// The jump cache has been emptied since there were [`KEPT`] regions, so that those in use are known when some have to go.
    surveyed: bool,
    /// Code of regions that are gone, which may be running still.
    released: Vec<Code>,
    pub(crate) straddles: Straddles,
    /// Regions dropped since power-on because their bytes were written.
    pub(crate) invalidated: u64,
    /// Regions dropped since power-on because there were too many.
    pub(crate) evicted: u64,
}

impl CodeCache {
    pub(crate) fn find(&self, key: &Key) -> Option<Entry> {
        self.by_entry.get(key).copied()
    }

    /// The same for the jump cache, from where the region will be entered.
    pub(crate) fn find_to_enter(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.find(key)?;
        if let Some(region) = self.regions.get_mut(&entry.code.0) {
            region.used = true;
        }
        Some(entry)
    }

    /// Notes whether all pages of a region that is to be entered are there; false where they have been waited for often enough.
    pub(crate) fn may_wait(&mut self, code: Code, are_there: bool) -> bool {
        let Some(region) = self.regions.get_mut(&code.0) else { return false };
        region.waited = if are_there { 0 } else { region.waited + 1 };
        region.waited < PATIENCE
    }

    /// Whether some of the physical page at `phys` has been compiled.
    pub(crate) fn holds(&self, phys: u64) -> bool {
        self.by_page.contains_key(&(phys >> 12))
    }

    /// The pages of a region, its entry's first: only where they all lie so may it be entered.
    pub(crate) fn pages(&self, code: Code) -> Rc<[RegionPage]> {
        self.regions.get(&code.0).map_or_else(Rc::default, |region| region.pages.clone())
    }

    /// All regions.
    pub(super) fn regions(&self) -> impl Iterator<Item = (Code, &Compiled)> {
        self.regions.iter().map(|(&code, region)| (Code(code), region))
    }

    /// A region.
    pub(super) fn region(&self, code: Code) -> Option<&Compiled> {
        self.regions.get(&code.0)
    }

    /// A region that can be entered at `entries`, by number, each with its offset from the first. That leads to no other region; others may, and then
    /// still do.
    pub(crate) fn insert(
        &mut self,
        code: Code,
        entries: &[(Key, i64)],
        pages: Vec<RegionPage>,
        parts: Vec<Part>,
        usual_x87: bool,
    ) {
        for (number, &(key, offset)) in (0..).zip(entries) {
            if let Some(entry) = Entry::new(code, number, offset) {
                self.by_entry.entry(key).or_insert(entry);
            }
        }
        for page in physical_pages(&pages) {
            self.by_page.entry(page).or_default().push(code.0);
        }
        let entries = entries.iter().map(|&(key, _)| key).collect();
        self.regions.insert(
            code.0,
            Compiled { entries, pages: pages.into(), parts, usual_x87, number: self.compiled, used: false, waited: 0 },
        );
        self.compiled += 1;
    }

    /// Drops regions where there are too many: those not in use, the oldest first, then the oldest. True where the jump cache has to be emptied,
    /// which also is the way to learn which are in use: before any has to go, and again whenever some have gone.
    pub(crate) fn trim(&mut self) -> bool {
        let count = self.regions.len();
        if count <= KEPT || count <= CAPACITY && self.surveyed {
            return false;
        }
        if count > CAPACITY {
            let order = |(&code, region): (&u32, &Compiled)| (region.used, region.number, code);
            let mut all: Vec<_> = self.regions.iter().map(order).collect();
            all.sort_unstable();
            all[..count - KEPT].iter().for_each(|&(.., code)| self.remove(Code(code)));
            self.evicted += (count - KEPT) as u64;
        }
        self.regions.values_mut().for_each(|region| region.used = false);
        self.surveyed = true;
        true
    }

    /// Drops every region with bytes in `phys .. phys + bytes` (within one page); true where there was one.
    pub(crate) fn invalidate(&mut self, phys: u64, bytes: u64) -> bool {
        let lost = self.holding(phys, bytes);
        self.invalidated += lost.len() as u64;
        self.remove_all(&lost)
    }

    /// Regions with bytes in `phys .. phys + bytes` (within one page).
    fn holding(&self, phys: u64, bytes: u64) -> Vec<u32> {
        let Some(here) = self.by_page.get(&(phys >> 12)) else { return Vec::new() };
        let hit = |part: &Part| part.phys < phys + bytes && phys < part.phys + u64::from(part.bytes);
        here.iter().copied().filter(|code| self.regions[code].parts.iter().any(hit)).collect()
    }

    /// Drops the regions with the byte at `phys` in which accesses share looks into the TLB, to be compiled so that they share less; true where there is one.
    pub(crate) fn take_apart(&mut self, phys: u64) -> bool {
        let mut lost = self.holding(phys, 1);
        lost.retain(|code| self.straddles.take_apart(self.regions[code].entries[0]));
        self.remove_all(&lost)
    }

    /// Drops the regions with the byte at `phys` in which the x87 is expected to round as usual, to be compiled so that it may do otherwise; true where
    /// there is one.
    pub(crate) fn expect_unusual_x87(&mut self, phys: u64) -> bool {
        let mut lost = self.holding(phys, 1);
        lost.retain(|code| self.regions[code].usual_x87);
        self.remove_all(&lost)
    }

    /// Drops regions; true where there is one.
    fn remove_all(&mut self, lost: &[u32]) -> bool {
        lost.iter().for_each(|&code| self.remove(Code(code)));
        !lost.is_empty()
    }

    /// Drops a region, if it is there.
    pub(crate) fn remove(&mut self, Code(code): Code) {
        let Some(region) = self.regions.remove(&code) else { return };
        for page in physical_pages(&region.pages) {
            if let Some(here) = self.by_page.get_mut(&page) {
                here.retain(|&other| other != code);
                if here.is_empty() {
                    self.by_page.remove(&page);
                }
            }
        }
        for key in &region.entries {
            if self.by_entry.get(key).is_some_and(|entry| entry.code.0 == code) {
                self.by_entry.remove(key);
            }
        }
        self.released.push(Code(code));
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.by_entry.clear();
        self.by_page.clear();
        self.surveyed = false;
        self.released.extend(self.regions.drain().map(|(code, _)| Code(code)));
    }

    /// Code that is gone, and has not been taken.
    pub(crate) fn gone(&self) -> &[Code] {
        &self.released
    }

    /// The same, which is given up: nothing leads to it any more.
    pub(crate) fn take_released(&mut self) -> Vec<Code> {
        core::mem::take(&mut self.released)
    }
}

/// Numbers of the physical pages among `pages`, each once.
fn physical_pages(pages: &[RegionPage]) -> impl Iterator<Item = u64> {
    let number = |page: &RegionPage| page.phys >> 12;
    let is_first = move |at: usize| !pages[..at].iter().any(|page| number(page) == number(&pages[at]));
    pages.iter().enumerate().filter(move |&(at, _)| is_first(at)).map(move |(_, page)| number(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Mode, State};

    fn key(phys: u64) -> Key {
        Key { phys, mode: Mode::of(&State::at_reset(crate::CpuModel::default())) }
    }

    fn pages(phys: &[u64]) -> Vec<RegionPage> {
        let page = |(offset, &phys): (i64, &u64)| RegionPage { offset, phys: phys & !0xfff };
        (0..).step_by(0x1000).zip(phys).map(page).collect()
    }

    fn part(phys: u64, bytes: u16) -> Part {
        Part { linear: phys, phys, bytes }
    }

    #[test]
    fn regions_that_are_not_entered_any_more_go_when_there_are_too_many() {
        let mut cache = CodeCache::default();
        let fill = |cache: &mut CodeCache, numbers: core::ops::Range<u32>| {
            for number in numbers {
                let phys = u64::from(number) * 0x800;
                let entries = [(key(phys), 0), (key(phys + 8), 8)];
                cache.insert(Code(number + 1), &entries, pages(&[phys]), vec![part(phys, 16)], true);
            }
        };
        fill(&mut cache, 0..KEPT as u32);
        cache.find_to_enter(&key(0));
        assert!(!cache.trim(), "there is room");
        fill(&mut cache, KEPT as u32..KEPT as u32 + 1);
        assert!(cache.trim(), "from now on it is noted which are entered");
        assert!(!cache.trim(), "which takes one look");
        for in_use in [0, 3] {
            cache.find_to_enter(&key(in_use * 0x800 + 8));
        }
        fill(&mut cache, KEPT as u32 + 1..CAPACITY as u32 + 1);
        assert!(cache.trim());
        let gone = cache.take_released();
        assert_eq!(gone[..4], [2, 3, 5, 6].map(Code), "the oldest of those not in use");
        assert_eq!(gone.len(), CAPACITY + 1 - KEPT);
        assert_eq!(cache.evicted, gone.len() as u64);
        assert!(cache.find(&key(0x800 + 8)).is_none());
        assert!(cache.find(&key(3 * 0x800 + 8)).is_some());
        assert!(!cache.trim(), "now there is room");
    }

    #[test]
    fn a_store_drops_the_regions_whose_bytes_it_hits() {
        let mut cache = CodeCache::default();
        cache.insert(Code(1), &[(key(0x1000), 0)], pages(&[0x1000]), vec![part(0x1000, 16), part(0x1100, 4)], true);
        cache.insert(Code(2), &[(key(0x1020), 0)], pages(&[0x1020]), vec![part(0x1020, 16)], true);
        assert!(!cache.invalidate(0x1010, 16), "between them");
        assert!(cache.invalidate(0x1103, 1));
        assert_eq!(cache.take_released(), [Code(1)]);
        assert!(cache.find(&key(0x1000)).is_none() && cache.find(&key(0x1020)).is_some());
        assert!(cache.holds(0x1fff));
        cache.clear();
        assert!(!cache.holds(0x1000));
        assert_eq!(cache.take_released(), [Code(2)]);
    }

    #[test]
    fn a_store_to_any_page_of_a_region_drops_it() {
        let mut cache = CodeCache::default();
        let entries = [(key(0x1ff0), 0), (key(0x5000), 16)];
        cache.insert(Code(1), &entries, pages(&[0x1000, 0x5000]), vec![part(0x1ff0, 16), part(0x5000, 4)], true);
        assert!(cache.holds(0x1000) && cache.holds(0x5000) && !cache.holds(0x2000));
        assert!(!cache.invalidate(0x5004, 4));
        assert!(cache.invalidate(0x5002, 1));
        assert!(cache.find(&key(0x1ff0)).is_none() && cache.find(&key(0x5000)).is_none());
        assert!(!cache.holds(0x1000) && !cache.holds(0x5000));
    }
}

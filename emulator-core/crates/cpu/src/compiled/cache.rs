//! Compiled regions, found by the physical address and mode of their entry. They outlive the predecoded blocks they were made of.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::region::RegionPage;
use super::{Code, Entry, Straddles};
use crate::blocks::Key;

/// Regions kept. Code of the host's is 10 to 40 KiB for each, so that this is some 100 MiB at most.
const CAPACITY: usize = 4096;

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
    pages: Vec<RegionPage>,
    /// Its blocks, the entry's first.
    pub(super) parts: Vec<Part>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct CodeCache {
    regions: FxHashMap<u32, Compiled>,
    by_entry: FxHashMap<Key, Entry>,
    /// Regions with code in a physical page.
    by_page: FxHashMap<u64, Vec<u32>>,
    /// Regions, oldest first; some may be gone.
    oldest: VecDeque<u32>,
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

    /// Whether some of the physical page at `phys` has been compiled.
    pub(crate) fn holds(&self, phys: u64) -> bool {
        self.by_page.contains_key(&(phys >> 12))
    }

    /// The pages of a region, its entry's first: only where they all lie so may it be entered.
    pub(crate) fn pages(&self, code: Code) -> &[RegionPage] {
        self.regions.get(&code.0).map_or(&[], |region| &region.pages)
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
    pub(crate) fn insert(&mut self, code: Code, entries: &[(Key, i64)], pages: Vec<RegionPage>, parts: Vec<Part>) {
        for (number, &(key, offset)) in (0..).zip(entries) {
            if let Some(entry) = Entry::new(code, number, offset) {
                self.by_entry.entry(key).or_insert(entry);
            }
        }
        for page in physical_pages(&pages) {
            self.by_page.entry(page).or_default().push(code.0);
        }
        let entries = entries.iter().map(|&(key, _)| key).collect();
        self.regions.insert(code.0, Compiled { entries, pages, parts });
        self.oldest.push_back(code.0);
        if self.oldest.len() > 2 * CAPACITY {
            self.oldest.retain(|code| self.regions.contains_key(code));
        }
    }

    /// Drops the oldest regions where there are too many; true where it did. What still runs often is soon compiled again.
    pub(crate) fn trim(&mut self) -> bool {
        let before = self.regions.len();
        while self.regions.len() > CAPACITY
            && let Some(code) = self.oldest.pop_front()
        {
            self.remove(Code(code));
        }
        let evicted = before - self.regions.len();
        self.evicted += evicted as u64;
        evicted > 0
    }

    /// Drops every region with bytes in `phys .. phys + bytes` (within one page); true where there was one.
    pub(crate) fn invalidate(&mut self, phys: u64, bytes: u64) -> bool {
        let lost = self.holding(phys, bytes);
        for &code in &lost {
            self.remove(Code(code));
        }
        self.invalidated += lost.len() as u64;
        !lost.is_empty()
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
        for &code in &lost {
            self.remove(Code(code));
        }
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
        self.oldest.clear();
        self.released.extend(self.regions.drain().map(|(code, _)| Code(code)));
    }

    /// Code that is gone since the last call: nothing leads to it any more.
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
    fn the_oldest_regions_go_when_there_are_too_many() {
        let mut cache = CodeCache::default();
        for number in 0..CAPACITY as u32 + 10 {
            let phys = u64::from(number) * 0x800;
            let entries = [(key(phys), 0), (key(phys + 8), 8)];
            cache.insert(Code(number + 1), &entries, pages(&[phys]), vec![part(phys, 16)]);
        }
        assert!(cache.trim());
        let expected: Vec<Code> = (1..=10).map(Code).collect();
        assert_eq!(cache.take_released(), expected);
        assert!(cache.find(&key(9 * 0x800 + 8)).is_none());
        assert!(cache.find(&key(10 * 0x800 + 8)).is_some());
        assert!(!cache.trim(), "now there are not");
    }

    #[test]
    fn a_store_drops_the_regions_whose_bytes_it_hits() {
        let mut cache = CodeCache::default();
        cache.insert(Code(1), &[(key(0x1000), 0)], pages(&[0x1000]), vec![part(0x1000, 16), part(0x1100, 4)]);
        cache.insert(Code(2), &[(key(0x1020), 0)], pages(&[0x1020]), vec![part(0x1020, 16)]);
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
        cache.insert(Code(1), &entries, pages(&[0x1000, 0x5000]), vec![part(0x1ff0, 16), part(0x5000, 4)]);
        assert!(cache.holds(0x1000) && cache.holds(0x5000) && !cache.holds(0x2000));
        assert!(!cache.invalidate(0x5004, 4));
        assert!(cache.invalidate(0x5002, 1));
        assert!(cache.find(&key(0x1ff0)).is_none() && cache.find(&key(0x5000)).is_none());
        assert!(!cache.holds(0x1000) && !cache.holds(0x5000));
    }
}

//! Compiled regions, found by the physical address and mode of their entry. They outlive the predecoded blocks they were made of.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{Code, Entry};
use crate::blocks::Key;

/// Regions kept. Code of the host's is 10 to 40 KiB for each, so that this is some 100 MiB at most.
const CAPACITY: usize = 4096;

/// A compiled region.
struct Compiled {
    code: Code,
    entries: Vec<Key>,
    /// Physical addresses and lengths of its blocks, all in one page.
    ranges: Vec<(u64, u16)>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct CodeCache {
    by_entry: FxHashMap<Key, Entry>,
    by_page: FxHashMap<u64, Vec<Compiled>>,
    /// Regions with their pages, oldest first; some may be gone.
    oldest: VecDeque<(Code, u64)>,
    /// Regions there are.
    count: usize,
    /// Code of regions that are gone, which may be running still.
    released: Vec<Code>,
}

impl CodeCache {
    pub(crate) fn find(&self, key: &Key) -> Option<Entry> {
        self.by_entry.get(key).copied()
    }

    /// Whether some of the physical page at `phys` has been compiled.
    pub(crate) fn holds(&self, phys: u64) -> bool {
        self.by_page.contains_key(&(phys >> 12))
    }

    /// A region that can be entered at `entries`, by number, the first of which leads to no other region; others may, and then still do.
    pub(crate) fn insert(&mut self, code: Code, entries: Vec<Key>, ranges: Vec<(u64, u16)>) {
        for (number, &key) in (0..).zip(&entries) {
            let offset = key.phys as i64 - entries[0].phys as i64;
            self.by_entry.entry(key).or_insert(Entry::new(code, number, offset));
        }
        let page = entries[0].phys >> 12;
        self.by_page.entry(page).or_default().push(Compiled { code, entries, ranges });
        self.oldest.push_back((code, page));
        self.count += 1;
        if self.oldest.len() > 2 * CAPACITY {
            let pages = &self.by_page;
            let is_there =
                |code: Code, page: u64| pages.get(&page).is_some_and(|all| all.iter().any(|r| r.code == code));
            self.oldest.retain(|&(code, page)| is_there(code, page));
        }
    }

    /// Drops the oldest regions where there are too many; true where it did. What still runs often is soon compiled again.
    pub(crate) fn trim(&mut self) -> bool {
        let full = self.count > CAPACITY;
        while self.count > CAPACITY
            && let Some((code, page)) = self.oldest.pop_front()
        {
            self.retain(page, |region| region.code != code);
        }
        full
    }

    /// Drops every region with bytes in `phys .. phys + bytes` (within one page); true where there was one.
    pub(crate) fn invalidate(&mut self, phys: u64, bytes: u64) -> bool {
        let hit = |&(start, length): &(u64, u16)| start < phys + bytes && phys < start + u64::from(length);
        self.retain(phys >> 12, |region| !region.ranges.iter().any(hit))
    }

    /// Drops the regions of `page` that are not to be kept; true where there was one.
    fn retain(&mut self, page: u64, keep: impl Fn(&Compiled) -> bool) -> bool {
        let Some(regions) = self.by_page.remove(&page) else { return false };
        let (kept, lost): (Vec<_>, Vec<_>) = regions.into_iter().partition(keep);
        if !kept.is_empty() {
            self.by_page.insert(page, kept);
        }
        self.count -= lost.len();
        let dropped = !lost.is_empty();
        for region in lost {
            for key in &region.entries {
                if self.by_entry.get(key).is_some_and(|entry| entry.code == region.code) {
                    self.by_entry.remove(key);
                }
            }
            self.released.push(region.code);
        }
        dropped
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.by_entry.clear();
        self.oldest.clear();
        self.count = 0;
        self.released.extend(self.by_page.drain().flat_map(|(_, regions)| regions).map(|region| region.code));
    }

    /// Code that is gone since the last call: nothing leads to it any more.
    pub(crate) fn take_released(&mut self) -> Vec<Code> {
        core::mem::take(&mut self.released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Mode, State};

    fn key(phys: u64) -> Key {
        Key { phys, mode: Mode::of(&State::at_reset(crate::CpuModel::default())) }
    }

    #[test]
    fn the_oldest_regions_go_when_there_are_too_many() {
        let mut cache = CodeCache::default();
        for number in 0..CAPACITY as u32 + 10 {
            let phys = u64::from(number) * 0x800;
            cache.insert(Code(number + 1), vec![key(phys), key(phys + 8)], vec![(phys, 16)]);
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
        cache.insert(Code(1), vec![key(0x1000)], vec![(0x1000, 16), (0x1100, 4)]);
        cache.insert(Code(2), vec![key(0x1020)], vec![(0x1020, 16)]);
        assert!(!cache.invalidate(0x1010, 16), "between them");
        assert!(cache.invalidate(0x1103, 1));
        assert_eq!(cache.take_released(), [Code(1)]);
        assert!(cache.find(&key(0x1000)).is_none() && cache.find(&key(0x1020)).is_some());
        assert!(cache.holds(0x1fff));
        cache.clear();
        assert!(!cache.holds(0x1000));
        assert_eq!(cache.take_released(), [Code(2)]);
    }
}

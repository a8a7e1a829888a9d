//! Compiled regions, found by the physical address and mode of their entry. They outlive the predecoded blocks they were made of.

use rustc_hash::FxHashMap;

use super::{Code, Entry};
use crate::blocks::Key;

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
        self.by_page.entry(entries[0].phys >> 12).or_default().push(Compiled { code, entries, ranges });
    }

    /// Drops every region with bytes in `phys .. phys + bytes` (within one page); true where there was one.
    pub(crate) fn invalidate(&mut self, phys: u64, bytes: u64) -> bool {
        let Some(regions) = self.by_page.remove(&(phys >> 12)) else { return false };
        let hit = |&(start, length): &(u64, u16)| start < phys + bytes && phys < start + u64::from(length);
        let (lost, kept): (Vec<_>, Vec<_>) = regions.into_iter().partition(|region| region.ranges.iter().any(hit));
        if !kept.is_empty() {
            self.by_page.insert(phys >> 12, kept);
        }
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
        self.released.extend(self.by_page.drain().flat_map(|(_, regions)| regions).map(|region| region.code));
    }

    /// Code that is gone since the last call: nothing leads to it any more.
    pub(crate) fn take_released(&mut self) -> Vec<Code> {
        core::mem::take(&mut self.released)
    }
}

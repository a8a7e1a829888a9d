//! Which decoded blocks lie in which physical page. A page's blocks are in order, so that one is found without a table of all there are.

use rustc_hash::FxHashMap;

use crate::blocks::Key;

/// The blocks of a page, by their numbers.
#[derive(Default)]
pub(crate) struct Page {
    /// Those that begin in it, in the order of their places.
    pub(crate) begin: Vec<(Place, u32)>,
    /// Those whose last instruction crosses into it.
    pub(crate) cross: Vec<u32>,
}

/// Where in its page a block begins, and in which mode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u32);

impl Place {
    fn of(key: &Key) -> Place {
        Place((key.phys as u32 & 0xfff) << 16 | u32::from(key.mode.bits()))
    }
}

impl Page {
    fn is_empty(&self) -> bool {
        self.begin.is_empty() && self.cross.is_empty()
    }

    fn search(&self, key: &Key) -> Result<usize, usize> {
        self.begin.binary_search_by_key(&Place::of(key), |&(place, _)| place)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Pages {
    pages: FxHashMap<u64, Page>,
}

impl Pages {
    /// The block of `key`.
    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        let page = self.pages.get(&(key.phys >> 12))?;
        page.search(key).ok().map(|at| page.begin[at].1)
    }

    /// Adds block `index`; gives the one that was there before.
    pub(crate) fn insert(&mut self, key: &Key, index: u32) -> Option<u32> {
        let page = self.pages.entry(key.phys >> 12).or_default();
        match page.search(key) {
            Ok(at) => Some(core::mem::replace(&mut page.begin[at].1, index)),
            Err(at) => {
                page.begin.insert(at, (Place::of(key), index));
                None
            }
        }
    }

    /// Block `index` crosses into the page at `phys`.
    pub(crate) fn insert_crossing(&mut self, phys: u64, index: u32) {
        self.pages.entry(phys >> 12).or_default().cross.push(index);
    }

    /// Removes the block of `key`.
    pub(crate) fn remove(&mut self, key: &Key) {
        let Some(page) = self.pages.get_mut(&(key.phys >> 12)) else { return };
        if let Ok(at) = page.search(key) {
            page.begin.remove(at);
        }
        if page.is_empty() {
            self.pages.remove(&(key.phys >> 12));
        }
    }

    /// Whether blocks lie in the page at `phys`.
    pub(crate) fn holds(&self, phys: u64) -> bool {
        self.pages.contains_key(&(phys >> 12))
    }

    /// Takes the page at `phys` out.
    pub(crate) fn take(&mut self, phys: u64) -> Page {
        self.pages.remove(&(phys >> 12)).unwrap_or_default()
    }

    /// Puts it back.
    pub(crate) fn put(&mut self, phys: u64, page: Page) {
        if !page.is_empty() {
            self.pages.insert(phys >> 12, page);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Mode, State};

    #[test]
    fn blocks_are_found_by_address_and_mode() {
        let mode = Mode::of(&State::at_reset(crate::CpuModel::default()));
        let other = Mode { user: !mode.user, ..mode };
        let key = |phys, mode| Key { phys, mode };
        let mut pages = Pages::default();
        let all = [(0x1ffe, mode), (0x1010, mode), (0x1010, other), (0x1000, mode), (0x5000_0000_1010, mode)];
        for (index, &(phys, mode)) in (0..).zip(&all) {
            assert_eq!(pages.insert(&key(phys, mode), index), None);
        }
        for (index, &(phys, mode)) in (0..).zip(&all) {
            assert_eq!(pages.find(&key(phys, mode)), Some(index));
        }
        assert_eq!(pages.find(&key(0x1011, mode)), None);
        assert_eq!(pages.insert(&key(0x1010, mode), 9), Some(1), "it takes the other's place");
        pages.insert_crossing(0x2000, 0);
        pages.remove(&key(0x1010, other));
        assert_eq!(pages.find(&key(0x1010, mode)), Some(9));
        assert_eq!(pages.find(&key(0x1010, other)), None);
        pages.remove(&key(0x5000_0000_1010, mode));
        assert!(pages.holds(0x2abc) && pages.holds(0x1abc) && !pages.holds(0x5000_0000_1000));
    }
}

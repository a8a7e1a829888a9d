//! What belongs to address spaces that are not in force, by their process-context identifiers (PCIDs; Intel SDM vol. 3, 4.10.1).
//!
//! A look into the TLB or the jump cache compares no PCID. Where CR3 is loaded, what belongs to the old address space (translations, and which jumps are
//! its own) is put by, and what was put by for the new one comes back, if software says that it may (4.10.4.1).

/// Address spaces kept. Linux goes through six.
const MOST: usize = 8;

/// See the module.
pub(crate) struct Spaces<T> {
    /// The one that was put by longest ago first.
    kept: Vec<(u16, T)>,
}

impl<T> Spaces<T> {
    pub(crate) fn new() -> Spaces<T> {
        Spaces { kept: Vec::with_capacity(MOST) }
    }

    /// Puts by what belongs to `pcid`.
    pub(crate) fn put(&mut self, pcid: u16, what: T) {
        self.kept.retain(|&(other, _)| other != pcid);
        if self.kept.len() == MOST {
            self.kept.remove(0);
        }
        self.kept.push((pcid, what));
    }

    /// Takes out what belongs to `pcid`.
    pub(crate) fn take(&mut self, pcid: u16) -> Option<T> {
        let at = self.kept.iter().position(|&(other, _)| other == pcid)?;
        Some(self.kept.remove(at).1)
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }

    /// All that is kept.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.kept.iter_mut().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_put_by_longest_ago_goes_first() {
        let mut spaces = Spaces::new();
        for pcid in 0..MOST as u16 {
            spaces.put(pcid, u32::from(pcid));
        }
        spaces.put(0, 100);
        spaces.put(500, 500);
        assert_eq!(spaces.take(1), None);
        assert_eq!([0, 2, 500].map(|pcid| spaces.take(pcid)), [Some(100), Some(2), Some(500)]);
        assert_eq!(spaces.take(500), None, "it has been taken out");
    }
}

//! Accesses that share one look into the TLB, and lie in two pages.
//!
//! Compiled code leaves before such a group (see `groups` in the JIT), as it does where the TLB does not cover an access. That is told from this by the TLB: it
//! misses nothing meanwhile. Where it happens again and again, the regions are compiled anew, with accesses that share less.

use rustc_hash::FxHashMap;

use crate::blocks::Key;

/// Times that it is borne in one place.
const PATIENCE: u32 = 32;
/// Places that are watched, and entries kept, at most.
const MOST: usize = 1024;

/// Which accesses of a region may share a look into the TLB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sharing {
    /// Those of a block and of others that only it leads to.
    #[default]
    Blocks,
    /// Those of a block.
    Block,
    /// Every access looks for itself.
    Nothing,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Straddles {
    /// By the linear address where compiled code was left for an access: the TLB's misses until then, and how often none had come between.
    watched: FxHashMap<u64, (u64, u32)>,
    /// Entries of regions in which accesses share less than everywhere else.
    apart: FxHashMap<Key, Sharing>,
}

impl Straddles {
    /// Compiled code has left at `linear` for an access, after so many misses of the TLB. True where it had better not do that again.
    pub(crate) fn note(&mut self, linear: u64, misses: u64) -> bool {
        if self.watched.len() >= MOST {
            self.watched.clear();
        }
        let (before, count) = self.watched.get(&linear).copied().unwrap_or((u64::MAX, 0));
        let count = count + u32::from(before == misses);
        self.watched.insert(linear, (misses, count));
        let enough = count >= PATIENCE;
        if enough {
            self.watched.remove(&linear);
        }
        enough
    }

    /// In the region entered at `key` accesses share less from now on; false where they share nothing: it is a single one that lies in two pages.
    pub(crate) fn take_apart(&mut self, key: Key) -> bool {
        if self.apart.len() >= MOST {
            self.apart.clear();
        }
        let sharing = self.apart.entry(key).or_default();
        let before = *sharing;
        *sharing = if before == Sharing::Blocks { Sharing::Block } else { Sharing::Nothing };
        before != Sharing::Nothing
    }

    pub(crate) fn sharing(&self, key: &Key) -> Sharing {
        self.apart.get(key).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_again_and_again_without_a_miss_of_the_tlb_is_enough_at_last() {
        let mut straddles = Straddles::default();
        let mut noted = (0..=PATIENCE).map(|_| straddles.note(0x1000, 7));
        assert!(noted.by_ref().take(PATIENCE as usize).all(|enough| !enough));
        assert_eq!(noted.next(), Some(true));
        assert!(
            (0..10 * u64::from(PATIENCE)).all(|misses| !straddles.note(0x2000, misses)),
            "the TLB missed something"
        );
    }
}

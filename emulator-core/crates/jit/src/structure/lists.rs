//! Lists by block in one piece: a region has many blocks, and a block few successors.

use super::BlockId;

/// A list for every block.
pub(super) struct Lists<T> {
    pub(super) all: Vec<T>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl<T: Copy + Default> Lists<T> {
    /// Empty, with room for what so many blocks mostly have.
    pub(super) fn for_blocks(count: usize) -> Lists<T> {
        Lists { all: Vec::with_capacity(2 * count), ends: Vec::with_capacity(count) }
    }

    /// Of the second of each pair, in order, for the block that is the first; there are so many blocks.
    pub(super) fn sorted(count: usize, pairs: &[(BlockId, T)]) -> Lists<T> {
        let mut ends = vec![0; count];
        pairs.iter().for_each(|&(block, _)| ends[block] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += core::mem::replace(end, start);
        }
        let mut all = vec![T::default(); pairs.len()];
        for &(block, one) in pairs {
            all[ends[block]] = one;
            ends[block] += 1;
        }
        Lists { all, ends }
    }

    /// The list of the next block.
    pub(super) fn add(&mut self, list: impl IntoIterator<Item = T>) {
        self.all.extend(list);
        self.ends.push(self.all.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn places(&self, block: BlockId) -> core::ops::Range<usize> {
        let start = if block == 0 { 0 } else { self.ends[block - 1] };
        start..self.ends[block]
    }

    pub(super) fn of(&self, block: BlockId) -> &[T] {
        &self.all[self.places(block)]
    }
}

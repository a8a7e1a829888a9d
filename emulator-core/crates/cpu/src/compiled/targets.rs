//! Where jumps and calls without a fixed target go while they are interpreted: what a region expects of them.

use rustc_hash::FxHashMap;

/// Targets kept of each: more make a region no faster.
const MOST: usize = 8;
/// A target is likely where it is at least this part of all that were noted.
const LIKELY: u32 = 16;

/// See the module.
#[derive(Default)]
pub(crate) struct Targets {
    /// By block: linear addresses, and how often each was gone to.
    of_block: FxHashMap<u32, Vec<(u64, u32)>>,
}

impl Targets {
    /// Block `block` has gone to `linear`.
    #[cold]
    #[inline(never)]
    pub(crate) fn note(&mut self, block: u32, linear: u64) {
        let targets = self.of_block.entry(block).or_default();
        if let Some((_, count)) = targets.iter_mut().find(|(target, _)| *target == linear) {
            *count += 1;
        } else if targets.len() < MOST {
            targets.push((linear, 1));
        }
    }

    /// Where `block` went most often, the most frequent first.
    pub(crate) fn likely(&self, block: u32) -> Vec<u64> {
        let Some(targets) = self.of_block.get(&block) else { return Vec::new() };
        let mut targets = targets.clone();
        let all: u32 = targets.iter().map(|&(_, count)| count).sum();
        targets.retain(|&(_, count)| count >= all / LIKELY);
        targets.sort_by_key(|&(_, count)| core::cmp::Reverse(count));
        targets.into_iter().map(|(target, _)| target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_targets_are_likely_and_rare_ones_are_not() {
        let mut targets = Targets::default();
        for (target, count) in [(0x10, 3), (0x20, 70), (0x30, 27)] {
            for _ in 0..count {
                targets.note(5, target);
            }
        }
        assert_eq!(targets.likely(5), [0x20, 0x30]);
        assert!(targets.likely(6).is_empty());
    }
}

//! Deterministic random numbers, and what they do to an input.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(pub(crate) u64);

/// Values that sit at edges of lengths, counts and flags.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit.max(1) as u64) as usize
    }

    fn noise(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.bits() as u8).collect()
    }

    /// Noise of up to `longest` bytes, or one of `seeds` with some changes.
    pub(crate) fn input(&mut self, seeds: &[Vec<u8>], longest: usize) -> Vec<u8> {
        if seeds.is_empty() || self.below(8) == 0 {
            let bytes = self.below(longest) + 1;
            return self.noise(bytes);
        }
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 << self.below(5) {
            self.mutate(&mut input, seeds, longest);
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>], longest: usize) {
        let at = self.below(input.len());
        match self.below(8) {
            0 => input.truncate(at + 1),
            1 => {
                let bytes = self.below(longest.saturating_sub(input.len()).min(64));
                let noise = self.noise(bytes);
                input.splice(at..at, noise);
            }
            2 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let bytes = (other.len() - from).min(input.len() - at).min(self.below(64));
                input[at..at + bytes].copy_from_slice(&other[from..from + bytes]);
            }
            3 | 4 => {
                let edge = EDGES[self.below(EDGES.len())].wrapping_add(self.below(3) as u64).wrapping_sub(1);
                let bytes = (1 << self.below(4)).min(input.len() - at);
                input[at..at + bytes].copy_from_slice(&edge.to_le_bytes()[..bytes]);
            }
            5 => input[at] ^= 1 << self.below(8),
            _ => input[at] = self.bits() as u8,
        }
    }
}

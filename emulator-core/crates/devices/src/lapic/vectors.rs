//! A set of interrupt vectors, laid out as eight 32-bit registers (IRR, ISR, TMR).

use serde::{Deserialize, Serialize};

/// A subset of the 256 vectors.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Vectors([u32; 8]);

impl Vectors {
    pub(super) fn insert(&mut self, vector: u8) {
        self.0[usize::from(vector >> 5)] |= 1 << (vector & 31);
    }

    pub(super) fn remove(&mut self, vector: u8) {
        self.0[usize::from(vector >> 5)] &= !(1 << (vector & 31));
    }

    pub(super) fn set(&mut self, vector: u8, member: bool) {
        if member { self.insert(vector) } else { self.remove(vector) }
    }

    pub(super) fn contains(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 5)] & 1 << (vector & 31) != 0
    }

    /// The highest member; the higher a vector, the higher its priority (SDM vol. 3, 11.8.3).
    pub(super) fn highest(&self) -> Option<u8> {
        let word = self.0.iter().rposition(|&word| word != 0)?;
        Some((word as u8) << 5 | (31 - self.0[word].leading_zeros() as u8))
    }

    /// Register `index`, 0 to 7.
    pub(super) fn word(&self, index: u8) -> u32 {
        self.0[usize::from(index & 7)]
    }
}

//! What a region counts for a profile.

use core::cell::Cell;

/// Two numbers that a region's code adds to: exact, and for as long as they are asked for only.
#[derive(Default)]
#[repr(C)]
pub struct Counters {
    /// Instructions retired in the region.
    instructions: Cell<u64>,
    /// Times it was entered, from another region too.
    entries: Cell<u64>,
}

impl Counters {
    pub(crate) fn address(&self) -> usize {
        self.instructions.as_ptr() as usize
    }

    pub(crate) fn instructions(&self) -> u64 {
        self.instructions.get()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.get()
    }
}

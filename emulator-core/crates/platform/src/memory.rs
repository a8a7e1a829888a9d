//! Guest RAM: one zeroed host allocation that is never moved and costs nothing until it is touched.

use crate::PhysAddr;

/// Bytes in the smallest page of the x86 architecture.
pub const PAGE_BYTES: u64 = 4096;

/// Why guest RAM cannot be had.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryError {
    /// The host would not give that much.
    #[error("the host cannot provide {0} bytes of guest memory")]
    Exhausted(u64),
}

/// Guest RAM, `bytes()` long, zero at first. Offsets are into the allocation; the board says which
/// guest-physical pages they back.
pub struct GuestMemory {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: the allocation is owned by this value alone; `&mut` is needed for every write through it.
unsafe impl Send for GuestMemory {}

impl GuestMemory {
    /// Reserves `bytes` (rounded up to whole pages) of zeroed memory.
    ///
    /// # Errors
    /// [`MemoryError::Exhausted`].
    pub fn new(bytes: u64) -> Result<GuestMemory, MemoryError> {
        let exhausted = MemoryError::Exhausted(bytes);
        let rounded = bytes.next_multiple_of(PAGE_BYTES).max(PAGE_BYTES);
        let length = usize::try_from(rounded).map_err(|_| exhausted)?;
        let base = allocate_zeroed(length).ok_or(exhausted)?;
        Ok(GuestMemory { base, bytes: length })
    }

    /// Length in bytes, a multiple of [`PAGE_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Host address of offset 0. Stable for the life of this value; for address arithmetic of a TLB, whose
    /// entries the processor fills only with pages [`crate::Bus::backing`] placed inside `bytes()`.
    #[must_use]
    pub fn host_base(&self) -> *mut u8 {
        self.base
    }

    /// All of it.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `base` is valid for `bytes` and initialised (zeroed) from construction to drop.
        unsafe { core::slice::from_raw_parts(self.base, self.bytes) }
    }

    /// All of it, for writing.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the borrow exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.bytes) }
    }

    /// `length` bytes at `offset`, or `None` where they do not all lie inside.
    #[must_use]
    pub fn get(&self, offset: PhysAddr, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.0).ok()?;
        self.as_slice().get(start..start.checked_add(length)?)
    }

    /// `length` bytes at `offset` for writing, or `None` where they do not all lie inside.
    #[must_use]
    pub fn get_mut(&mut self, offset: PhysAddr, length: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(offset.0).ok()?;
        self.as_mut_slice().get_mut(start..start.checked_add(length)?)
    }
}

/// WebAssembly: pages fresh from `memory.grow` are zero and not yet backed by the host, where the global
/// allocator would write zeros into all of them.
#[cfg(target_arch = "wasm32")]
fn allocate_zeroed(length: usize) -> Option<*mut u8> {
    const WASM_PAGE_BYTES: usize = 65536;
    let previous_pages = core::arch::wasm32::memory_grow::<0>(length.div_ceil(WASM_PAGE_BYTES));
    (previous_pages != usize::MAX).then(|| (previous_pages * WASM_PAGE_BYTES) as *mut u8)
}

#[cfg(not(target_arch = "wasm32"))]
fn allocate_zeroed(length: usize) -> Option<*mut u8> {
    let layout = std::alloc::Layout::from_size_align(length, PAGE_BYTES as usize).ok()?;
    // SAFETY: `length` is at least one page, so the layout is not of size zero.
    let base = unsafe { std::alloc::alloc_zeroed(layout) };
    (!base.is_null()).then_some(base)
}

impl Drop for GuestMemory {
    #[cfg(target_arch = "wasm32")]
    fn drop(&mut self) {
        // A WebAssembly memory cannot shrink: it goes with the instance, and a machine has its own instance.
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn drop(&mut self) {
        let layout = std::alloc::Layout::from_size_align(self.bytes, PAGE_BYTES as usize).expect("as allocated");
        // SAFETY: allocated in `allocate_zeroed` with this very layout and freed only here.
        unsafe { std::alloc::dealloc(self.base, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_rounded_to_pages() {
        let memory = GuestMemory::new(5000).unwrap();
        assert_eq!(memory.bytes(), 8192);
        assert!(memory.as_slice().iter().all(|&b| b == 0));
    }

    #[test]
    fn a_range_that_leaves_the_memory_is_refused() {
        let mut memory = GuestMemory::new(4096).unwrap();
        assert!(memory.get(PhysAddr(4090), 6).is_some());
        assert!(memory.get(PhysAddr(4090), 7).is_none());
        assert!(memory.get_mut(PhysAddr(u64::MAX), 1).is_none());
    }
}

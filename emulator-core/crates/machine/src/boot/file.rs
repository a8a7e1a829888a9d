//! Files to boot from, read where they lie: what a kernel's file holds goes straight into guest memory.

use core::fmt::Debug;

/// A kernel, initrd, module or firmware image, wherever its bytes are.
pub trait File: Debug {
    /// Its length in bytes.
    fn length(&self) -> usize;

    /// Copies the bytes from `offset` on into `into`.
    ///
    /// # Panics
    /// They do not all lie within the file, which is the caller's to see to.
    fn read(&self, offset: usize, into: &mut [u8]);
}

impl<T: AsRef<[u8]> + Debug> File for T {
    fn length(&self) -> usize {
        self.as_ref().len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.as_ref()[offset..][..into.len()]);
    }
}

impl dyn File + '_ {
    /// A copy of the first bytes: `length` of them, or all where the file is shorter.
    pub(super) fn head(&self, length: usize) -> Vec<u8> {
        self.part(0, length.min(self.length()))
    }

    /// A copy of `length` bytes from `offset` on, all of which lie within the file.
    pub(super) fn part(&self, offset: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read(offset, &mut bytes);
        bytes
    }
}

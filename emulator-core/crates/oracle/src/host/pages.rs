//! The pages of a case in this process.

use core::ops::Range;
use core::ptr::NonNull;

use crate::case::Case;
use crate::{CODE, DATA, ENTRY, PAGE, STACK};

const INT3: u8 = 0xcc;

/// Where the pages of a case are mapped, as the case sees them, and once more where its code can be written.
pub(super) struct Pages {
    code: NonNull<u8>,
}

impl Pages {
    pub(super) fn map() -> Pages {
        const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
        const READ_EXECUTE: libc::c_int = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: a new descriptor, closed below; the mappings keep the memory.
        let memory = unsafe { libc::memfd_create(c"code".as_ptr(), 0) };
        assert!(memory >= 0, "no memory: {}", std::io::Error::last_os_error());
        // SAFETY: as above.
        assert_eq!(unsafe { libc::ftruncate(memory, PAGE as libc::off_t) }, 0);
        map_at(CODE.start, PAGE, READ_EXECUTE, libc::MAP_SHARED, memory);
        // SAFETY: the kernel chooses a free place.
        let alias =
            unsafe { libc::mmap(core::ptr::null_mut(), PAGE as usize, READ_WRITE, libc::MAP_SHARED, memory, 0) };
        assert_ne!(alias, libc::MAP_FAILED, "no mapping: {}", std::io::Error::last_os_error());
        // SAFETY: opened above, and used no more.
        unsafe { libc::close(memory) };
        map_at(DATA.start, DATA.end - DATA.start, READ_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        map_at(STACK.start, PAGE, READ_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        let code = NonNull::new(alias.cast()).expect("mmap gives no null without being asked to");
        let mut pages = Pages { code };
        pages.code().fill(INT3);
        pages
    }

    fn code(&mut self) -> &mut [u8] {
        // SAFETY: mapped by `map` until drop, and reachable through `self` only.
        unsafe { core::slice::from_raw_parts_mut(self.code.as_ptr(), PAGE as usize) }
    }

    /// The contents of [`DATA`] or [`STACK`].
    fn part(&self, range: Range<u64>) -> &[u8] {
        // SAFETY: mapped readable by `map` until drop; cases write there, but none runs while `self` is borrowed.
        unsafe { core::slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize) }
    }

    /// The same, to be written.
    fn part_mut(&mut self, range: Range<u64>) -> &mut [u8] {
        // SAFETY: as in `part`, and mapped writable; `self` is borrowed alone.
        unsafe { core::slice::from_raw_parts_mut(range.start as *mut u8, (range.end - range.start) as usize) }
    }

    /// Makes the pages what `case` starts from; `scratch` is as long as an outcome's memory.
    pub(super) fn fill(&mut self, case: &Case, scratch: &mut [u8]) {
        let entry = (ENTRY - CODE.start) as usize;
        let length = case.code.len().min(PAGE as usize - entry);
        self.code()[entry..entry + length].copy_from_slice(&case.code[..length]);
        case.fill(scratch);
        let (data, stack) = scratch.split_at((DATA.end - DATA.start) as usize);
        self.part_mut(DATA).copy_from_slice(data);
        self.part_mut(STACK).copy_from_slice(stack);
    }

    /// Makes the code page traps again.
    pub(super) fn forget(&mut self, case: &Case) {
        let entry = (ENTRY - CODE.start) as usize;
        let length = case.code.len().min(PAGE as usize - entry);
        self.code()[entry..entry + length].fill(INT3);
    }

    pub(super) fn memory(&self) -> Vec<u8> {
        [self.part(DATA), self.part(STACK)].concat()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let mappings = [(CODE.start, PAGE), (DATA.start, DATA.end - DATA.start), (STACK.start, PAGE)];
        for (address, bytes) in mappings.into_iter().chain([(self.code.as_ptr() as u64, PAGE)]) {
            // SAFETY: mapped by `map`; nothing points there any more.
            unsafe { libc::munmap(address as *mut libc::c_void, bytes as usize) };
        }
    }
}

/// Maps `bytes` at `address`.
///
/// # Panics
/// The kernel refuses.
pub(super) fn map_at(address: u64, bytes: u64, protection: libc::c_int, flags: libc::c_int, file: libc::c_int) {
    let flags = flags | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE never takes the place of something mapped.
    let at = unsafe { libc::mmap(address as *mut libc::c_void, bytes as usize, protection, flags, file, 0) };
    assert_eq!(at as u64, address, "cannot map {address:#x}: {}", std::io::Error::last_os_error());
}

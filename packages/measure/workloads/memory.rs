//! Work that is mostly loads and stores.

#[cfg(target_arch = "x86")]
use std::arch::x86::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
use std::ffi::{c_int, c_void};
use std::hint::black_box;

use crate::{Workload, checksum, random};

unsafe extern "C" {
    #[link_name = "memchr"]
    fn c_memchr(text: *const c_void, byte: c_int, length: usize) -> *const c_void;
}

/// Larger than any second-level cache when this was written, and than what a TLB covers.
const BYTES: usize = 4 << 20;

/// The C library's search for a byte: lines of text, split.
pub fn memchr() -> Workload {
    const LINE: usize = 64;
    let mut state = 1;
    let mut text = vec![b'x'; BYTES / 8];
    let mut end = 0;
    while end < text.len() {
        text[end] = b'\n';
        end += 1 + random(&mut state) as usize % (2 * LINE);
    }
    // All lines' lengths, in memory that is there: a vector that grows in every pass would measure the kernel's mmap and page faults.
    let mut ends = Vec::with_capacity(text.len() / 8);
    Workload::new(text.len() as u32, move || {
        let mut rest = text.as_slice();
        ends.clear();
        loop {
            // SAFETY: the pointer and the length are those of `rest`.
            let found = unsafe { c_memchr(rest.as_ptr().cast(), c_int::from(b'\n'), rest.len()) };
            if found.is_null() {
                return checksum(ends.iter().copied());
            }
            let length = found as usize - rest.as_ptr() as usize;
            ends.push(length as u64);
            rest = &rest[length + 1..];
        }
    })
}

/// The C library's copy, which is `REP MOVS` here.
pub fn memcpy() -> Workload {
    copied_by(|from, to| to.copy_from_slice(black_box(from)))
}

/// A copy by unaligned 16-byte loads and stores, as larger C libraries choose for it.
pub fn memcpy_sse2() -> Workload {
    #[target_feature(enable = "sse2")]
    fn copy(from: &[u8], to: &mut [u8]) {
        for (from, to) in from.as_chunks::<16>().0.iter().zip(to.as_chunks_mut::<16>().0) {
            // SAFETY: both are 16 bytes long, and the access needs no alignment.
            unsafe { _mm_storeu_si128((to as *mut [u8; 16]).cast::<__m128i>(), _mm_loadu_si128(from.as_ptr().cast())) };
        }
    }
    // SAFETY: the processors that Linux programs of these targets are for have SSE2.
    copied_by(|from, to| unsafe { copy(black_box(from), to) })
}

fn copied_by(copy: impl Fn(&[u8], &mut [u8]) + 'static) -> Workload {
    let mut state = 1;
    let from: Vec<u8> = (0..BYTES).map(|_| random(&mut state) as u8).collect();
    let mut to = vec![0u8; BYTES];
    Workload::new(BYTES as u32, move || {
        copy(&from, black_box(&mut to));
        checksum(to.iter().step_by(65_537).map(|&byte| u64::from(byte)))
    })
}

/// Loads that each need the one before, all over 4 MiB.
pub fn pointer_chase() -> Workload {
    const ELEMENTS: usize = BYTES / size_of::<u32>();
    const STEPS: u32 = 1 << 17;
    // One cycle through all elements (Sattolo's algorithm).
    let mut next: Vec<u32> = (0..ELEMENTS as u32).collect();
    let mut state = 1;
    for index in (1..ELEMENTS).rev() {
        next.swap(index, (random(&mut state) % index as u64) as usize);
    }
    Workload::new(STEPS, move || {
        let mut position = 0;
        for _ in 0..STEPS {
            position = next[position] as usize;
        }
        position as u64
    })
}

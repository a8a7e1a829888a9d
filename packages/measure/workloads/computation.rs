//! Integer work that the bare guest program has not: tables, and calls through pointers.

use std::ffi::{c_int, c_void};
use std::hint::black_box;

use crate::{Workload, checksum, random};

unsafe extern "C" {
    fn qsort(
        base: *mut c_void,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const c_void, *const c_void) -> c_int,
    );
}

/// The C library's sort: a call through a pointer for each comparison, which it cannot inline.
pub fn sort() -> Workload {
    extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: `qsort` hands out pointers to elements, which are u32.
        let (a, b) = unsafe { (*a.cast::<u32>(), *b.cast::<u32>()) };
        a.cmp(&b) as c_int
    }
    const ELEMENTS: usize = 10_000;
    let mut state = 1;
    let unsorted: Vec<u32> = (0..ELEMENTS).map(|_| random(&mut state) as u32).collect();
    Workload::new(ELEMENTS as u32, move || {
        let mut sorted = unsorted.clone();
        // SAFETY: the count and the size are those of `sorted`.
        unsafe { qsort(sorted.as_mut_ptr().cast(), sorted.len(), size_of::<u32>(), compare) };
        checksum(sorted.into_iter().map(u64::from))
    })
}

/// CRC-32 (ISO 3309, as in gzip) a byte at a time from a table.
pub fn crc32() -> Workload {
    const BYTES: usize = 1 << 19;
    let mut state = 1;
    let data: Vec<u8> = (0..BYTES).map(|_| random(&mut state) as u8).collect();
    let table: Vec<u32> = (0..256u32)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 }))
        .collect();
    Workload::new(BYTES as u32, move || {
        let crc = data.iter().fold(!0u32, |crc, &byte| crc >> 8 ^ table[(crc as u8 ^ byte) as usize]);
        u64::from(!crc)
    })
}

/// A stack machine: what its programs work on.
struct StackMachine {
    stack: Vec<u32>,
    locals: [u32; 4],
    next: usize,
}

impl StackMachine {
    fn pop(&mut self) -> u32 {
        self.stack.pop().unwrap_or(0)
    }
}

/// An operation is a function, and each step a call through the pointer to it.
type Operation = fn(&mut StackMachine, u32);

/// An interpreter of bytecode, as script languages have it.
pub fn bytecode() -> Workload {
    const ITERATIONS: u32 = 20_000;
    fn constant(machine: &mut StackMachine, operand: u32) {
        machine.stack.push(operand);
    }
    fn load(machine: &mut StackMachine, operand: u32) {
        machine.stack.push(machine.locals[operand as usize & 3]);
    }
    fn store(machine: &mut StackMachine, operand: u32) {
        machine.locals[operand as usize & 3] = machine.pop();
    }
    fn add(machine: &mut StackMachine, _: u32) {
        let (b, a) = (machine.pop(), machine.pop());
        machine.stack.push(a.wrapping_add(b));
    }
    fn multiply(machine: &mut StackMachine, _: u32) {
        let (b, a) = (machine.pop(), machine.pop());
        machine.stack.push(a.wrapping_mul(b));
    }
    fn exclusive_or(machine: &mut StackMachine, _: u32) {
        let (b, a) = (machine.pop(), machine.pop());
        machine.stack.push(a ^ b);
    }
    fn jump_unless_zero(machine: &mut StackMachine, operand: u32) {
        if machine.pop() != 0 {
            machine.next = operand as usize;
        }
    }
    // Local 0 counts down; local 1 becomes (local 1 * 1103515245 + 12345) ^ local 0.
    let program: Vec<(Operation, u32)> = vec![
        (load, 1),
        (constant, 1_103_515_245),
        (multiply, 0),
        (constant, 12_345),
        (add, 0),
        (load, 0),
        (exclusive_or, 0),
        (store, 1),
        (load, 0),
        (constant, u32::MAX),
        (add, 0),
        (store, 0),
        (load, 0),
        (jump_unless_zero, 0),
    ];
    let steps = ITERATIONS * program.len() as u32;
    Workload::new(steps, move || {
        let program = black_box(&program);
        let mut machine = StackMachine { stack: Vec::with_capacity(8), locals: [ITERATIONS, 1, 0, 0], next: 0 };
        while let Some(&(operation, operand)) = program.get(machine.next) {
            machine.next += 1;
            operation(&mut machine, operand);
        }
        u64::from(machine.locals[1])
    })
}

/// Two pictures mixed, a byte of which is a channel: 32 bytes at a time, in words of 16 bits.
#[cfg(target_arch = "x86_64")]
pub fn blend_avx2() -> Workload {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi16, _mm256_loadu_si256, _mm256_mullo_epi16, _mm256_packus_epi16, _mm256_set1_epi16,
        _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
    };
    const BYTES: usize = 16 << 10;
    const ROUNDS: i16 = 32;
    #[target_feature(enable = "avx2")]
    fn mix(below: &[u8], above: &[u8], mixed: &mut [u8], share: i16) {
        let (above_share, below_share) = (_mm256_set1_epi16(share), _mm256_set1_epi16(256 - share));
        let (half, zero) = (_mm256_set1_epi16(128), _mm256_setzero_si256());
        let words = |below, above| {
            let sum = _mm256_add_epi16(_mm256_mullo_epi16(below, below_share), _mm256_mullo_epi16(above, above_share));
            _mm256_srli_epi16::<8>(_mm256_add_epi16(sum, half))
        };
        let sources = below.as_chunks::<32>().0.iter().zip(above.as_chunks::<32>().0);
        for ((below, above), mixed) in sources.zip(mixed.as_chunks_mut::<32>().0) {
            // SAFETY: each is 32 bytes long, and the access needs no alignment.
            let [below, above] = [below, above].map(|bytes| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) });
            let low = words(_mm256_unpacklo_epi8(below, zero), _mm256_unpacklo_epi8(above, zero));
            let high = words(_mm256_unpackhi_epi8(below, zero), _mm256_unpackhi_epi8(above, zero));
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256((mixed as *mut [u8; 32]).cast::<__m256i>(), _mm256_packus_epi16(low, high)) };
        }
    }
    assert!(is_x86_feature_detected!("avx2"), "the processor has no AVX2");
    let mut state = 1;
    let mut picture = || (0..BYTES).map(|_| random(&mut state) as u8).collect::<Vec<u8>>();
    let (below, above, mut mixed) = (picture(), picture(), vec![0; BYTES]);
    Workload::new(BYTES as u32 * ROUNDS as u32, move || {
        let mut sum = 0;
        for round in 0..ROUNDS {
            // SAFETY: the processor has it.
            unsafe { mix(black_box(&below), black_box(&above), &mut mixed, 60 + round) };
            sum = checksum([sum, u64::from_le_bytes(mixed.as_chunks::<8>().0[usize::from(round as u16)])]);
        }
        sum
    })
}

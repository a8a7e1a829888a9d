//! Work that the kernel does, at a program's request.

use std::ffi::{c_int, c_void};
use std::process::Command;

use crate::Workload;

const PROT_READ_WRITE: c_int = 3;
/// MAP_PRIVATE and MAP_ANONYMOUS.
const MAP_NEW_MEMORY: c_int = 0x22;
const PAGE_BYTES: usize = 4096;
/// Words of the processor set that `sched_setaffinity` takes here.
const SET_WORDS: usize = 16;

// The parts of the C library that std brings and does not show.
unsafe extern "C" {
    #[link_name = "getppid"]
    fn c_getppid() -> c_int;
    #[link_name = "fork"]
    fn c_fork() -> c_int;
    #[link_name = "pipe"]
    fn c_pipe(ends: *mut c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    fn close(fd: c_int) -> c_int;
    fn mmap(at: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(at: *mut c_void, length: usize) -> c_int;
    fn sched_getcpu() -> c_int;
    fn sched_setaffinity(process: c_int, bytes: usize, set: *const usize) -> c_int;
}

/// A system call that does nothing.
pub fn getppid() -> Workload {
    const CALLS: u32 = 5_000;
    Workload::new(CALLS, || {
        for _ in 0..CALLS {
            // SAFETY: it takes nothing and cannot fail.
            unsafe { c_getppid() };
        }
        0
    })
}

/// A child process that ends at once, and waiting for it.
pub fn fork() -> Workload {
    const CHILDREN: u32 = 10;
    stay_on_this_processor();
    Workload::new(CHILDREN, || {
        (0..CHILDREN)
            .map(|number| {
                // SAFETY: this process has one thread, and the child only ends.
                let child = match unsafe { c_fork() } {
                    0 => unsafe { _exit(number as c_int) },
                    child => child,
                };
                let mut status = 0;
                // SAFETY: `status` is there to be written.
                assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child, "waitpid");
                status as u64
            })
            .sum()
    })
}

/// Another program (this one, which then does nothing) in a child process.
pub fn exec() -> Workload {
    const CHILDREN: u32 = 4;
    stay_on_this_processor();
    let program = std::env::args().next().expect("a program has a name");
    Workload::new(CHILDREN, move || {
        for _ in 0..CHILDREN {
            let status = Command::new(&program).status();
            assert!(status.is_ok_and(|status| status.success()), "exec");
        }
        0
    })
}

/// A byte to another process and back.
pub fn pipe() -> Workload {
    const ROUND_TRIPS: u32 = 200;
    stay_on_this_processor();
    let ([there_out, there_in], [back_out, back_in]) = (new_pipe(), new_pipe());
    // SAFETY: this process has one thread; the child uses nothing but the pipes.
    if unsafe { c_fork() } == 0 {
        // Its own copies would keep it from seeing that the parent has ended.
        // SAFETY: the child does not use these ends.
        unsafe { (close(there_in), close(back_out)) };
        while let Some(byte) = receive(there_out) {
            send(back_in, byte.wrapping_add(1));
        }
        // SAFETY: it takes any status.
        unsafe { _exit(0) }
    }
    Workload::new(ROUND_TRIPS, move || {
        (0..ROUND_TRIPS)
            .map(|number| {
                send(there_in, number as u8);
                u64::from(receive(back_out).expect("the other process is there"))
            })
            .sum()
    })
}

fn new_pipe() -> [c_int; 2] {
    let mut ends = [0; 2];
    // SAFETY: there is room for two.
    assert_eq!(unsafe { c_pipe(ends.as_mut_ptr()) }, 0, "pipe");
    ends
}

fn send(fd: c_int, byte: u8) {
    // SAFETY: one byte, which is there.
    assert_eq!(unsafe { write(fd, (&raw const byte).cast(), 1) }, 1, "write");
}

fn receive(fd: c_int) -> Option<u8> {
    let mut byte = 0u8;
    // SAFETY: there is room for one byte.
    (unsafe { read(fd, (&raw mut byte).cast(), 1) } == 1).then_some(byte)
}

/// New memory, touched for the first time a page at a time, and given back.
pub fn page_faults() -> Workload {
    const PAGES: usize = 512;
    Workload::new(PAGES as u32, || {
        let length = PAGES * PAGE_BYTES;
        // SAFETY: new memory, wherever the kernel likes.
        let memory = unsafe { mmap(std::ptr::null_mut(), length, PROT_READ_WRITE, MAP_NEW_MEMORY, -1, 0) };
        assert_ne!(memory as isize, -1, "mmap");
        for page in 0..PAGES {
            // SAFETY: inside the new memory, which nobody else knows.
            unsafe { *memory.cast::<u8>().add(page * PAGE_BYTES) = page as u8 };
        }
        // SAFETY: as above.
        let sum = (0..PAGES).map(|page| u64::from(unsafe { *memory.cast::<u8>().add(page * PAGE_BYTES) })).sum();
        // SAFETY: the memory from above, to which there is no reference any more.
        assert_eq!(unsafe { munmap(memory, length) }, 0, "munmap");
        sum
    })
}

/// Keeps this process and its children on one processor, as the guests have no second one.
fn stay_on_this_processor() {
    // SAFETY: it takes nothing.
    let processor = unsafe { sched_getcpu() } as usize;
    let mut set = [0usize; SET_WORDS];
    set[processor / usize::BITS as usize % SET_WORDS] = 1 << (processor % usize::BITS as usize);
    // SAFETY: the size is the set's.
    assert_eq!(unsafe { sched_setaffinity(0, size_of_val(&set), set.as_ptr()) }, 0, "sched_setaffinity");
}

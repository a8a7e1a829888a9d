//! The host processor, in user mode.
//!
//! The code page is filled with INT3, so wherever the instructions under test continue, the kernel sends a signal; so does
//! every exception. The handler notes which and where, and leads the thread back into [`entry::leave`], which stores
//! the registers. System calls are turned away, so that no case reaches the kernel; a timer ends those that go on for ever.

mod entry;
mod pages;

use std::sync::{Mutex, MutexGuard, PoisonError};

use x86::Width;

use crate::case::{Case, ENDLESS, FLAT_DATA, Fault, MEMORY_BYTES, Outcome, code_selector};
use crate::{CODE, ENTRY, GS_BASE, PAGE};
use entry::{FRAME, Frame, enter, leave};
use pages::{Pages, map_at};

const BREAKPOINT: u64 = 3;
const PAGE_FAULT: u64 = 14;

/// In place of a vector: a system call was made.
pub const SYSTEM_CALL: u8 = 0xfd;

const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
const TIMER_NANOSECONDS: libc::c_long = 100_000_000;
/// Ticks of the timer a case may see.
const PATIENCE: u64 = 3;

extern "C" fn on_signal(signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let frame = FRAME_ADDRESS as *mut Frame;
    // SAFETY: the handler is only installed while a `Host` exists, so the frame is mapped. Signals other than the timer's
    // are synchronous and come from the thread that has the host while it runs a case. The kernel hands a valid context.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let selectors = registers[libc::REG_CSGSFS as usize] as u64;
        // Else returning from here would be turned away as well.
        (*frame).block_system_calls = 0;
        let vector = match signal {
            libc::SIGALRM => {
                (*frame).ticks += 1;
                let in_case = CODE.contains(&(registers[libc::REG_RIP as usize] as u64));
                if !in_case || (*frame).ticks < PATIENCE {
                    return;
                }
                u64::from(ENDLESS)
            }
            libc::SIGSYS => u64::from(SYSTEM_CALL),
            _ => registers[libc::REG_TRAPNO as usize] as u64,
        };
        (*frame).vector = vector;
        (*frame).error = registers[libc::REG_ERR as usize] as u64;
        (*frame).address = registers[libc::REG_CR2 as usize] as u64;
        (*frame).registers.rip = registers[libc::REG_RIP as usize] as u64;
        (*frame).registers.rflags = registers[libc::REG_EFL as usize] as u64;
        // This word is CS, GS, FS, SS.
        (*frame).registers.selectors[1] = selectors as u16;
        (*frame).registers.selectors[2] = (selectors >> 48) as u16;
        registers[libc::REG_RIP as usize] = leave as *const () as i64;
        registers[libc::REG_EFL as usize] = 2;
        registers[libc::REG_CSGSFS as usize] = (selectors & !0xffff | u64::from(code_selector(Width::W64))) as i64;
    }
}

/// The low addresses can be mapped once in a process, so there is one host processor at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The host processor, held by one thread.
pub struct Host {
    pages: Pages,
    scratch: Vec<u8>,
    timer: libc::timer_t,
    alternate_stack: Vec<u8>,
    _exclusive: MutexGuard<'static, ()>,
    _not_send: core::marker::PhantomData<*mut ()>,
}

const SIGNALS: [libc::c_int; 7] =
    [libc::SIGTRAP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS, libc::SIGSYS, libc::SIGALRM];
const ALTERNATE_STACK_BYTES: usize = 1 << 16;
const FRAME_ADDRESS: u64 = GS_BASE + FRAME;
const FRAME_BYTES: u64 = PAGE;

impl Host {
    /// Maps the pages and takes over the signals; waits while another thread has it.
    ///
    /// # Panics
    /// The kernel refuses something this needs.
    #[must_use]
    pub fn new() -> Host {
        let exclusive = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = Pages::map();
        const { assert!(size_of::<Frame>() as u64 <= FRAME_BYTES) };
        map_at(
            FRAME_ADDRESS,
            FRAME_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        );
        let mut host = Host {
            pages,
            scratch: vec![0; MEMORY_BYTES],
            timer: core::ptr::null_mut(),
            alternate_stack: vec![0; ALTERNATE_STACK_BYTES],
            _exclusive: exclusive,
            _not_send: core::marker::PhantomData,
        };
        host.frame().has_avx = u64::from(std::is_x86_feature_detected!("avx"));
        host.frame().has_fsgsbase = u64::from(may_write_fs_base());
        host.take_signals();
        host.timer = start_timer();
        host.turn_system_calls_away();
        make_16_bit_segment();
        host
    }

    fn frame(&mut self) -> &mut Frame {
        // SAFETY: mapped and zero since `new`, for which every field is valid; the borrow of `self` keeps it exclusive.
        unsafe { &mut *(FRAME_ADDRESS as *mut Frame) }
    }

    fn take_signals(&mut self) {
        let stack = self.alternate_stack.as_mut_ptr().cast();
        let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: ALTERNATE_STACK_BYTES };
        // SAFETY: the stack lives as long as the host; the handler has the signature SA_SIGINFO asks for; nothing else in
        // this process uses GS (64-bit Linux keeps thread-local storage at FS).
        unsafe {
            libc::sigaltstack(&raw const stack, core::ptr::null_mut());
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            for signal in SIGNALS {
                libc::sigaction(signal, &raw const action, core::ptr::null_mut());
            }
            const ARCH_SET_GS: libc::c_int = 0x1001;
            libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
            // 64-bit processes start with null data segments, which compatibility mode cannot use.
            core::arch::asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) u32::from(FLAT_DATA), options(nostack));
        }
    }

    /// # Panics
    /// The kernel is older than 5.11.
    fn turn_system_calls_away(&mut self) {
        const ON: u64 = 1;
        let selector = &raw mut self.frame().block_system_calls;
        // SAFETY: the selector lives as long as this dispatch: `drop` ends it.
        let done = unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, ON, 0u64, 0u64, selector) };
        assert_eq!(done, 0, "system calls cannot be turned away: {}", std::io::Error::last_os_error());
    }

    /// Why this machine's processor cannot be asked, if it cannot: not every kernel lets ordinary users map pages as low as a
    /// case's are (vm.mmap_min_addr).
    #[must_use]
    pub fn unavailable() -> Option<String> {
        let lowest = std::fs::read_to_string("/proc/sys/vm/mmap_min_addr").ok()?.trim().parse::<u64>().ok()?;
        // SAFETY: takes nothing and always succeeds.
        let root = unsafe { libc::geteuid() } == 0;
        (!root && lowest > CODE.start)
            .then(|| format!("vm.mmap_min_addr is {lowest}: run as root, or set it to {} or less", CODE.start))
    }

    /// Runs `case`.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.pages.fill(case, &mut self.scratch);
        let frame = self.frame();
        frame.registers = case.registers;
        frame.registers.rip = ENTRY | u64::from(code_selector(case.mode)) << 32;
        frame.ticks = 0;
        frame.block_system_calls = 1;
        // SAFETY: GS leads to the frame; the handler catches whatever the instructions do, and `leave` restores what
        // the C calling convention keeps. They make no system call that is not turned away, and reach memory only
        // through addresses the case sets up: in its pages, or where nothing is mapped.
        unsafe { enter() };
        self.pages.forget(case);
        let frame = self.frame();
        let mut registers = frame.registers;
        let vector = frame.vector;
        let trapped = vector == BREAKPOINT;
        if trapped {
            registers.rip -= 1;
        }
        let address = if vector == PAGE_FAULT { frame.address } else { 0 };
        let fault = Fault { vector: vector as u8, error: frame.error as u32, address };
        Outcome { fault: (!trapped).then_some(fault), registers, memory: self.pages.memory() }
    }
}

impl Default for Host {
    fn default() -> Host {
        Host::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: back to the default actions; the frame was mapped by `new` and nothing points into it any more.
        unsafe {
            libc::timer_delete(self.timer);
            libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, 0u64, 0u64, 0u64, 0u64);
            for signal in SIGNALS {
                libc::signal(signal, libc::SIG_DFL);
            }
            let none = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            libc::sigaltstack(&raw const none, core::ptr::null_mut());
            libc::munmap(FRAME_ADDRESS as *mut libc::c_void, FRAME_BYTES as usize);
        }
    }
}

/// A timer that sends SIGALRM to the thread that made it, and no other.
fn start_timer() -> libc::timer_t {
    // SAFETY: all zero is a valid sigevent; the kernel reads and writes the structures during the calls.
    unsafe {
        let mut event: libc::sigevent = core::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer: libc::timer_t = core::ptr::null_mut();
        let made = libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer);
        assert_eq!(made, 0, "no timer: {}", std::io::Error::last_os_error());
        let interval = libc::timespec { tv_sec: 0, tv_nsec: TIMER_NANOSECONDS };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        libc::timer_settime(timer, 0, &raw const times, core::ptr::null_mut());
        timer
    }
}

/// The kernel tells programs that it has set CR4.FSGSBASE.
#[must_use]
pub fn may_write_fs_base() -> bool {
    const HWCAP2_FSGSBASE: u64 = 1 << 1;
    // SAFETY: no memory is involved.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Asks the kernel for a flat 16-bit code segment in this process's local descriptor table.
fn make_16_bit_segment() {
    /// `struct user_desc` of modify_ldt(2).
    #[repr(C)]
    struct UserDescriptor {
        entry: u32,
        base: u32,
        limit: u32,
        flags: u32,
    }
    const CONTENTS_CODE: u32 = 2 << 1;
    const LIMIT_IN_PAGES: u32 = 1 << 4;
    const WRITE: libc::c_int = 0x11;
    let segment = UserDescriptor { entry: 0, base: 0, limit: 0xf_ffff, flags: CONTENTS_CODE | LIMIT_IN_PAGES };
    // SAFETY: the kernel reads the descriptor during the call.
    let done = unsafe { libc::syscall(libc::SYS_modify_ldt, WRITE, &raw const segment, size_of::<UserDescriptor>()) };
    assert_eq!(done, 0, "no 16-bit segment: {}", std::io::Error::last_os_error());
}

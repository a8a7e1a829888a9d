//! The host processor, in user mode.
//!
//! The code page is filled with INT3, so wherever the instruction under test continues, the kernel sends a signal; so does
//! every exception. The handler notes which and where, and leads the thread back into [`leave`], which stores
//! the registers. While the instruction runs all general registers are its own; GS:0 is where ours are kept.

use core::arch::naked_asm;
use std::sync::{Mutex, MutexGuard, PoisonError};

use x86::Width;

use crate::case::{Case, Outcome, Registers};
use crate::{CODE, DATA, DATA_WINDOW, ENTRY, PAGE, STACK, STACK_WINDOW};

/// Selector of a code segment of the given width. Linux has the first two ready; [`make_16_bit_segment`] makes the third.
fn selector(mode: Width) -> u16 {
    match mode {
        Width::W64 => 0x33,
        Width::W32 => 0x23,
        _ => LOCAL_TABLE_USER,
    }
}

/// Entry 0 of the local descriptor table, at privilege level 3.
const LOCAL_TABLE_USER: u16 = 0b111;
const FLAT_DATA: u16 = 0x2b;
const INT3: u8 = 0xcc;
const BREAKPOINT_VECTOR: u64 = 3;
const MAX_LENGTH: usize = 15;

/// What GS points to; offsets are written out in [`enter`] and [`leave`].
#[repr(C, align(64))]
struct Frame {
    registers: Registers,
    /// Stack pointer of the caller of [`enter`].
    host_rsp: u64,
    /// Address of this frame, so that code which only knows GS finds it.
    this: *mut Frame,
    /// Vector of the exception that ended the run.
    vector: u64,
    /// Not zero where the processor has YMM registers, and the kernel lets programs use them.
    has_avx: u64,
}

const _: () = {
    assert!(core::mem::offset_of!(Registers, ymm_high) == 576);
    assert!(core::mem::offset_of!(Registers, gpr) == 832);
    assert!(core::mem::offset_of!(Registers, rflags) == 960);
    assert!(core::mem::offset_of!(Registers, rip) == 968);
    assert!(core::mem::offset_of!(Frame, host_rsp) == 1024);
    assert!(core::mem::offset_of!(Frame, this) == 1032);
    assert!(core::mem::offset_of!(Frame, has_avx) == 1048);
};

/// Loads every register from the frame and jumps to its RIP, far, because the code segment may be another.
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov gs:[1024], rsp",
        "cmp qword ptr gs:[1048], 0",
        "je 2f",
        "mov eax, 7",
        "xor edx, edx",
        "xrstor64 gs:[0]",
        "jmp 3f",
        "2: fxrstor64 gs:[0]",
        "3:",
        "push qword ptr gs:[960]",
        "popfq",
        "mov rax, gs:[832]",
        "mov rcx, gs:[840]",
        "mov rdx, gs:[848]",
        "mov rbx, gs:[856]",
        "mov rsp, gs:[864]",
        "mov rbp, gs:[872]",
        "mov rsi, gs:[880]",
        "mov rdi, gs:[888]",
        "mov r8, gs:[896]",
        "mov r9, gs:[904]",
        "mov r10, gs:[912]",
        "mov r11, gs:[920]",
        "mov r12, gs:[928]",
        "mov r13, gs:[936]",
        "mov r14, gs:[944]",
        "mov r15, gs:[952]",
        // JMP FAR m16:32 at GS:968.
        ".byte 0x65, 0xff, 0x2c, 0x25, 0xc8, 0x03, 0x00, 0x00",
    )
}

/// Where the signal handler leads: stores every register but RIP in the frame and returns from [`enter`].
#[unsafe(naked)]
unsafe extern "C" fn leave() {
    naked_asm!(
        "mov gs:[832], rax",
        "mov gs:[840], rcx",
        "mov gs:[848], rdx",
        "mov gs:[856], rbx",
        "mov gs:[864], rsp",
        "mov gs:[872], rbp",
        "mov gs:[880], rsi",
        "mov gs:[888], rdi",
        "mov gs:[896], r8",
        "mov gs:[904], r9",
        "mov gs:[912], r10",
        "mov gs:[920], r11",
        "mov gs:[928], r12",
        "mov gs:[936], r13",
        "mov gs:[944], r14",
        "mov gs:[952], r15",
        "mov rsp, gs:[1024]",
        "pushfq",
        "pop qword ptr gs:[960]",
        "cld",
        "cmp qword ptr gs:[1048], 0",
        "je 2f",
        "mov eax, 7",
        "xor edx, edx",
        "xsave64 gs:[0]",
        "vzeroupper",
        "jmp 3f",
        "2: fxsave64 gs:[0]",
        "3: fninit",
        "push 0x1f80",
        "ldmxcsr [rsp]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

extern "C" fn on_signal(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the handler is only installed while a `Host` exists, whose thread has GS point to its frame; signals of the kinds
    // caught are synchronous, so they come from that thread while it runs the instruction. The kernel hands a valid context.
    unsafe {
        let frame: *mut Frame;
        core::arch::asm!("mov {}, gs:[1032]", out(reg) frame, options(nostack, readonly));
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        (*frame).vector = registers[libc::REG_TRAPNO as usize] as u64;
        (*frame).registers.rip = registers[libc::REG_RIP as usize] as u64;
        registers[libc::REG_RIP as usize] = leave as *const () as i64;
        // CS is the lowest of the four selectors in this word.
        let selectors = &mut registers[libc::REG_CSGSFS as usize];
        *selectors = *selectors & !0xffff | i64::from(selector(Width::W64));
    }
}

/// The low addresses can be mapped once in a process, so there is one host processor at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The host processor, held by one thread.
pub struct Host {
    frame: Box<Frame>,
    _alternate_stack: Vec<u8>,
    _exclusive: MutexGuard<'static, ()>,
    _not_send: core::marker::PhantomData<*mut ()>,
}

const MAPPINGS: [(u64, u64); 3] = [(CODE, PAGE), (DATA, 2 * PAGE), (STACK, PAGE)];
const SIGNALS: [libc::c_int; 5] = [libc::SIGTRAP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS];
const ALTERNATE_STACK_BYTES: usize = 1 << 16;

impl Host {
    /// Maps the pages and takes over the signals; waits while another thread has it.
    ///
    /// # Panics
    /// The kernel refuses a mapping.
    #[must_use]
    pub fn new() -> Host {
        let exclusive = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        for (address, bytes) in MAPPINGS {
            map(address, bytes);
        }
        // SAFETY: the code page was just mapped writable.
        unsafe { core::ptr::write_bytes(CODE as *mut u8, INT3, PAGE as usize) };
        let mut alternate_stack = vec![0u8; ALTERNATE_STACK_BYTES];
        let registers = Registers::new();
        let has_avx = u64::from(std::is_x86_feature_detected!("avx"));
        let mut frame = Box::new(Frame { registers, host_rsp: 0, this: core::ptr::null_mut(), vector: 0, has_avx });
        frame.this = &raw mut *frame;
        let stack =
            libc::stack_t { ss_sp: alternate_stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: ALTERNATE_STACK_BYTES };
        // SAFETY: the stack lives as long as the host; the handler has the signature SA_SIGINFO asks for; nothing else in
        // this process uses GS (64-bit Linux keeps thread-local storage at FS).
        unsafe {
            libc::sigaltstack(&raw const stack, core::ptr::null_mut());
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in SIGNALS {
                libc::sigaction(signal, &raw const action, core::ptr::null_mut());
            }
            const ARCH_SET_GS: libc::c_int = 0x1001;
            libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, frame.this);
            // 64-bit processes start with null data segments, which compatibility mode cannot use.
            core::arch::asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) u32::from(FLAT_DATA), options(nostack));
        }
        make_16_bit_segment();
        Host { frame, _alternate_stack: alternate_stack, _exclusive: exclusive, _not_send: core::marker::PhantomData }
    }

    /// Runs the one instruction of `case`.
    pub fn run(&mut self, case: &Case) -> Outcome {
        let length = case.code.len().min(MAX_LENGTH);
        write(ENTRY, &case.code[..length]);
        write(DATA_WINDOW.start, &case.data);
        write(STACK_WINDOW.start, &case.stack);
        self.frame.registers = case.registers;
        self.frame.registers.rip = ENTRY | u64::from(selector(case.mode)) << 32;
        // SAFETY: GS points to the frame; the handler catches whatever the instruction does, and `leave` restores what
        // the C calling convention keeps. The instruction is one of the cases' own: it makes no system call and writes only
        // through the addresses they set up.
        unsafe { enter() };
        write(ENTRY, &[INT3; MAX_LENGTH][..length]);
        let mut registers = self.frame.registers;
        let trapped = self.frame.vector == BREAKPOINT_VECTOR;
        if trapped {
            registers.rip -= 1;
        }
        Outcome {
            exception: (!trapped).then_some(self.frame.vector as u8),
            registers,
            data: read(DATA_WINDOW),
            stack: read(STACK_WINDOW),
        }
    }
}

impl Default for Host {
    fn default() -> Host {
        Host::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: back to the default actions; the pages were mapped by `new` and nothing points into them any more.
        unsafe {
            for signal in SIGNALS {
                libc::signal(signal, libc::SIG_DFL);
            }
            for (address, bytes) in MAPPINGS {
                libc::munmap(address as *mut libc::c_void, bytes as usize);
            }
        }
    }
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

fn map(address: u64, bytes: u64) {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE never takes the place of something mapped.
    let at = unsafe { libc::mmap(address as *mut libc::c_void, bytes as usize, protection, flags, -1, 0) };
    assert_eq!(at as u64, address, "cannot map {address:#x}: {}", std::io::Error::last_os_error());
}

fn write(address: u64, bytes: &[u8]) {
    // SAFETY: callers pass ranges inside the pages `Host::new` mapped.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) }
}

fn read(range: core::ops::Range<u64>) -> Vec<u8> {
    // SAFETY: as in `write`.
    unsafe { core::slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize) }.to_vec()
}

//! The way into a case and out of it. While it runs all general registers are its own; GS is where ours are kept.

use core::arch::naked_asm;

use crate::FS_BASE;
use crate::case::Registers;

/// What GS points to; offsets are written out in [`enter`] and [`leave`].
#[repr(C, align(64))]
pub(super) struct Frame {
    pub(super) registers: Registers,
    /// Stack pointer of the caller of [`enter`].
    host_rsp: u64,
    /// Base of FS outside cases: thread-local storage.
    host_fs: u64,
    /// Not zero where the processor has YMM registers, and the kernel lets programs use them.
    pub(super) has_avx: u64,
    /// Not zero where programs may write the base of FS.
    pub(super) has_fsgsbase: u64,
    /// Vector of the exception that ended the run, or one of the numbers above.
    pub(super) vector: u64,
    /// Its error code.
    pub(super) error: u64,
    /// CR2.
    pub(super) address: u64,
    /// Whether the kernel turns system calls away (prctl(2), PR_SET_SYSCALL_USER_DISPATCH).
    pub(super) block_system_calls: u64,
    /// Timer ticks this case has seen.
    pub(super) ticks: u64,
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Registers, ymm_high) == 576);
    assert!(offset_of!(Registers, gpr) == 832);
    assert!(offset_of!(Registers, rip) == 968);
    assert!(offset_of!(Registers, selectors) == 976);
    assert!(offset_of!(Frame, host_rsp) == 1024);
    assert!(offset_of!(Frame, host_fs) == 1032);
    assert!(offset_of!(Frame, has_avx) == 1040);
    assert!(offset_of!(Frame, has_fsgsbase) == 1048);
};

/// Loads every register from the frame and jumps to its RIP, far, because the code segment may be another.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enter() {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov gs:[1024], rsp",
        "cmp qword ptr gs:[1040], 0",
        "je 2f",
        "mov eax, 7",
        "xor edx, edx",
        "xrstor64 gs:[0]",
        "jmp 3f",
        "2: fxrstor64 gs:[0]",
        "3:",
        "cmp qword ptr gs:[1048], 0",
        "je 2f",
        "rdfsbase rax",
        "mov gs:[1032], rax",
        "mov eax, {fs_base}",
        "wrfsbase rax",
        "2:",
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
        fs_base = const FS_BASE,
    )
}

/// Where the signal handler leads, with flags cleared: stores the registers it has not and returns from [`enter`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leave() {
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
        "mov word ptr gs:[976], es",
        "mov word ptr gs:[982], ds",
        "mov word ptr gs:[984], fs",
        "mov word ptr gs:[986], gs",
        "mov rsp, gs:[1024]",
        "mov eax, {flat_data}",
        "mov ds, eax",
        "mov es, eax",
        "cmp qword ptr gs:[1048], 0",
        "je 2f",
        "xor eax, eax",
        "mov fs, eax",
        "mov rax, gs:[1032]",
        "wrfsbase rax",
        "2: cmp qword ptr gs:[1040], 0",
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
        flat_data = const super::FLAT_DATA,
    )
}

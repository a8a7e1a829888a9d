//! The way into a case and out of it. While it runs all general registers are its own; GS is where ours are kept.

use core::arch::naked_asm;

use crate::FS_BASE;
use crate::case::Registers;

/// Where the frame lies behind [`GS_BASE`](crate::GS_BASE): not where the offsets of cases would find it.
pub(super) const FRAME: u64 = 0x5a5a_5000;

/// What the harness finds through GS; offsets are written out in [`enter`] and [`leave`].
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
        "mov gs:[{frame} + 1024], rsp",
        "cmp qword ptr gs:[{frame} + 1040], 0",
        "je 2f",
        "mov eax, 7",
        "xor edx, edx",
        "xrstor64 gs:[{frame} + 0]",
        "jmp 3f",
        "2: fxrstor64 gs:[{frame} + 0]",
        "3:",
        "cmp qword ptr gs:[{frame} + 1048], 0",
        "je 2f",
        "rdfsbase rax",
        "mov gs:[{frame} + 1032], rax",
        "mov eax, {fs_base}",
        "wrfsbase rax",
        "2:",
        "push qword ptr gs:[{frame} + 960]",
        "popfq",
        "mov rax, gs:[{frame} + 832]",
        "mov rcx, gs:[{frame} + 840]",
        "mov rdx, gs:[{frame} + 848]",
        "mov rbx, gs:[{frame} + 856]",
        "mov rsp, gs:[{frame} + 864]",
        "mov rbp, gs:[{frame} + 872]",
        "mov rsi, gs:[{frame} + 880]",
        "mov rdi, gs:[{frame} + 888]",
        "mov r8, gs:[{frame} + 896]",
        "mov r9, gs:[{frame} + 904]",
        "mov r10, gs:[{frame} + 912]",
        "mov r11, gs:[{frame} + 920]",
        "mov r12, gs:[{frame} + 928]",
        "mov r13, gs:[{frame} + 936]",
        "mov r14, gs:[{frame} + 944]",
        "mov r15, gs:[{frame} + 952]",
        // JMP FAR m16:32 at GS:[FRAME + 968].
        ".byte 0x65, 0xff, 0x2c, 0x25",
        ".long {frame} + 968",
        frame = const FRAME,
        fs_base = const FS_BASE,
    )
}

/// Where the signal handler leads, with flags cleared: stores the registers it has not and returns from [`enter`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leave() {
    naked_asm!(
        "mov gs:[{frame} + 832], rax",
        "mov gs:[{frame} + 840], rcx",
        "mov gs:[{frame} + 848], rdx",
        "mov gs:[{frame} + 856], rbx",
        "mov gs:[{frame} + 864], rsp",
        "mov gs:[{frame} + 872], rbp",
        "mov gs:[{frame} + 880], rsi",
        "mov gs:[{frame} + 888], rdi",
        "mov gs:[{frame} + 896], r8",
        "mov gs:[{frame} + 904], r9",
        "mov gs:[{frame} + 912], r10",
        "mov gs:[{frame} + 920], r11",
        "mov gs:[{frame} + 928], r12",
        "mov gs:[{frame} + 936], r13",
        "mov gs:[{frame} + 944], r14",
        "mov gs:[{frame} + 952], r15",
        "mov word ptr gs:[{frame} + 976], es",
        "mov word ptr gs:[{frame} + 982], ds",
        "mov word ptr gs:[{frame} + 984], fs",
        "mov word ptr gs:[{frame} + 986], gs",
        "mov rsp, gs:[{frame} + 1024]",
        "mov eax, {flat_data}",
        "mov ds, eax",
        "mov es, eax",
        "cmp qword ptr gs:[{frame} + 1048], 0",
        "je 2f",
        "xor eax, eax",
        "mov fs, eax",
        "mov rax, gs:[{frame} + 1032]",
        "wrfsbase rax",
        "2: cmp qword ptr gs:[{frame} + 1040], 0",
        "je 2f",
        "mov eax, 7",
        "xor edx, edx",
        "xsave64 gs:[{frame} + 0]",
        "vzeroupper",
        "jmp 3f",
        "2: fxsave64 gs:[{frame} + 0]",
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
        frame = const FRAME,
        flat_data = const super::FLAT_DATA,
    )
}

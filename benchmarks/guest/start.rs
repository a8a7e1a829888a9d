//! From the PVH entry point to Rust: page tables, long mode, a stack.

use core::arch::{asm, global_asm};
use core::ffi::CStr;

// The PVH boot protocol (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, flat segments, paging off, EBX holds
// the physical address of hvm_start_info. The note's type 18 is XEN_ELFNOTE_PHYS32_ENTRY.
//
// Long mode as in Intel SDM vol. 3, 10.8.5: PAE, CR3, EFER.LME, paging, far jump. Four page directories of 2 MiB
// pages map the first 4 GiB.
global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_start

    .section .text.start, "ax"
    .code32
    .global pvh_start
pvh_start:
    cli
    mov $stack_top, %esp
    mov %ebx, %ebp

    mov $page_directories, %edi
    mov $0x83, %eax
    xor %ecx, %ecx
1:  mov %eax, (%edi, %ecx, 8)
    movl $0, 4(%edi, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jne 1b

    mov $page_directory_pointers, %edi
    lea 3 + page_directories, %eax
    xor %ecx, %ecx
2:  mov %eax, (%edi, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $4, %ecx
    jne 2b
    movl $page_directory_pointers + 3, page_map

    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $page_map, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebp, %edi
    call {entry}
    hlt

    .section .rodata.start, "a"
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff
gdt_pointer:
    .word 15
    .long gdt

    .section .bss.start, "aw", @nobits
    .balign 4096
page_map:
    .skip 4096
page_directory_pointers:
    .skip 4096
page_directories:
    .skip 4 * 4096
    .skip 65536
stack_top:
    "#,
    entry = sym entry,
    options(att_syntax)
);

/// `hvm_start_info` as far as it matters here: the address of the command line is at offset 24.
const COMMAND_LINE_OFFSET: usize = 24;

extern "C" fn entry(start_info: usize) -> ! {
    // SAFETY: the boot protocol puts a start_info there and, where its field is not zero, a C string behind it.
    let command_line = unsafe {
        match *((start_info + COMMAND_LINE_OFFSET) as *const u64) {
            0 => c"",
            address => CStr::from_ptr(address as *const i8),
        }
    };
    crate::main(command_line.to_str().unwrap_or(""))
}

/// Writes a byte to an I/O port.
pub fn port_out(port: u16, value: u8) {
    // SAFETY: this program owns the machine; the ports it uses are a serial port's.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack)) }
}

/// Reads a byte from an I/O port.
pub fn port_in(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as in `port_out`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack)) }
    value
}

/// Stops for good: nothing can wake a halted processor with interrupts off.
pub fn halt() -> ! {
    loop {
        // SAFETY: touches no memory.
        unsafe { asm!("cli", "hlt", options(nostack)) }
    }
}

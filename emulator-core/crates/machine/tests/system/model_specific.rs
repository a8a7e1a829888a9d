//! Model-specific registers and fast system calls (Intel SDM vol. 3, 5.8.7 and 5.8.8; vol. 4).

use iced_x86::code_asm::*;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const APIC_BASE: u32 = 0x1b;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const PAT: u32 = 0x277;
const MTRR_DEF_TYPE: u32 = 0x2ff;
const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FMASK: u32 = 0xc000_0084;
const FS_BASE: u32 = 0xc000_0100;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

fn write_msr(p: &mut Program, msr: u32, value: u64) {
    asm!(p; mov(ecx, msr); mov(eax, value as u32); mov(edx, (value >> 32) as u32); wrmsr());
}

#[test]
fn registers_that_do_not_exist_and_values_they_cannot_hold_are_protection_faults() {
    // SDM vol. 2, RDMSR and WRMSR: reserved registers, reserved bits, addresses that are not canonical.
    let mut p = Program::long().not_judged_by_tcg("it ignores what it does not know");
    asm!(p; mov(ecx, 0x1234_5678); mark("read"); rdmsr(); land(); mark("write"); wrmsr(); land());
    let values: [(&str, u32, u64); 9] = [
        ("EFER", EFER, 0x500 | 1 << 1),
        ("LSTAR", LSTAR, 1 << 47),
        ("FS base", FS_BASE, 1 << 63),
        ("kernel GS base", KERNEL_GS_BASE, 1 << 48),
        ("SYSENTER_EIP", SYSENTER_EIP, 1 << 47),
        ("PAT", PAT, 2),
        ("MTRR type", MTRR_DEF_TYPE, 7),
        ("APIC base", APIC_BASE, 0xfee0_0900 | 1),
        ("flag mask", FMASK, 1 << 32),
    ];
    let mut expected = vec!["#GP(0x0) at read".to_owned(), "#GP(0x0) at write".to_owned()];
    for (name, msr, value) in values {
        asm!(p; mov(ecx, msr); mov(eax, value as u32); mov(edx, (value >> 32) as u32); mark(name); wrmsr(); land());
        expected.push(format!("#GP(0x0) at {name}"));
    }
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn syscall_and_sysret_change_level_with_selectors_from_star() {
    // 5.8.8 and SDM vol. 2. SYSRET to 64-bit code adds 16 to the upper selector, so user code comes third there.
    let mut p = Program::long();
    // STAR[63:48] + 16 must be a 64-bit code segment of level 3: that is 0x30 - 16.
    write_msr(&mut p, STAR, 0x20u64 << 48 | u64::from(CODE64) << 32);
    write_msr(&mut p, LSTAR, MORE);
    write_msr(&mut p, FMASK, 0x3000);
    write_msr(&mut p, EFER, 0xd01);
    asm!(p; mov(ecx, EVEN_MORE as u32); mov(r11d, 0x3002); sysretq());
    p.code(64, EVEN_MORE);
    asm!(p;
        mov(eax, cs); say_eax(); mov(eax, ss); say_eax(); pushfq(); pop(rax); say_rax(); syscall(); mark("behind"); ud2();
    );
    p.code(64, MORE);
    asm!(p;
        mov(eax, cs); say_eax(); mov(eax, ss); say_eax();
        pushfq(); pop(rax); and(eax, 0x3000); say_eax(); mov(rax, r11); and(eax, 0x3000); say_eax();
        sysretq();
    );
    p.expect(&["0x33", "0x2b", "0x3002", "0x28", "0x30", "0x0", "0x3000", "#UD at behind"]);
}

#[test]
fn sysret_to_an_address_that_is_not_canonical_faults_at_level_0() {
    // SDM vol. 2, SYSRET.
    let mut p = Program::long();
    write_msr(&mut p, EFER, 0xd01);
    asm!(p; mov(rcx, 1u64 << 47); mark("sysret"); sysretq());
    let p = p.not_judged_by_tcg("it faults at the target").showing(|e| format!("CS {:#x}", e.cs));
    p.expect(&["#GP(0x0) at sysret: CS 0x28"]);
}

#[test]
fn system_calls_are_undefined_while_efer_sce_is_clear() {
    // SDM vol. 2, SYSCALL and SYSRET.
    let mut p = Program::long();
    asm!(p; mark("syscall"); syscall(); land(); mark("sysret"); sysretq());
    p.expect(&["#UD at syscall", "#UD at sysret"]);
}

#[test]
fn sysenter_and_sysexit_take_their_segments_from_one_selector() {
    // 5.8.7: code, stack, and for level 3 the next two.
    let mut p = Program::protected().user().flags(0x3000);
    // The MSRs are written at level 0: by way of a call gate.
    p.descriptor(FREE, crate::bench::descriptor::gate(CODE32, MORE, 0xec, 0));
    asm!(p; call_far(FREE, 0); sysenter());
    p.code(32, MORE);
    for (msr, value) in [(SYSENTER_CS, u64::from(CODE32)), (SYSENTER_ESP, STACK), (SYSENTER_EIP, EVEN_MORE)] {
        write_msr(&mut p, msr, value);
    }
    asm!(p; retf());
    p.code(32, EVEN_MORE);
    asm!(p;
        mov(eax, cs); say_eax(); mov(eax, ss); say_eax(); mov(eax, esp); say_eax();
        mov(edx, MORE as u32 + 0x200); mov(ecx, USER_STACK as u32); sysexit();
    );
    p.code(32, MORE + 0x200);
    asm!(p; mov(eax, cs); say_eax(); mov(eax, ss); say_eax(); mov(eax, esp); say_eax());
    p.expect(&["0x8", "0x10", "0xef00", "0x1b", "0x23", "0xf700"]);
}

#[test]
fn sysenter_without_a_selector_and_sysexit_of_user_code_fault() {
    // SDM vol. 2, SYSENTER and SYSEXIT.
    let mut p = Program::protected().user();
    asm!(p; mark("sysenter"); sysenter(); land(); mark("sysexit"); sysexit());
    p.expect(&["#GP(0x0) at sysenter", "#GP(0x0) at sysexit"]);
}

#[test]
fn swapgs_exchanges_the_base_for_the_kernels_and_is_privileged() {
    // SDM vol. 2, SWAPGS.
    let mut p = Program::long();
    p.write32(DATA_AREA, 0xabcd);
    write_msr(&mut p, KERNEL_GS_BASE, DATA_AREA);
    asm!(p; swapgs(); mov(eax, dword_ptr(0).gs()); say_eax());
    p.expect(&["0xabcd"]);
    let mut p = Program::long().user();
    asm!(p; mark("user"); swapgs());
    p.expect(&["#GP(0x0) at user"]);
    let mut p = Program::protected();
    asm!(p; mark("32-bit code"); db(&[0x0f, 0x01, 0xf8]));
    p.expect(&["#UD at 32-bit code"]);
}

#[test]
fn the_time_stamp_counter_can_be_set_and_adjusted() {
    // 17.17.3: writing one moves the other.
    let mut p = Program::protected().not_judged_by_tcg("its clock runs on between the instructions");
    write_msr(&mut p, 0x10, 0x12_0000_0000);
    asm!(p; rdtsc(); mov(eax, edx); say_eax());
    write_msr(&mut p, 0x3b, 0);
    asm!(p; rdtsc(); mov(eax, edx); say_eax());
    p.expect(&["0x12", "0x0"]);
}

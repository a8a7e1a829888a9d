//! Transitions between modes, and control registers (Intel SDM vol. 3, chapters 2 and 9).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, Program, asm};

const CR0_PE: u32 = 1;
const CR0_NW: u32 = 1 << 29;
const CR0_PG: u32 = 1 << 31;
const CR4_PAE: u32 = 1 << 5;
const CR4_UMIP: u32 = 1 << 11;
const EFER: u32 = 0xc000_0080;
const EFER_LME: u32 = 1 << 8;
const EFER_LMA: u32 = 1 << 10;

#[test]
fn from_real_mode_to_64_bit_and_compatibility_mode_and_all_the_way_back() {
    // 9.8.5 (into IA-32e mode), 9.8.5.4 (out of it), 9.9 (protected mode and back).
    const COMPATIBLE: u64 = MORE + 0x200;
    const LEAVING: u64 = MORE + 0x300;
    const SIXTEEN: u64 = MORE + 0x400;
    const REAL_AGAIN: u64 = MORE + 0x500;
    let mut p = Program::real();
    asm!(p; say(1); lgdt(ptr(GDTR)); mov(eax, cr0); or(eax, CR0_PE); mov(cr0, eax); jump_far(CODE32, MORE));
    p.code(32, MORE);
    asm!(p;
        say(2); mov(eax, u32::from(DATA)); mov(ss, eax); mov(ds, eax); mov(es, eax); mov(esp, STACK as u32);
        mov(eax, CR4_PAE); mov(cr4, eax); mov(eax, PML4 as u32); mov(cr3, eax);
        mov(ecx, EFER); rdmsr(); or(eax, EFER_LME); wrmsr();
        mov(eax, cr0); or(eax, CR0_PG); mov(cr0, eax);
        rdmsr(); and(eax, EFER_LMA); say_eax();
        jump_far(CODE64, EVEN_MORE);
    );
    p.code(64, EVEN_MORE);
    asm!(p;
        say(3); mov(rax, 0x1_0000_0003u64); say_rax();
        push(i32::from(CODE32)); push(COMPATIBLE as i32); retf();
    );
    p.code(32, COMPATIBLE);
    asm!(p; say(4); mov(eax, esp); say_eax(); call_far(CODE64, EVEN_MORE + 0x200); jmp(LEAVING));
    p.code(64, EVEN_MORE + 0x200);
    asm!(p; say(5); mov(rax, rsp); say_rax(); db(&[0xcb]));
    p.code(32, LEAVING);
    asm!(p;
        say(6); mov(eax, cr0); and(eax, !CR0_PG as i32); mov(cr0, eax);
        mov(ecx, EFER); rdmsr(); and(eax, EFER_LMA); say_eax();
        rdmsr(); and(eax, !EFER_LME as i32); wrmsr(); xor(eax, eax); mov(cr4, eax);
        say(7); jump_far(CODE16, SIXTEEN);
    );
    p.code(16, SIXTEEN);
    asm!(p;
        mov(ax, u32::from(DATA16)); mov(ss, ax); mov(ds, ax); mov(es, ax);
        mov(eax, cr0); and(eax, !CR0_PE as i32); mov(cr0, eax); jump_far(0, REAL_AGAIN);
    );
    p.code(16, REAL_AGAIN);
    asm!(p; xor(ax, ax); mov(ss, ax); mov(ds, ax); lidt(ptr(REAL_IDTR)); say(8); mark("real again"); ud2());
    p.expect(&[
        "0x1",
        "0x2",
        "0x400",
        "0x3",
        "0x100000003",
        "0x4",
        "0xef00",
        "0x5",
        "0xeef8",
        "0x6",
        "0x0",
        "0x7",
        "0x8",
        "#UD at real again",
    ]);
}

#[test]
fn limits_loaded_in_protected_mode_stay_for_real_mode() {
    // 9.9.2: why segment registers are loaded with 64-KiB segments first.
    let mut p = Program::real();
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        lgdt(ptr(GDTR)); mov(eax, cr0); or(eax, CR0_PE); mov(cr0, eax);
        mov(ax, u32::from(DATA)); mov(es, ax); mov(eax, cr0); and(eax, !CR0_PE as i32); mov(cr0, eax);
        mov(ebx, 0x10_0000); mov(dword_ptr(ebx).es(), 0x77); mov(eax, dword_ptr(ebx).es()); say_eax();
        xor(ax, ax); mov(es, ax); mov(eax, dword_ptr(ebx).es()); say_eax();
    );
    p.expect(&["0x77", "0x77"]);
}

#[test]
fn impossible_combinations_in_cr0_are_protection_faults() {
    // 2.5 and SDM vol. 2, MOV to control register.
    let mut p = Program::protected();
    asm!(p;
        mov(ebx, cr0);
        mov(eax, ebx); or(eax, CR0_PG); and(eax, !CR0_PE as i32); mark("PG without PE"); mov(cr0, eax); land();
        mov(eax, ebx); or(eax, CR0_NW); and(eax, !0x4000_0000); mark("NW without CD"); mov(cr0, eax); land();
        mov(eax, cr0); xor(eax, ebx); say_eax();
    );
    let p = p.not_judged_by_tcg("it takes them");
    p.expect(&["#GP(0x0) at PG without PE", "#GP(0x0) at NW without CD", "0x0"]);
    let mut p = Program::long();
    asm!(p;
        mov(rbx, cr0);
        mov(rax, 1u64 << 32); or(rax, rbx); mark("bit 32"); mov(cr0, rax); land();
        mov(rax, rbx); btr(rax, 31); mark("PG in 64-bit mode"); mov(cr0, rax);
    );
    let p = p.not_judged_by_tcg("it takes them");
    p.expect(&["#GP(0x0) at bit 32", "#GP(0x0) at PG in 64-bit mode"]);
}

#[test]
fn ia_32e_mode_needs_pae_and_a_32_bit_task_segment() {
    // 9.8.5 and SDM vol. 2, MOV to control register.
    let enable = |p: &mut Program| {
        asm!(p;
            mov(ecx, EFER); rdmsr(); or(eax, EFER_LME); wrmsr(); mov(eax, PML4 as u32); mov(cr3, eax);
            mov(eax, cr0); or(eax, CR0_PG); mark("enable"); mov(cr0, eax);
        );
    };
    let mut p = Program::protected().not_judged_by_tcg("it switches paging on");
    enable(&mut p);
    p.expect(&["#GP(0x0) at enable"]);
    let mut p = Program::protected().cr4(CR4_PAE).not_judged_by_tcg("it switches the mode on");
    p.descriptor(FREE, segment16(TASK, 0x2b, TSS16));
    asm!(p; mov(eax, u32::from(FREE)); ltr(ax));
    enable(&mut p);
    p.expect(&["#GP(0x0) at enable"]);
}

#[test]
fn under_paging_efer_lme_and_in_ia_32e_mode_cr4_pae_cannot_change() {
    // 9.8.5.
    let mut p = Program::long();
    asm!(p;
        mov(ecx, EFER); rdmsr(); xor(eax, EFER_LME); mark("LME"); wrmsr(); land();
        mov(rax, cr4); xor(eax, CR4_PAE); mark("PAE"); mov(cr4, rax);
    );
    let p = p.not_judged_by_tcg("it lets LME go");
    p.expect(&["#GP(0x0) at LME", "#GP(0x0) at PAE"]);
}

#[test]
fn reserved_bits_of_cr4_are_refused() {
    // 2.5. Bit 15 is defined nowhere.
    let mut p = Program::long().not_judged_by_tcg("it takes them");
    asm!(p;
        mov(rbx, cr4);
        mov(rax, rbx); or(eax, 1 << 15); mark("bit 15"); mov(cr4, rax); land();
        mov(rax, rbx); bts(rax, 32); mark("bit 32"); mov(cr4, rax); land();
        mov(rax, cr4); xor(rax, rbx); say_rax();
    );
    p.expect(&["#GP(0x0) at bit 15", "#GP(0x0) at bit 32", "0x0"]);
}

#[test]
fn compatibility_mode_cuts_addresses_to_32_bits_and_obeys_limits() {
    // 3.2.4 and SDM vol. 1, 3.3.7.
    let mut p = Program::long().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, segment(0, 0xfff, READ_WRITE));
    p.write32(DATA_AREA, 0xabcd);
    asm!(p; push(i32::from(CODE32)); push(MORE as i32); retf());
    p.code(32, MORE);
    asm!(p;
        mov(ebx, -1); mov(eax, dword_ptr(ebx + DATA_AREA as i32 + 1)); say_eax();
        mov(eax, u32::from(FREE)); mov(es, eax); mark("beyond"); mov(al, byte_ptr(0x1000).es());
    );
    p.expect(&["0xabcd", "#GP(0x0) at beyond"]);
}

#[test]
fn a_code_segment_with_l_and_d_is_refused() {
    // 5.2.1.
    let mut p = Program::long().not_judged_by_tcg("it does not look at D");
    p.descriptor(FREE, flat64(CODE) | 1 << 54);
    asm!(p; push(i32::from(FREE)); push(MORE as i32); mark("far return"); retf());
    p.expect(&["#GP(0x78) at far return"]);
}

#[test]
fn user_code_executes_no_privileged_instruction() {
    // 5.9.
    let mut p = Program::protected().user();
    let mut expected = Vec::new();
    let mut refused = |p: &mut Program, name: &'static str, code: &[u8]| {
        asm!(p; mark(name); db(code); land());
        expected.push(format!("#GP(0x0) at {name}"));
    };
    for (name, code) in [
        ("HLT", &[0xf4][..]),
        ("CLI", &[0xfa]),
        ("STI", &[0xfb]),
        ("CLTS", &[0x0f, 0x06]),
        ("INVD", &[0x0f, 0x08]),
        ("WBINVD", &[0x0f, 0x09]),
        ("RDMSR", &[0x0f, 0x32]),
        ("WRMSR", &[0x0f, 0x30]),
        ("MOV EAX, CR0", &[0x0f, 0x20, 0xc0]),
        ("MOV CR3, EAX", &[0x0f, 0x22, 0xd8]),
        ("MOV EAX, DR0", &[0x0f, 0x21, 0xc0]),
        ("LMSW AX", &[0x0f, 0x01, 0xf0]),
        ("LLDT AX", &[0x0f, 0x00, 0xd0]),
        ("LTR AX", &[0x0f, 0x00, 0xd8]),
        ("LGDT", &[0x0f, 0x01, 0x15, 0, 0, 0, 0]),
        ("LIDT", &[0x0f, 0x01, 0x1d, 0, 0, 0, 0]),
        ("INVLPG", &[0x0f, 0x01, 0x3d, 0, 0, 0, 0]),
    ] {
        refused(&mut p, name, code);
    }
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn umip_keeps_what_tells_of_the_system_from_user_code() {
    // 2.5, CR4.UMIP; SMSW, SLDT and STR with a register, SGDT and SIDT with memory.
    let program = |p: &mut Program, land: bool| {
        let forms: [(&str, &[u8]); 5] = [
            ("SGDT", &[0x0f, 0x01, 0x05, 0, 0xc0, 0, 0]),
            ("SIDT", &[0x0f, 0x01, 0x0d, 0, 0xc0, 0, 0]),
            ("SLDT", &[0x0f, 0x00, 0xc0]),
            ("STR", &[0x0f, 0x00, 0xc8]),
            ("SMSW", &[0x0f, 0x01, 0xe0]),
        ];
        for (name, code) in forms {
            asm!(p; mark(name); db(code));
            if land {
                asm!(p; land());
            }
        }
        asm!(p; say(1));
    };
    let mut p = Program::protected().user();
    program(&mut p, false);
    p.expect(&["0x1"]);
    let mut p = Program::protected().user().cr4(CR4_UMIP);
    program(&mut p, true);
    p.expect(&[
        "#GP(0x0) at SGDT",
        "#GP(0x0) at SIDT",
        "#GP(0x0) at SLDT",
        "#GP(0x0) at STR",
        "#GP(0x0) at SMSW",
        "0x1",
    ]);
}

#[test]
fn lmsw_sets_pe_and_never_clears_it() {
    // SDM vol. 2, LMSW.
    let mut p = Program::protected();
    asm!(p; xor(eax, eax); lmsw(ax); mov(eax, cr0); and(eax, 0xf); say_eax());
    asm!(p; mov(eax, 0xe); lmsw(ax); mov(eax, cr0); and(eax, 0xf); say_eax());
    p.expect(&["0x1", "0xf"]);
}

#[test]
fn tsd_and_pce_keep_counters_from_user_code() {
    // 2.5.
    let mut p = Program::protected().user().cr4(1 << 2);
    asm!(p; mark("rdtsc"); rdtsc(); land(); xor(ecx, ecx); mark("rdpmc"); rdpmc());
    p.expect(&["#GP(0x0) at rdtsc", "#GP(0x0) at rdpmc"]);
}

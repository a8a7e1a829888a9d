//! State for supervisors: XSAVES, XRSTORS and IA32_XSS (Intel SDM vol. 1, 13.11 and 13.12).

use iced_x86::code_asm::*;
use machine::CpuModel;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const XSS: u32 = 0xda0;
const OSFXSR_AND_OSXSAVE: u32 = 1 << 9 | 1 << 18;
const AREA: u64 = DATA_AREA;
const HEADER: u64 = AREA + 512;
const COMPACTED: u64 = 1 << 63;

/// With x87, SSE and AVX state enabled; 64-bit mode.
fn program() -> Program {
    let no_xsaves = "it has no XSAVES";
    let mut p = Program::long().on(CpuModel::X86_64V3).cr4(OSFXSR_AND_OSXSAVE).not_judged_by_tcg(no_xsaves);
    asm!(p; xor(ecx, ecx); xor(edx, edx); mov(eax, 7); xsetbv());
    p
}

#[test]
fn what_is_in_use_is_saved_in_the_compacted_form_and_comes_back() {
    let mut p = program();
    // Of AVX and SSE state only the latter is in use.
    asm!(p;
        vzeroall(); mov(rax, 0x1122_3344_5566_7788u64); movq(xmm3, rax);
        mov(eax, 6); xor(edx, edx); mov(ebx, AREA as u32); xsaves64(ptr(rbx));
        mov(rax, qword_ptr(HEADER)); say_rax(); mov(rax, qword_ptr(HEADER + 8)); say_rax();
        mov(rax, qword_ptr(AREA + 160 + 3 * 16)); say_rax();
        vpcmpeqd(ymm3, ymm3, ymm3); mov(eax, 6); xor(edx, edx); xrstors64(ptr(rbx));
        movq(rax, xmm3); say_rax(); vextracti128(xmm4, ymm3, 1); movq(rax, xmm4); say_rax();
    );
    let saved = "0x1122334455667788";
    p.expect(&["0x2", "0x8000000000000006", saved, saved, "0x0"]);
}

#[test]
fn there_is_no_component_for_supervisors_only() {
    let mut p = program();
    asm!(p;
        mov(ecx, XSS); rdmsr(); say_eax(); xor(eax, eax); xor(edx, edx); mov(ecx, XSS); wrmsr();
        mov(eax, 1 << 8); mark("processor trace"); wrmsr(); land();
        mov(eax, 13); mov(ecx, 1); cpuid(); and(eax, 1 << 3); say_eax();
    );
    p.expect(&["0x0", "#GP(0x0) at processor trace", "0x8"]);
}

#[test]
fn only_a_compacted_area_is_restored() {
    let mut p = program();
    asm!(p; mov(ebx, AREA as u32); mov(eax, 7); xor(edx, edx));
    asm!(p; mark("standard form"); xrstors(ptr(rbx)); land());
    // Of the components the area has, one that is not in it; one that is not enabled; and reserved bytes.
    for (name, state, compaction, reserved) in [
        ("absent component", 4, COMPACTED | 3, 0),
        ("unknown component", 0, COMPACTED | 1 << 9, 0),
        ("reserved bytes", 0, COMPACTED | 7, 1),
    ] {
        asm!(p;
            mov(rcx, u64::from(state as u32)); mov(qword_ptr(HEADER), rcx); mov(rcx, compaction); mov(qword_ptr(HEADER + 8), rcx);
            mov(rcx, u64::from(reserved as u32)); mov(qword_ptr(HEADER + 56), rcx); mark(name); xrstors(ptr(rbx)); land();
        );
    }
    asm!(p; mark("misaligned"); xsaves(ptr(rbx + 8)); land());
    let places = ["standard form", "absent component", "unknown component", "reserved bytes", "misaligned"];
    let expected = places.map(|place| format!("#GP(0x0) at {place}"));
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn programs_may_not_save_the_state_of_supervisors() {
    let user = Program::long().on(CpuModel::X86_64V3).cr4(OSFXSR_AND_OSXSAVE).user();
    let mut p = user.not_judged_by_tcg("it has no XSAVES");
    asm!(p; mov(ebx, AREA as u32); mark("save"); xsaves(ptr(rbx)); land(); mark("restore"); xrstors(ptr(rbx)));
    p.expect(&["#GP(0x0) at save", "#GP(0x0) at restore"]);
}

#[test]
fn without_osxsave_and_on_older_processors_they_are_no_instructions() {
    for (cpu, control) in [(CpuModel::X86_64V3, 0), (CpuModel::X86_64V2, OSFXSR_AND_OSXSAVE & 1 << 9)] {
        let mut p = Program::long().on(cpu).cr4(control);
        asm!(p; mov(ebx, AREA as u32); mark("save"); xsaves(ptr(rbx)); land(); mark("restore"); xrstors(ptr(rbx)));
        p.expect(&["#UD at save", "#UD at restore"]);
    }
}

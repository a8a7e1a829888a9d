//! Exceptions: their order, and what becomes of two at once (Intel SDM vol. 3, chapter 6).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, Program, asm};

const NOT_PRESENT: u64 = gate(CODE32, MORE, absent(INTERRUPT_GATE32), 0);

/// A selector whose descriptor [`two_faults`] puts on a page that is not there.
const UNMAPPED: u16 = 0xa000;

/// What delivers `first` and then faults with `second`.
fn two_faults(first: &str, second: &str) -> Program {
    let mut p = Program::protected();
    let paged = second == "page fault" || first == "page fault";
    let vector = match first {
        "benign" => 6,
        "contributory" => 0,
        _ => 14,
    };
    match second {
        "contributory" => p.gate(vector, NOT_PRESENT),
        // The gate's code segment lies in a part of the table that is not mapped.
        "page fault" => {
            p.gate(vector, gate(UNMAPPED, MORE, INTERRUPT_GATE32, 0));
            p.write16(GDTR, 0xffff);
            p.write32(LEGACY_IDENTITY + ((GDT + u64::from(UNMAPPED)) >> 12) * 4, 0);
        }
        _ => {}
    }
    if paged {
        asm!(p;
            mov(eax, LEGACY_DIRECTORY as u32); mov(cr3, eax);
            mov(eax, cr0); or(eax, 0x8000_0000u32); mov(cr0, eax);
        );
    }
    match first {
        "benign" => asm!(p; mark("fault"); ud2()),
        "contributory" => asm!(p; xor(ecx, ecx); mark("fault"); div(ecx)),
        _ => asm!(p; mark("fault"); mov(eax, dword_ptr(LEGACY_PAGE))),
    }
    p
}

#[test]
fn a_benign_exception_gives_way_to_what_its_delivery_raises() {
    // Table 6-5, first row.
    let p = two_faults("benign", "contributory").not_judged_by_tcg("it leaves EXT clear");
    p.expect(&["#NP(0x33) at fault"]);
    two_faults("benign", "page fault").expect(&["#PF() of 0xb000 at fault"]);
}

#[test]
fn a_second_contributory_exception_makes_a_double_fault_and_a_page_fault_does_not() {
    // Table 6-5, second row.
    two_faults("contributory", "contributory").expect(&["#DF(0x0) at fault"]);
    two_faults("contributory", "page fault").expect(&["#PF() of 0xb000 at fault"]);
}

#[test]
fn a_page_fault_and_anything_but_a_benign_exception_make_a_double_fault() {
    // Table 6-5, third row.
    two_faults("page fault", "contributory").expect(&["#DF(0x0) at fault"]);
    two_faults("page fault", "page fault").expect(&["#DF(0x0) at fault"]);
}

#[test]
fn a_fault_while_a_double_fault_is_delivered_shuts_the_processor_down() {
    // 6.15, interrupt 8.
    for second in ["contributory", "page fault"] {
        let mut p = two_faults("contributory", second);
        p.gate(8, NOT_PRESENT);
        p.gate(14, NOT_PRESENT);
        p.expect(&["shutdown"]);
    }
}

#[test]
fn a_fault_behind_a_double_fault_s_first_instruction_is_a_fault_of_its_own() {
    // 6.15, interrupt 8: only delivery counts.
    let mut p = two_faults("contributory", "contributory");
    p.gate(8, gate(CODE32, MORE, INTERRUPT_GATE32, 0));
    p.code(32, MORE);
    asm!(p; mark("handler"); ud2());
    p.expect(&["#UD at handler"]);
}

#[test]
fn a_software_interrupt_is_benign_and_its_own_fault_stays_what_it_is() {
    // Table 6-4: INT n of any vector, 8 and 14 included.
    let mut p = Program::protected();
    p.gate(14, NOT_PRESENT);
    p.gate(8, NOT_PRESENT);
    asm!(p; mark("14"); int(14); land(); mark("8"); int(8));
    p.expect(&["#NP(0x72) at 14", "#NP(0x42) at 8"]);
}

#[test]
fn software_interrupts_push_no_error_code() {
    // 6.13 and 6.15: INT 13 is not #GP.
    let mut p = Program::protected();
    p.gate(13, gate(CODE32, MORE, INTERRUPT_GATE32, 0));
    asm!(p; int(13); mov(eax, esp); say_eax());
    p.code(32, MORE);
    asm!(p; mov(eax, dword_ptr(esp + 4)); say_eax(); iretd());
    p.expect(&["0x8", "0xef00"]);
}

#[test]
fn the_length_of_an_instruction_is_limited_to_15_bytes() {
    // 6.15, interrupt 13, and SDM vol. 2, 2.3.11.
    let mut p = Program::protected();
    let padded = |prefixes: usize| [vec![0x2e; prefixes], vec![0x90]].concat();
    asm!(p; db(&padded(14)); say(1); mark("16 bytes"); db(&padded(15)));
    p.expect(&["0x1", "#GP(0x0) at 16 bytes"]);
}

#[test]
fn faults_of_the_fetch_come_before_those_of_decoding() {
    // Table 6-2, classes 8 and 9: the rest of an instruction that is not there counts more than its being undefined.
    let mut p = Program::long();
    p.page(0, FRAME | 7);
    p.write(FRAME + 0xfff, &[0x0f]);
    asm!(p; mov(ebx, PAGE as u32 + 0xfff); jmp(rbx));
    p.expect(&["#PF(fetch) of 0x201000 at 0x200fff"]);
}

#[test]
fn undefined_opcodes_come_before_the_privilege_and_the_operand() {
    // Table 6-2, classes 9 and 10.
    let mut p = Program::long().user().not_judged_by_tcg("it takes LOCK before MOV");
    asm!(p;
        mov(rbx, 1u64 << 47);
        // LOCK MOV; LOCK on a register; LGDT with a register.
        mark("lock load"); db(&[0xf0, 0x8b, 0x03]); land();
        mark("lock register"); db(&[0xf0, 0x01, 0xc0]); land();
        mark("register operand"); db(&[0x0f, 0x01, 0xd7]);
    );
    let places = ["lock load", "lock register", "register operand"];
    let expected: Vec<String> = places.iter().map(|place| format!("#UD at {place}")).collect();
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_device_that_is_not_available_comes_before_the_fault_of_the_operand() {
    // Table 6-2, class 10, and 6.15, interrupt 7.
    let mut p = Program::long();
    asm!(p;
        mov(rax, cr0); or(eax, 8); mov(cr0, rax);
        mov(ebx, PAGE as u32); mark("fld"); fld(dword_ptr(rbx)); land();
        clts(); mark("with the unit"); fld(dword_ptr(rbx));
    );
    p.expect(&["#NM at fld", "#PF() of 0x200000 at with the unit"]);
}

#[test]
fn segment_checks_come_before_the_page_walk() {
    // 4.1: paging translates what segmentation has accepted.
    let mut p = Program::protected().not_judged_by_tcg(NO_LIMITS);
    p.descriptor(FREE, segment(0, LEGACY_PAGE, READ_WRITE));
    asm!(p;
        mov(eax, LEGACY_DIRECTORY as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, 0x8000_0000u32); mov(cr0, eax);
        mov(eax, u32::from(FREE)); mov(ds, eax);
        mark("last byte"); mov(al, byte_ptr(LEGACY_PAGE + 0xfff)); land();
        mark("beyond"); mov(ax, word_ptr(LEGACY_PAGE + 0xfff));
    );
    p.expect(&["#PF() of 0x400fff at last byte", "#GP(0x0) at beyond"]);
}

#[test]
fn alignment_is_checked_at_level_3_with_cr0_am_and_eflags_ac() {
    // 6.15, interrupt 17; a page fault comes first.
    let mut p = Program::long().user().flags(1 << 18);
    p.page(0, FRAME | 7);
    asm!(p;
        mov(ebx, DATA_AREA as u32);
        mov(eax, dword_ptr(rbx + 1)); say(1);
    );
    p.expect(&["0x1"]);
    let mut p = Program::long().user().flags(1 << 18).cr0(1 << 18).not_judged_by_tcg("it does not check");
    asm!(p;
        mov(ebx, DATA_AREA as u32);
        mov(al, byte_ptr(rbx + 1)); mov(eax, dword_ptr(rbx + 4)); say(1);
        mark("dword"); mov(eax, dword_ptr(rbx + 2)); land();
        mark("word"); mov(word_ptr(rbx + 1), ax); land();
        mark("qword"); mov(rax, qword_ptr(rbx + 4)); land();
        lea(rsp, qword_ptr(rbx + 0x204)); mark("push"); push(rax);
    );
    p.expect(&["0x1", "#AC(0x0) at dword", "#AC(0x0) at word", "#AC(0x0) at qword", "#AC(0x0) at push"]);
}

#[test]
fn divide_bound_and_overflow_exceptions_are_what_the_manual_says() {
    // 6.15: #DE and #BR are faults, #OF is a trap.
    let mut p = Program::protected();
    p.write32(DATA_AREA, 10);
    p.write32(DATA_AREA + 4, 20);
    asm!(p;
        mov(eax, 1); xor(edx, edx); xor(ecx, ecx); mark("by zero"); div(ecx); land();
        mov(edx, 1); mov(ecx, 1); mark("too large"); div(ecx); land();
        mov(eax, 0x8000_0000u32); cdq(); mov(ecx, -1); mark("most negative"); idiv(ecx); land();
        mov(eax, 21); mark("bound"); bound(eax, qword_ptr(DATA_AREA)); land();
        mov(eax, 20); bound(eax, qword_ptr(DATA_AREA)); say(1);
        mov(al, 0x7f); inc(al); db(&[0xce]); mark("behind INTO");
    );
    p.expect(&[
        "#DE at by zero",
        "#DE at too large",
        "#DE at most negative",
        "#BR at bound",
        "0x1",
        "#OF at behind INTO",
    ]);
}

#[test]
fn real_mode_pushes_three_words_and_knows_no_error_codes() {
    // 20.1.4.
    let mut p = Program::real();
    asm!(p; sti(); mark("ud"); ud2());
    p.showing(|e| format!("CS {:#x}, FLAGS {:#x}, frame at {:#x}", e.cs, e.flags & 0xff02, e.frame))
        .expect(&["#UD at ud: CS 0x0, FLAGS 0x202, frame at 0xeefa"]);
}

#[test]
fn a_segment_overrun_of_real_mode_is_a_protection_or_stack_fault() {
    // 20.1.4, table 20-1.
    let mut p = Program::real().judged_by_kvm_instead(NO_LIMITS);
    asm!(p;
        mark("word"); mov(ax, word_ptr(0xffff)); land();
        mov(bp, 0xffff); mark("stack"); mov(ax, word_ptr(bp)); land();
        mov(ebx, 0x1_0000); mark("32-bit address"); mov(al, byte_ptr(ebx));
    );
    p.expect(&["#GP at word", "#SS at stack", "#GP at 32-bit address"]);
}

#[test]
fn a_vector_beyond_the_table_of_real_mode_ends_in_a_protection_fault() {
    // SDM vol. 2, INT n: #GP where the vector is outside the IDT.
    let mut p = Program::real().not_judged_by_tcg("it ignores EXT and the IDT bit, and shuts down");
    p.write16(DATA_AREA, 0x40 * 4 - 1);
    asm!(p; lidt(ptr(DATA_AREA)); mark("int"); int(0x40));
    p.expect(&["#GP at int"]);
    let mut p = Program::real();
    p.write16(DATA_AREA, 5 * 4 - 1);
    asm!(p; lidt(ptr(DATA_AREA)); int(0x40));
    p.expect(&["shutdown"]);
}

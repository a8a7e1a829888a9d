//! Segment limits, types and rights (Intel SDM vol. 3, chapters 3 and 5).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, NO_TYPES, Program, asm};

/// A program that starts with `descriptor` in DS.
fn with_ds(descriptor: u64) -> Program {
    let mut p = Program::protected();
    p.descriptor(FREE, descriptor);
    asm!(p; mov(eax, u32::from(FREE)); mov(ds, eax));
    p
}

#[test]
fn an_access_up_to_the_limit_succeeds_and_one_beyond_it_is_a_protection_fault() {
    // 5.3.
    let mut p = with_ds(segment(0, 0xfff, READ_WRITE)).judged_by_kvm_instead(NO_LIMITS);
    asm!(p;
        mov(al, byte_ptr(0xfff)); say(1);
        mark("word"); mov(ax, word_ptr(0xfff)); land();
        mark("beyond"); mov(al, byte_ptr(0x1000)); land();
        mov(ebx, -1); mark("wrapping"); mov(ax, word_ptr(ebx));
    );
    p.expect(&["0x1", "#GP(0x0) at word", "#GP(0x0) at beyond", "#GP(0x0) at wrapping"]);
}

#[test]
fn a_limit_in_pages_has_twelve_ones_at_its_end() {
    // 3.4.5: with G set, a raw limit of 0x1 ends at 0x1fff.
    let mut p = with_ds(0x1 | u64::from(READ_WRITE) << 40 | 1 << 55 | 1 << 54).judged_by_kvm_instead(NO_LIMITS);
    asm!(p; mov(al, byte_ptr(0x1fff)); say(1); mark("beyond"); mov(al, byte_ptr(0x2000)));
    p.expect(&["0x1", "#GP(0x0) at beyond"]);
}

#[test]
fn an_expand_down_segment_is_valid_above_its_limit_and_ends_where_its_b_flag_says() {
    // 5.3: with B set at 4 GiB, else at 64 KiB.
    let mut p = with_ds(segment(0, 0xfff, EXPAND_DOWN)).judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE2, segment16(0, 0xfff, EXPAND_DOWN));
    asm!(p;
        mov(al, byte_ptr(0x1000)); mov(al, byte_ptr(0x1_0000)); say(1);
        mark("at the limit"); mov(al, byte_ptr(0xfff)); land();
        mov(eax, u32::from(FREE2)); mov(ds, eax);
        mov(al, byte_ptr(0xffff)); say(2);
        mark("at 64 KiB"); mov(al, byte_ptr(0x1_0000)); land();
        mark("across 64 KiB"); mov(ax, word_ptr(0xffff));
    );
    p.expect(&["0x1", "#GP(0x0) at at the limit", "0x2", "#GP(0x0) at at 64 KiB", "#GP(0x0) at across 64 KiB"]);
}

#[test]
fn what_violates_the_limit_of_the_stack_segment_is_a_stack_fault() {
    // 6.15, interrupt 12. The handler needs the stack itself, so it runs on the one of level 0.
    let mut p = Program::protected().user().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, segment(0, 0xfff, level(EXPAND_DOWN, 3)));
    asm!(p;
        mov(eax, u32::from(FREE | 3)); mov(ss, eax);
        mov(ebp, 0xff0); mark("through EBP"); mov(eax, dword_ptr(ebp)); land();
        mov(esp, 0x1000); mark("push"); push(eax); land();
        mov(esp, 0xff0); mark("pop"); pop(eax); land();
        mark("call"); call(PROGRAM); land();
        mark("enter"); enter(16, 0); land();
        mark("pushad"); pushad(); land();
        mark("override"); mov(eax, dword_ptr(0xff0).ss()); land();
    );
    let places = ["through EBP", "push", "pop", "call", "enter", "pushad", "override"];
    let expected: Vec<String> = places.iter().map(|place| format!("#SS(0x0) at {place}")).collect();
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_type_of_a_segment_decides_about_reads_and_writes() {
    // 5.5.
    let mut p = with_ds(flat(READ_ONLY)).judged_by_kvm_instead(NO_TYPES);
    p.descriptor(FREE2, flat(EXECUTE_ONLY));
    asm!(p;
        mov(eax, dword_ptr(DATA_AREA)); say(1);
        mark("store to read-only data"); mov(dword_ptr(DATA_AREA), eax); land();
        mark("add to it"); add(dword_ptr(DATA_AREA), eax); land();
        mark("store to code"); mov(dword_ptr(DATA_AREA).cs(), eax); land();
        jump_far(FREE2, MORE);
    );
    p.code(32, MORE);
    asm!(p; mark("read from execute-only code"); mov(eax, dword_ptr(DATA_AREA).cs()));
    p.expect(&[
        "0x1",
        "#GP(0x0) at store to read-only data",
        "#GP(0x0) at add to it",
        "#GP(0x0) at store to code",
        "#GP(0x0) at read from execute-only code",
    ]);
}

#[test]
fn a_null_selector_loads_into_a_data_register_and_faults_when_it_is_used() {
    // 3.4.2 and 5.4.1.
    let mut p = Program::protected();
    asm!(p;
        xor(eax, eax); mov(ds, eax); mov(eax, 3); mov(es, eax); say(1);
        mark("load"); mov(eax, dword_ptr(DATA_AREA)); land();
        mark("store"); mov(dword_ptr(DATA_AREA).es(), eax);
    );
    let p = p.judged_by_kvm_instead(NO_LIMITS);
    p.expect(&["0x1", "#GP(0x0) at load", "#GP(0x0) at store"]);
}

#[test]
fn a_null_selector_is_refused_for_the_stack_and_for_code() {
    // 5.4.1.
    let mut p = Program::protected();
    asm!(p;
        xor(eax, eax); mark("stack"); mov(ss, eax); land();
        mark("jump"); jump_far(0, PROGRAM); land();
        mark("call"); call_far(3, PROGRAM);
    );
    p.expect(&["#GP(0x0) at stack", "#GP(0x0) at jump", "#GP(0x0) at call"]);
}

#[test]
fn loads_of_data_segments_check_table_type_privilege_and_presence_in_this_order() {
    // SDM vol. 2, MOV; vol. 3, 5.6.
    let mut p = Program::protected().user();
    p.descriptor(FREE, flat(absent(level(READ_WRITE, 3))));
    p.descriptor(FREE2, flat(absent(level(EXECUTE_ONLY, 3))));
    p.descriptor(FREE3, flat(absent(READ_WRITE)));
    for (selector, place) in [
        (BEYOND | 3, "beyond the table"),
        (LDT_SELECTOR, "a system segment"),
        (4, "without an LDT"),
        (FREE2, "execute-only, absent"),
        (FREE3, "level 0, absent"),
        (DATA | 3, "level 0"),
        (FREE | 3, "absent"),
    ] {
        asm!(p; mov(eax, u32::from(selector)); mark(place); mov(ds, eax); land());
    }
    p.expect(&[
        "#GP(0x100) at beyond the table",
        "#GP(0x48) at a system segment",
        "#GP(0x4) at without an LDT",
        "#GP(0x80) at execute-only, absent",
        "#GP(0x88) at level 0, absent",
        "#GP(0x10) at level 0",
        "#NP(0x78) at absent",
    ]);
}

#[test]
fn user_code_may_read_conforming_code_of_level_0_as_data() {
    // 5.6.1.
    let mut p = Program::protected().user();
    p.descriptor(FREE, flat(CONFORMING));
    asm!(p; mov(eax, u32::from(FREE)); mov(ds, eax); mov(eax, dword_ptr(GDT)); say_eax());
    p.expect(&["0x0"]);
}

#[test]
fn the_stack_segment_must_be_writable_present_and_of_the_current_level() {
    // SDM vol. 2, MOV; vol. 3, 5.7.
    let mut p = Program::protected();
    p.descriptor(FREE, flat(absent(READ_WRITE)));
    p.descriptor(FREE2, flat(READ_ONLY));
    for (selector, place) in [
        (BEYOND, "beyond the table"),
        (CODE32, "code"),
        (FREE2, "read-only"),
        (DATA | 1, "RPL 1"),
        (USER_DATA & !3, "DPL 3"),
        (FREE, "absent"),
    ] {
        asm!(p; mov(eax, u32::from(selector)); mark(place); mov(ss, eax); land());
    }
    p.expect(&[
        "#GP(0x100) at beyond the table",
        "#GP(0x8) at code",
        "#GP(0x80) at read-only",
        "#GP(0x10) at RPL 1",
        "#GP(0x20) at DPL 3",
        "#SS(0x78) at absent",
    ]);
}

#[test]
fn a_load_marks_the_descriptor_accessed_unless_it_fails() {
    // 3.4.5.1.
    let mut p = Program::protected();
    p.descriptor(FREE, flat(READ_WRITE & !1));
    p.descriptor(FREE2, flat(absent(READ_WRITE & !1)));
    let access = |selector: u16| GDT + u64::from(selector) + 5;
    asm!(p;
        mov(eax, u32::from(FREE)); mov(es, eax);
        mov(eax, u32::from(FREE2)); mark("absent"); mov(es, eax); land();
        movzx(eax, byte_ptr(access(FREE))); say_eax();
        movzx(eax, byte_ptr(access(FREE2))); say_eax();
    );
    p.expect(&["#NP(0x80) at absent", "0x93", "0x12"]);
}

#[test]
fn far_jumps_reach_code_of_the_same_level_and_conforming_code_of_stronger_ones() {
    // 5.8.1.
    let mut p = Program::protected().user();
    p.descriptor(FREE, flat(CONFORMING));
    p.descriptor(FREE2, flat(absent(level(CODE, 3))));
    p.descriptor(FREE3, segment(0, 0xfff, level(CODE, 3)));
    asm!(p;
        mark("level 0"); jump_far(CODE32, MORE); land();
        mark("data"); jump_far(USER_DATA, MORE); land();
        mark("LDT"); jump_far(LDT_SELECTOR, MORE); land();
        mark("absent"); jump_far(FREE2, MORE); land();
        mark("beyond the table"); jump_far(BEYOND, MORE); land();
        mark("beyond the limit"); jump_far(FREE3, MORE); land();
        mark("RPL does not count"); jump_far(FREE, MORE);
    );
    p.code(32, MORE);
    asm!(p; mov(eax, cs); say_eax());
    p.expect(&[
        "#GP(0x8) at level 0",
        "#GP(0x20) at data",
        "#GP(0x48) at LDT",
        "#NP(0x80) at absent",
        "#GP(0x100) at beyond the table",
        "#GP(0x0) at beyond the limit",
        "0x7b",
    ]);
}

#[test]
fn conforming_code_of_a_weaker_level_cannot_be_reached() {
    // 5.8.1.2.
    let mut p = Program::protected();
    p.descriptor(FREE, flat(level(CONFORMING, 3)));
    asm!(p; mark("jump"); jump_far(FREE | 3, MORE); land(); mark("user code"); jump_far(USER_CODE32, MORE));
    p.expect(&["#GP(0x78) at jump", "#GP(0x18) at user code"]);
}

#[test]
fn running_past_the_end_of_the_code_segment_is_a_protection_fault() {
    // 5.3. The last byte within the limit is the first of a two-byte instruction.
    let mut p = Program::protected().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, segment(0, MORE + 2, CODE));
    asm!(p; jump_far(FREE, MORE));
    p.code(32, MORE);
    asm!(p; inc(ecx); inc(ecx); mark("cut"); add(eax, eax));
    p.showing(|event| format!("ECX {:#x}", event.rcx)).expect(&["#GP(0x0) at cut: ECX 0x2"]);
}

#[test]
fn a_near_branch_beyond_the_code_segment_faults_at_the_branch() {
    // SDM vol. 2, JMP, CALL, RET: #GP(0).
    let mut p = Program::protected().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, segment(0, 0xbfff, CODE));
    asm!(p; mov(edi, 0xc000); jump_far(FREE, MORE));
    p.code(32, MORE);
    asm!(p;
        mark("jump"); jmp(edi); land();
        mark("call"); call(edi); land();
        push(edi); mark("return"); ret(); land();
        xor(eax, eax); mark("condition"); je(0xc000);
    );
    p.expect(&["#GP(0x0) at jump", "#GP(0x0) at call", "#GP(0x0) at return", "#GP(0x0) at condition"]);
}

#[test]
fn a_16_bit_stack_wraps_at_64_kib_and_leaves_the_upper_half_of_esp_alone() {
    // SDM vol. 1, 6.2.3.
    let mut p = Program::protected();
    asm!(p;
        mov(ax, u32::from(DATA16)); mov(ss, ax);
        mov(esp, 0x1234_0000u32); push(0x5678);
        mov(eax, esp); mov(esp, STACK as u32); say_eax();
        movzx(eax, word_ptr(0xfffc)); say_eax();
    );
    p.expect(&["0x1234fffc", "0x5678"]);
}

#[test]
fn segments_of_the_local_table_are_found_once_it_is_loaded() {
    // 3.5.1; SDM vol. 2, LLDT.
    let mut p = Program::protected();
    p.descriptor(4 | 8, segment(DATA_AREA, 0xfff, READ_WRITE));
    p.write32(DATA_AREA, 0xabcd);
    p.descriptor(FREE, segment16(LDT, 0xff, absent(LDT_TYPE)));
    asm!(p;
        mov(eax, u32::from(FREE)); mark("absent"); lldt(ax); land();
        mov(eax, u32::from(DATA)); mark("data"); lldt(ax); land();
        mov(eax, 4 | 8); mark("in an LDT"); lldt(ax); land();
        mov(eax, u32::from(LDT_SELECTOR)); lldt(ax);
        mov(eax, 4 | 8); mov(es, eax); mov(eax, dword_ptr(0).es()); say_eax();
        mov(eax, 4 | 0x100); mark("beyond the LDT"); mov(es, eax); land();
        xor(eax, eax); lldt(ax); mov(eax, 4 | 8); mark("null LDT"); mov(es, eax);
    );
    p.expect(&[
        "#NP(0x78) at absent",
        "#GP(0x10) at data",
        "#GP(0xc) at in an LDT",
        "0xabcd",
        "#GP(0x104) at beyond the LDT",
        "#GP(0xc) at null LDT",
    ]);
}

#[test]
fn the_task_register_takes_available_segments_only_and_marks_them_busy() {
    // 7.2.3; SDM vol. 2, LTR.
    let mut p = Program::protected();
    p.descriptor(TASK_SELECTOR, segment16(TASK, 0x67, TSS32));
    p.descriptor(FREE, segment16(TASK, 0x67, absent(TSS32)));
    asm!(p;
        mov(eax, u32::from(TSS_SELECTOR)); mark("busy"); ltr(ax); land();
        mov(eax, u32::from(LDT_SELECTOR)); mark("LDT"); ltr(ax); land();
        mov(eax, u32::from(FREE)); mark("absent"); ltr(ax); land();
        mov(eax, u32::from(TASK_SELECTOR)); ltr(ax);
        movzx(eax, byte_ptr(GDT + u64::from(TASK_SELECTOR) + 5)); say_eax();
        str(ax); say_eax();
    );
    p.expect(&["#GP(0x38) at busy", "#GP(0x48) at LDT", "#NP(0x78) at absent", "0x8b", "0x68"]);
}

#[test]
fn the_task_register_cannot_be_emptied() {
    // SDM vol. 2, LTR.
    let mut p = Program::protected().not_judged_by_tcg("it loads a null selector");
    asm!(p; xor(eax, eax); mark("null"); ltr(ax));
    p.expect(&["#GP(0x0) at null"]);
}

#[test]
fn limits_and_null_selectors_do_not_count_in_64_bit_mode() {
    // 3.2.4 and 3.4.4.
    let mut p = Program::long();
    p.descriptor(FREE, segment(DATA_AREA, 0, READ_ONLY));
    p.write32(DATA_AREA, 0xfeed);
    asm!(p;
        mov(eax, u32::from(FREE)); mov(ds, eax); mov(fs, eax);
        mov(dword_ptr(DATA_AREA + 8), eax); say(1);
        mov(eax, dword_ptr(0).fs()); say_eax();
        xor(eax, eax); mov(ds, eax); mov(eax, dword_ptr(DATA_AREA)); say_eax();
        xor(eax, eax); mov(ss, eax); push(rax); say(2);
    );
    p.expect(&["0x1", "0xfeed", "0xfeed", "0x2"]);
}

#[test]
fn a_null_stack_selector_of_64_bit_mode_still_tells_its_level() {
    // SDM vol. 2, MOV: #GP(0) where CPL and RPL differ, and always at level 3.
    let mut p = Program::long().not_judged_by_tcg("it takes any null selector");
    asm!(p; mov(eax, 3); mark("RPL 3"); mov(ss, eax));
    p.expect(&["#GP(0x0) at RPL 3"]);
    let mut p = Program::long().user();
    asm!(p; mov(eax, 3); mark("level 3"); mov(ss, eax));
    p.expect(&["#GP(0x0) at level 3"]);
}

#[test]
fn addresses_that_are_not_canonical_fault_as_their_segment_says() {
    // SDM vol. 1, 3.3.7.1; vol. 3, 6.15, interrupts 12 and 13.
    let mut p = Program::long().user();
    asm!(p;
        mov(rbx, 0x8000_0000_0000u64); mark("data"); mov(eax, dword_ptr(rbx)); land();
        mov(rbp, rbx); mark("stack"); mov(eax, dword_ptr(rbp)); land();
        mark("jump"); jmp(rbx); land();
        lea(rsp, qword_ptr(rbx + 16)); mark("push"); push(rax); land();
        mov(rbx, 0x7fff_ffff_ffffu64); mark("half"); mov(ax, word_ptr(rbx));
    );
    let p = p.not_judged_by_tcg("it finds accesses that are not canonical as it walks, as #GP whatever their segment");
    p.expect(&["#GP(0x0) at data", "#SS(0x0) at stack", "#GP(0x0) at jump", "#SS(0x0) at push", "#GP(0x0) at half"]);
}

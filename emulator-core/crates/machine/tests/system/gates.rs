//! Call, interrupt and trap gates (Intel SDM vol. 3, 5.8.2 to 5.8.6 and chapter 6).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, Program, asm};

const CALL_GATE3: u8 = level(CALL_GATE32, 3);
const SIXTEEN_BIT: u8 = level(CALL_GATE16, 3);

#[test]
fn a_call_gate_leads_user_code_to_level_0_with_its_parameters_on_the_new_stack() {
    // 5.8.5 and figure 5-12; RET with a count takes the parameters off both stacks.
    let mut p = Program::protected().user();
    p.descriptor(FREE, gate(CODE32, MORE, CALL_GATE3, 2));
    asm!(p; push(0x1111); push(0x2222); call_far(FREE, 0); mark("back"); mov(eax, esp); say_eax(); mov(eax, cs); say_eax());
    p.code(32, MORE);
    asm!(p; mov(ebx, 0));
    for word in 0..6 {
        asm!(p; mov(eax, dword_ptr(esp + word * 4)); say_eax());
    }
    asm!(p; mov(eax, esp); say_eax(); mov(eax, ss); say_eax(); mov(eax, cs); say_eax(); retf_1(8));
    let back = format!("{:#x}", PROGRAM + 5 + 5 + 7);
    p.expect(&[
        &back, "0x1b", "0x2222", "0x1111", "0xf6f8", "0x23", // the frame
        "0xe6e8", "0x10", "0x8", "0xf700", "0x1b",
    ]);
}

#[test]
fn a_16_bit_call_gate_pushes_and_copies_words() {
    // 5.8.3.1 and 5.8.5; SDM vol. 3, 21.5.
    let mut p = Program::protected().user();
    p.descriptor(FREE, gate(CODE32, MORE, SIXTEEN_BIT, 1));
    asm!(p; push(0x1_2345); call_far(FREE, 0));
    p.code(32, MORE);
    asm!(p; mov(eax, esp); say_eax(); movzx(eax, word_ptr(esp + 4)); say_eax(); movzx(eax, word_ptr(esp + 6)); say_eax());
    p.expect(&["0xe6f6", "0x2345", "0xf6fc"]);
}

#[test]
fn gates_of_16_bits_take_as_many_of_their_offset() {
    // 21.5: the upper word is not part of them.
    let mut p = Program::protected().not_judged_by_tcg("it takes 32 bits of offset from every gate");
    p.descriptor(FREE, gate(CODE32, MORE, CALL_GATE16, 0) | 0xdead << 48);
    p.gate(0x40, gate(CODE32, MORE, INTERRUPT_GATE16, 0) | 0xdead << 48);
    asm!(p; call_far(FREE, 0));
    p.code(32, MORE);
    asm!(p; inc(ebx); mov(eax, ebx); say_eax(); cmp(ebx, 1));
    let mut end = p.create_label();
    asm!(p; jne(end); int(0x40); set_label(&mut end));
    p.expect(&["0x1", "0x2"]);
}

#[test]
fn what_is_wrong_with_a_call_gate_is_reported_with_the_selector_of_the_gate_or_of_its_target() {
    // 5.8.4; SDM vol. 2, CALL.
    let mut p = Program::protected().user();
    let targets = 0xa0;
    for (place, descriptor) in [
        gate(CODE32, MORE, CALL_GATE32, 0),
        gate(CODE32, MORE, absent(CALL_GATE3), 0),
        gate(0, MORE, CALL_GATE3, 0),
        gate(DATA, MORE, CALL_GATE3, 0),
        gate(BEYOND, MORE, CALL_GATE3, 0),
        gate(FREE3, MORE, CALL_GATE3, 0),
    ]
    .into_iter()
    .enumerate()
    {
        p.descriptor(targets + place as u16 * 8, descriptor);
    }
    p.descriptor(FREE3, flat(absent(CODE)));
    let places = ["gate of level 0", "absent gate", "null target", "data target", "no target", "absent target"];
    for (at, place) in places.into_iter().enumerate() {
        asm!(p; mark(place); call_far(targets + at as u16 * 8, 0); land());
    }
    p.expect(&[
        "#GP(0xa0) at gate of level 0",
        "#NP(0xa8) at absent gate",
        "#GP(0x0) at null target",
        "#GP(0x10) at data target",
        "#GP(0x100) at no target",
        "#NP(0x88) at absent target",
    ]);
}

#[test]
fn a_gate_that_leads_beyond_its_code_segment_is_a_protection_fault_without_a_selector() {
    // SDM vol. 2, CALL and INT n.
    let mut p = Program::protected().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, gate(FREE2, 0x1000, CALL_GATE32, 0));
    p.descriptor(FREE2, segment(0, 0xfff, CODE));
    p.gate(0x40, gate(FREE2, 0x1000, INTERRUPT_GATE32, 0));
    asm!(p; mark("call"); call_far(FREE, 0); land(); mark("interrupt"); int(0x40));
    p.expect(&["#GP(0x0) at call", "#GP(0x0) at interrupt"]);
}

#[test]
fn a_jump_through_a_call_gate_keeps_its_level() {
    // 5.8.4, table 5-4.
    let mut p = Program::protected().user();
    p.descriptor(FREE, gate(CODE32, MORE, CALL_GATE3, 0));
    p.descriptor(FREE2, gate(USER_CODE32, MORE, CALL_GATE3, 0));
    p.descriptor(FREE3, gate(0x98, MORE, CALL_GATE3, 0));
    p.descriptor(0x98, flat(CONFORMING));
    asm!(p; mark("inward"); jump_far(FREE, 0); land(); jump_far(FREE3, 0));
    p.code(32, MORE);
    asm!(p; mov(eax, cs); say_eax());
    p.expect(&["#GP(0x8) at inward", "0x9b"]);
}

#[test]
fn the_stack_a_call_gate_switches_to_is_checked_with_task_and_stack_faults() {
    // 5.8.5; SDM vol. 2, CALL: #TS and #SS with the selector of the new stack. The faults use level 1 for the target, so
    // that their own handlers find level 0's stack good.
    const CODE1: u16 = 0xa0;
    const STACK1: u16 = 0xa8;
    let cases = [
        (0, flat(level(READ_WRITE, 1)), "#TS(0x0) at call"),
        (STACK1, flat(level(READ_WRITE, 1)), "#TS(0xa8) at call"),
        (STACK1 | 1, flat(READ_WRITE), "#TS(0xa8) at call"),
        (STACK1 | 1, flat(level(READ_ONLY, 1)), "#TS(0xa8) at call"),
        (BEYOND | 1, flat(level(READ_WRITE, 1)), "#TS(0x100) at call"),
        (STACK1 | 1, flat(absent(level(READ_WRITE, 1))), "#SS(0xa8) at call"),
    ];
    for (selector, descriptor, expected) in cases {
        let mut p = Program::protected().user();
        p.descriptor(FREE, gate(CODE1 | 1, MORE, CALL_GATE3, 0));
        p.descriptor(CODE1, flat(level(CODE, 1)));
        p.descriptor(STACK1, descriptor);
        p.write32(TSS + 12, 0xe000);
        p.write16(TSS + 16, selector);
        asm!(p; mark("call"); call_far(FREE, 0));
        let p = if expected.starts_with("#SS") { p.not_judged_by_tcg("it says #TS of an absent stack") } else { p };
        p.expect(&[expected]);
    }
}

#[test]
fn a_new_stack_without_room_is_a_stack_fault_that_names_it() {
    // SDM vol. 2, CALL: #SS(error code) if pushing on the new stack exceeds its bounds.
    let mut p = Program::protected().user().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, gate(0xa1, MORE, CALL_GATE3, 0));
    p.descriptor(0xa0, flat(level(CODE, 1)));
    p.descriptor(0xa8, segment(0, 0xfff, level(EXPAND_DOWN, 1)));
    p.write32(TSS + 12, 0x1008);
    p.write16(TSS + 16, 0xa9);
    asm!(p; mark("call"); call_far(FREE, 0));
    p.expect(&["#SS(0xa8) at call"]);
}

#[test]
fn a_task_state_segment_too_short_for_the_stack_of_its_level_is_a_task_fault() {
    // SDM vol. 2, CALL: #TS(TSS selector). The stack of level 1 ends at offset 0x11.
    let mut p = Program::protected().user();
    p.descriptor(FREE, gate(0xa1, MORE, CALL_GATE3, 0));
    p.descriptor(0xa0, flat(level(CODE, 1)));
    p.descriptor(TSS_SELECTOR, segment16(TSS, 0x10, TSS32));
    asm!(p; mark("call"); call_far(FREE, 0));
    p.expect(&["#TS(0x38) at call"]);
}

#[test]
fn far_returns_go_outward_only_and_empty_data_segments_of_the_inner_level() {
    // 5.8.6.
    let mut p = Program::protected();
    let frame = |p: &mut Program, ss_: u16, code: u16| {
        asm!(p; push(i32::from(ss_)); push(USER_STACK as i32); push(i32::from(code)); push(MORE as i32));
    };
    asm!(p; mov(eax, u32::from(USER_DATA)); mov(es, eax); mov(ebx, esp));
    for (place, stack, code) in [
        ("null code", USER_DATA, 0),
        ("stack of level 0", DATA, USER_CODE32),
        ("null stack", 3, USER_CODE32),
        ("data as code", USER_DATA, USER_DATA),
        ("RPL 2", USER_DATA, USER_CODE32 & !1),
    ] {
        frame(&mut p, stack, code);
        asm!(p; mark(place); retf(); land(); mov(esp, ebx));
    }
    frame(&mut p, USER_DATA, USER_CODE32);
    asm!(p; retf());
    p.code(32, MORE);
    asm!(p;
        mov(eax, ds); say_eax(); mov(eax, es); say_eax(); mov(eax, esp); say_eax();
        push(i32::from(CODE32)); push(MORE as i32); mark("inward"); retf();
    );
    p.expect(&[
        "#GP(0x0) at null code",
        "#GP(0x10) at stack of level 0",
        "#GP(0x0) at null stack",
        "#GP(0x20) at data as code",
        "#GP(0x18) at RPL 2",
        "0x0",
        "0x23",
        "0xf700",
        "#GP(0x8) at inward",
    ]);
}

#[test]
fn an_interrupt_gate_clears_if_and_a_trap_gate_does_not() {
    // 6.12.1.3. Both clear TF, NT, RF and VM.
    let mut p = Program::protected().flags(0x3200);
    p.gate(0x41, gate(CODE32, MORE, TRAP_GATE32, 0));
    p.gate(0x42, gate(CODE32, MORE, INTERRUPT_GATE32, 0));
    asm!(p; int(0x41); int(0x42));
    p.code(32, MORE);
    asm!(p; pushfd(); pop(eax); say_eax(); iretd());
    p.expect(&["0x3202", "0x3002"]);
}

#[test]
fn software_interrupts_check_the_gate_s_level_and_hardware_ones_do_not() {
    // 6.12.1.2: #GP with the vector and the IDT bit.
    let mut p = Program::protected().user();
    p.gate(0x41, gate(CODE32, p.handler(0x41), level(INTERRUPT_GATE32, 3), 0));
    p.gate(3, gate(CODE32, p.handler(3), level(INTERRUPT_GATE32, 3), 0));
    asm!(p;
        mark("DPL 0"); int(0x40); land();
        mark("overflow"); mov(al, 0x7f); add(al, al); mark("INTO"); db(&[0xce]); land();
        int(0x41); mark("behind INT"); land();
        int3(); mark("behind INT3"); land();
        ud2();
    );
    p.expect(&[
        "#GP(0x202) at DPL 0",
        "#GP(0x22) at INTO",
        "interrupt 0x41 at behind INT",
        "#BP at behind INT3",
        "#UD at behind INT3",
    ]);
}

#[test]
fn what_is_wrong_with_an_interrupt_gate_names_the_gate_or_its_target() {
    // 6.13 and SDM vol. 2, INT n. Error codes of the gate have the IDT bit; EXT is clear for INT n.
    let mut p = Program::protected();
    p.gate(0x40, gate(CODE32, MORE, absent(INTERRUPT_GATE32), 0));
    p.gate(0x41, gate(CODE32, MORE, CALL_GATE32, 0));
    p.gate(0x42, gate(0, MORE, INTERRUPT_GATE32, 0));
    p.gate(0x43, gate(DATA, MORE, INTERRUPT_GATE32, 0));
    p.gate(0x44, gate(BEYOND, MORE, INTERRUPT_GATE32, 0));
    p.gate(0x45, gate(USER_CODE32, MORE, INTERRUPT_GATE32, 0));
    p.gate(0x46, gate(FREE, MORE, INTERRUPT_GATE32, 0));
    p.descriptor(FREE, flat(absent(CODE)));
    p.write16(IDTR, 0x47 * 8 - 1);
    let places = ["absent", "call gate", "null", "data", "no target", "level 3", "absent target", "beyond the table"];
    for (vector, place) in (0x40..).zip(places) {
        asm!(p; mark(place); int(vector); land());
    }
    p.expect(&[
        "#NP(0x202) at absent",
        "#GP(0x20a) at call gate",
        "#GP(0x0) at null",
        "#GP(0x10) at data",
        "#GP(0x100) at no target",
        "#GP(0x18) at level 3",
        "#NP(0x78) at absent target",
        "#GP(0x23a) at beyond the table",
    ]);
}

#[test]
fn faults_while_an_exception_is_delivered_have_the_ext_bit() {
    // 6.13. #UD is benign, so its own fault is delivered as it is.
    let cases = [
        (gate(CODE32, MORE, absent(INTERRUPT_GATE32), 0), "#NP(0x33) at UD2"),
        (gate(CODE32, MORE, CALL_GATE32, 0), "#GP(0x33) at UD2"),
        (gate(0, MORE, INTERRUPT_GATE32, 0), "#GP(0x1) at UD2"),
        (gate(DATA, MORE, INTERRUPT_GATE32, 0), "#GP(0x11) at UD2"),
        (gate(FREE, MORE, INTERRUPT_GATE32, 0), "#NP(0x79) at UD2"),
    ];
    for (entry, expected) in cases {
        let mut p = Program::protected().not_judged_by_tcg("it leaves EXT clear");
        p.gate(6, entry);
        p.descriptor(FREE, flat(absent(CODE)));
        asm!(p; mark("UD2"); ud2());
        p.expect(&[expected]);
    }
}

#[test]
fn a_handler_in_conforming_code_runs_at_the_level_it_interrupted_on_its_stack() {
    // 6.12.1.2.
    let mut p = Program::protected().user();
    p.descriptor(FREE, flat(CONFORMING));
    p.gate(0x40, gate(FREE, MORE, level(INTERRUPT_GATE32, 3), 0));
    asm!(p; int(0x40); mov(eax, esp); say_eax());
    p.code(32, MORE);
    asm!(p; mov(eax, cs); say_eax(); mov(eax, esp); say_eax(); iretd());
    p.expect(&["0x7b", "0xf6f4", "0xf700"]);
}

#[test]
fn a_16_bit_interrupt_gate_pushes_words() {
    // 6.12.1, figure 6-4, and 21.5.
    let mut p = Program::protected().flags(0x3000);
    p.gate(0x40, gate(CODE32, MORE, INTERRUPT_GATE16, 0));
    asm!(p; int(0x40); mov(eax, esp); say_eax());
    p.code(32, MORE);
    asm!(p; mov(eax, esp); say_eax(); movzx(eax, word_ptr(esp + 4)); say_eax(); iret());
    p.expect(&["0xeefa", "0x3002", "0xef00"]);
}

#[test]
fn gates_of_64_bit_mode_have_a_canonical_64_bit_target_in_64_bit_code() {
    // 6.14.1 and 5.8.3.1.
    let mut p = Program::long().not_judged_by_tcg("it multiplies the vector in error codes by 16");
    p.gate(0x40, gate(CODE32, MORE, INTERRUPT_GATE32, 0));
    p.gate(0x41, gate(CODE64, MORE, INTERRUPT_GATE16, 0));
    p.gate(0x42, gate(CODE64, MORE, TASK_GATE, 0));
    p.gate(0x43, gate(FREE, MORE, INTERRUPT_GATE32, 0));
    p.descriptor(FREE, flat64(CODE) | 1 << 54);
    for (vector, place) in (0x40..).zip(["32-bit target", "16-bit gate", "task gate", "L and D"]) {
        asm!(p; mark(place); int(vector); land());
    }
    p.expect(&[
        "#GP(0x8) at 32-bit target",
        "#GP(0x20a) at 16-bit gate",
        "#GP(0x212) at task gate",
        "#GP(0x78) at L and D",
    ]);
}

#[test]
fn interrupts_of_64_bit_mode_align_the_stack_and_always_push_it() {
    // 6.14.2.
    let mut p = Program::long();
    asm!(p; mov(esp, 0xef05); mark("ud"); ud2());
    let p = p.showing(|e| format!("frame {:#x}, stack {:#x}:{:#x}", e.frame, e.ss, e.sp));
    p.expect(&["#UD at ud: frame 0xeed8, stack 0x10:0xef05"]);
}

#[test]
fn an_interrupt_stack_table_entry_replaces_the_stack_at_any_level() {
    // 6.14.5.
    for user in [false, true] {
        let mut p = if user { Program::long().user() } else { Program::long() };
        let handler = p.handler(6);
        p.gate(6, gate(CODE64, handler, INTERRUPT_GATE32, 3));
        p.write64(TSS + 0x24 + 2 * 8, 0xdf08);
        asm!(p; mark("ud"); ud2());
        let p = p.showing(|e| format!("frame {:#x}", e.frame));
        p.expect(&["#UD at ud: frame 0xded8"]);
    }
}

#[test]
fn an_interrupt_stack_that_is_not_canonical_is_a_stack_fault() {
    // 6.14.2 and SDM vol. 2, INT n: #SS(0), here with EXT for an exception.
    let mut p = Program::long().not_judged_by_tcg("it leaves EXT clear");
    let handler = p.handler(6);
    p.gate(6, gate(CODE64, handler, INTERRUPT_GATE32, 1));
    p.write64(TSS + 0x24, 1 << 47);
    asm!(p; mark("ud"); ud2());
    p.expect(&["#SS(0x1) at ud"]);
}

#[test]
fn call_gates_of_64_bit_mode_are_16_bytes_and_switch_to_a_null_stack_segment() {
    // 5.8.3.1 and 5.8.5.1.
    let mut p = Program::long().user();
    p.descriptor(FREE, gate(CODE64, MORE, CALL_GATE3, 0));
    p.descriptor(FREE + 8, 0);
    p.descriptor(0xa0, gate(CODE32, MORE, CALL_GATE3, 0));
    p.descriptor(0xa8, 0);
    p.descriptor(0xb0, gate(CODE64, MORE, CALL_GATE3, 0));
    p.descriptor(0xb8, 0x1f << 40);
    p.write64(DATA_AREA, u64::from(FREE) << 32);
    p.write64(DATA_AREA + 8, 0xa0 << 32);
    p.write64(DATA_AREA + 16, 0xb0 << 32);
    asm!(p;
        mark("32-bit target"); call(fword_ptr(DATA_AREA + 8)); land();
        mark("type above"); call(fword_ptr(DATA_AREA + 16)); land();
        call(fword_ptr(DATA_AREA)); mov(eax, cs); say_eax();
    );
    p.code(64, MORE);
    asm!(p; mov(eax, ss); say_eax(); mov(rax, rsp); say_rax(); mov(rax, qword_ptr(rsp + 24)); say_rax(); retf());
    p.expect(&["#GP(0x8) at 32-bit target", "#GP(0xb0) at type above", "0x0", "0xe6e0", "0x23", "0x33"]);
}

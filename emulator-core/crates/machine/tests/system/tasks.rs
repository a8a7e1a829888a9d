//! Hardware task switches (Intel SDM vol. 3, chapter 7).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{Program, asm};

/// Offsets in a 32-bit task-state segment (figure 7-2).
const LINK: u64 = 0;
const CR3: u64 = 0x1c;
const EIP: u64 = 0x20;
const EFLAGS: u64 = 0x24;
const EAX: u64 = 0x28;
const ESP: u64 = 0x38;
const SEGMENTS: u64 = 0x48;
const LDT_FIELD: u64 = 0x60;
const TRAP: u64 = 0x64;
/// Order of the selectors at [`SEGMENTS`].
const ES: u64 = 0;
const CS: u64 = 1;
const SS: u64 = 2;
const DS: u64 = 3;

/// A second task of level 0 at [`TASK`] that starts at [`MORE`], described by [`TASK_SELECTOR`].
fn with_task(mut p: Program) -> Program {
    p.descriptor(TASK_SELECTOR, segment16(TASK, 0x67, TSS32));
    p.write32(TASK + EIP, MORE as u32);
    p.write32(TASK + EFLAGS, 2);
    p.write32(TASK + EAX, 0x1234);
    p.write32(TASK + ESP, 0xde00);
    for (number, selector) in [DATA, CODE32, DATA, DATA, DATA, DATA].into_iter().enumerate() {
        p.write16(TASK + SEGMENTS + number as u64 * 4, selector);
    }
    p
}

fn selector_field(number: u64) -> u64 {
    TASK + SEGMENTS + number * 4
}

/// Reports the type bits of a descriptor of the GDT.
fn say_type(p: &mut Program, selector: u16) {
    asm!(p; movzx(eax, byte_ptr(GDT + u64::from(selector) + 5)); say_eax());
}

#[test]
fn a_call_to_a_task_nests_it_and_iret_returns() {
    // 7.3 and table 7-2: link and NT are set, both are busy; IRET clears NT and the busy bit of the nested task.
    let mut p = with_task(Program::protected());
    asm!(p; mov(ebx, 0x77); call_far(TASK_SELECTOR, 0); mov(eax, ebx); say_eax());
    say_type(&mut p, TASK_SELECTOR);
    say_type(&mut p, TSS_SELECTOR);
    asm!(p; mov(eax, dword_ptr(TASK + EFLAGS)); and(eax, 0x4000); say_eax());
    asm!(p; mov(eax, cr0); and(eax, 8); say_eax());
    p.code(32, MORE);
    asm!(p; say_eax(); pushfd(); pop(eax); say_eax(); movzx(eax, word_ptr(TASK + LINK)); say_eax());
    say_type(&mut p, TASK_SELECTOR);
    say_type(&mut p, TSS_SELECTOR);
    asm!(p; iretd());
    p.expect(&["0x1234", "0x4002", "0x38", "0x8b", "0x8b", "0x77", "0x89", "0x8b", "0x0", "0x8"]);
}

#[test]
fn a_jump_to_a_task_ends_the_old_one_without_a_link() {
    // Table 7-2.
    let mut p = with_task(Program::protected());
    asm!(p; mov(ebx, 0x77); jump_far(TASK_SELECTOR, 0); mark("after"));
    p.code(32, MORE);
    asm!(p; pushfd(); pop(eax); say_eax(); movzx(eax, word_ptr(TASK + LINK)); say_eax());
    say_type(&mut p, TASK_SELECTOR);
    say_type(&mut p, TSS_SELECTOR);
    // What the old task was is in its segment.
    asm!(p; mov(eax, dword_ptr(TSS + 0x34)); say_eax(); mov(eax, dword_ptr(TSS + EIP)); say_eax());
    let after = format!("{:#x}", PROGRAM + 5 + 7);
    p.expect(&["0x2", "0x0", "0x8b", "0x89", "0x77", &after]);
}

#[test]
fn a_task_gate_is_as_good_as_the_segment_for_whoever_may_use_the_gate() {
    // 7.2.5: the gate's DPL counts, that of the segment does not.
    let mut p = with_task(Program::protected().user());
    p.descriptor(FREE, gate(TASK_SELECTOR, 0, level(TASK_GATE, 3), 0));
    p.descriptor(FREE2, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    p.descriptor(FREE3, gate(TASK_SELECTOR, 0, absent(level(TASK_GATE, 3)), 0));
    asm!(p;
        mark("segment of level 0"); call_far(TASK_SELECTOR, 0); land();
        mark("gate of level 0"); call_far(FREE2, 0); land();
        mark("absent gate"); call_far(FREE3, 0); land();
        call_far(FREE, 0); mov(eax, cs); say_eax();
    );
    p.code(32, MORE);
    asm!(p; mov(eax, cs); say_eax(); iretd());
    p.expect(&[
        "#GP(0x68) at segment of level 0",
        "#GP(0x80) at gate of level 0",
        "#NP(0x88) at absent gate",
        "0x8",
        "0x1b",
    ]);
}

#[test]
fn an_exception_through_a_task_gate_pushes_its_error_code_on_the_new_task_s_stack() {
    // 6.12.2. The saved EFLAGS of the faulting task have RF set, its EIP is that of the fault.
    let mut p = with_task(Program::protected()).not_judged_by_tcg("it saves RF as it was");
    p.gate(13, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    asm!(p; mov(eax, u32::from(BEYOND)); mov(es, eax); say(5));
    p.code(32, MORE);
    asm!(p;
        mov(eax, esp); say_eax(); pop(eax); say_eax();
        mov(eax, dword_ptr(TSS + EIP)); say_eax();
        mov(eax, dword_ptr(TSS + EFLAGS)); and(eax, 0x1_4000); say_eax();
        add(dword_ptr(TSS + EIP), 2); iretd();
    );
    let fault = format!("{:#x}", PROGRAM + 5);
    p.expect(&["0xddfc", "0x100", &fault, "0x10000", "0x5"]);
}

#[test]
fn an_interrupt_through_a_task_gate_returns_behind_the_instruction() {
    // 6.12.2.
    let mut p = with_task(Program::protected());
    p.gate(0x40, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    asm!(p; int(0x40); say(5));
    p.code(32, MORE);
    asm!(p; mov(eax, esp); say_eax(); pushfd(); pop(eax); say_eax(); iretd());
    p.expect(&["0xde00", "0x4002", "0x5"]);
}

#[test]
fn switches_refuse_what_is_not_an_available_task_and_iret_what_is_not_a_busy_one() {
    // 7.3 and table 7-1.
    let mut p = with_task(Program::protected()).not_judged_by_tcg("it says #TS of a task in an LDT");
    p.descriptor(FREE, segment16(TASK, 0x67, absent(TSS32)));
    p.descriptor(FREE2, segment16(TASK, 0x66, TSS32));
    p.descriptor(FREE3, gate(LDT_SELECTOR, 0, TASK_GATE, 0));
    p.descriptor(0xa0, gate(4, 0, TASK_GATE, 0));
    asm!(p;
        mark("busy"); call_far(TSS_SELECTOR, 0); land();
        mark("absent"); jump_far(FREE, 0); land();
        mark("short"); jump_far(FREE2, 0); land();
        mark("gate to no task"); jump_far(FREE3, 0); land();
        mark("task in an LDT"); jump_far(0xa0, 0); land();
        push(0x4002); popfd();
        mov(word_ptr(TSS + LINK), u32::from(TASK_SELECTOR)); mark("link to an available task"); iretd(); land();
        push(0x4002); popfd();
        mov(word_ptr(TSS + LINK), u32::from(DATA)); mark("link to no task"); iretd(); land();
    );
    p.expect(&[
        "#GP(0x38) at busy",
        "#NP(0x78) at absent",
        "#TS(0x80) at short",
        "#GP(0x48) at gate to no task",
        "#GP(0x4) at task in an LDT",
        "#TS(0x68) at link to an available task",
        "#TS(0x10) at link to no task",
    ]);
}

#[test]
fn faults_about_the_new_task_s_selectors_happen_in_the_new_task() {
    // 7.3, table 7-1: TR names the new task then, and the frame its EIP.
    // The new task is of level 3, so that its handlers find level 0's stack good.
    let cases = [
        (selector_field(CS), 3, "#TS(0x0) at new"),
        (selector_field(CS), USER_DATA, "#TS(0x20) at new"),
        (selector_field(CS), CODE32 | 3, "#TS(0x8) at new"),
        (selector_field(CS), FREE2 | 3, "#NP(0x80) at new"),
        (selector_field(SS), 0, "#TS(0x0) at new"),
        (selector_field(SS), DATA, "#TS(0x10) at new"),
        (selector_field(SS), FREE3 | 3, "#SS(0x88) at new"),
        (selector_field(DS), BEYOND, "#TS(0x100) at new"),
        (selector_field(ES), DATA, "#TS(0x10) at new"),
        (selector_field(ES), FREE3, "#NP(0x88) at new"),
        (TASK + LDT_FIELD, DATA, "#TS(0x10) at new"),
        (TASK + LDT_FIELD, FREE, "#TS(0x78) at new"),
    ];
    for (field, selector, expected) in cases {
        let mut p = with_task(Program::protected());
        for (number, selector) in [USER_DATA, USER_CODE32, USER_DATA, USER_DATA].into_iter().enumerate() {
            p.write16(selector_field(number as u64), selector);
        }
        p.write32(TASK + 4, KERNEL_STACK as u32);
        p.write16(TASK + 8, DATA);
        p.write16(field, selector);
        p.descriptor(FREE, segment16(LDT, 0xff, absent(LDT_TYPE)));
        p.descriptor(FREE2, flat(absent(level(CODE, 3))));
        p.descriptor(FREE3, flat(absent(level(READ_WRITE, 3))));
        asm!(p; jump_far(TASK_SELECTOR, 0));
        p.code(32, MORE);
        asm!(p; mark("new"); nop());
        let p = if expected.starts_with("#SS") { p.not_judged_by_tcg("it says #NP of an absent stack") } else { p };
        p.expect(&[expected]);
    }
}

#[test]
fn a_task_brings_its_own_page_tables_and_local_descriptors() {
    // 7.3 and 7.6.
    let mut p = with_task(Program::protected());
    p.write32(TASK + CR3, OTHER_FRAME as u32);
    p.write32(TSS + CR3, LEGACY_DIRECTORY as u32);
    p.write32(OTHER_FRAME, (LEGACY_IDENTITY | 7) as u32);
    p.write32(OTHER_FRAME + 4, (PAGES | 7) as u32);
    p.write32(PAGES, (DATA_AREA | 7) as u32);
    p.write16(TASK + LDT_FIELD, LDT_SELECTOR);
    p.descriptor(4, flat(READ_WRITE));
    p.write16(selector_field(ES), 4);
    p.write32(LEGACY_DIRECTORY + 4, 0);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        mov(eax, LEGACY_DIRECTORY as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, 0x8000_0000u32); mov(cr0, eax);
        call_far(TASK_SELECTOR, 0);
        mov(eax, cr3); say_eax(); sldt(eax); say_eax();
        mark("old tables"); mov(eax, dword_ptr(LEGACY_PAGE));
    );
    p.code(32, MORE);
    asm!(p;
        mov(eax, cr3); say_eax(); sldt(eax); say_eax(); mov(eax, dword_ptr(LEGACY_PAGE).es()); say_eax(); iretd();
    );
    p.expect(&["0x19000", "0x48", "0xabcd", "0x15000", "0x0", "#PF() of 0x400000 at old tables"]);
}

#[test]
fn the_debug_trap_flag_of_a_task_traps_before_its_first_instruction() {
    // 17.3.1.5 and 7.2.1: BT in DR6.
    let mut p = with_task(Program::protected()).not_judged_by_tcg("it does not know the T flag");
    p.write16(TASK + TRAP, 1);
    asm!(p; jump_far(TASK_SELECTOR, 0));
    p.code(32, MORE);
    asm!(p; mark("first"); nop(); land(); say(1));
    p.expect(&["#DB(BT) at first", "0x1"]);
}

#[test]
fn sixteen_bit_tasks_have_their_own_layout() {
    // 7.6 and figure 7-10.
    let mut p = Program::protected();
    p.descriptor(TASK_SELECTOR, segment16(TASK, 0x2b, TSS16));
    p.descriptor(FREE, segment16(TASK, 0x2a, TSS16));
    p.write16(TASK + 0x0e, MORE as u16);
    p.write16(TASK + 0x10, 2);
    p.write16(TASK + 0x12, 0x1234);
    p.write16(TASK + 0x1a, 0xde00);
    for (number, selector) in [DATA, CODE32, DATA, DATA].into_iter().enumerate() {
        p.write16(TASK + 0x22 + number as u64 * 2, selector);
    }
    asm!(p;
        mark("short"); jump_far(FREE, 0); land();
        call_far(TASK_SELECTOR, 0);
        movzx(eax, word_ptr(TASK + 0x14)); say_eax();
    );
    say_type(&mut p, TASK_SELECTOR);
    p.code(32, MORE);
    asm!(p; movzx(eax, ax); say_eax(); mov(ecx, 0x8888); movzx(eax, sp); say_eax(); mov(eax, cs); say_eax(); iretd());
    p.expect(&["#TS(0x78) at short", "0x1234", "0xde00", "0x8", "0x8888", "0x81"]);
}

#[test]
fn a_switch_clears_the_local_breakpoints() {
    // 17.2.4: L0 to L3 are cleared, G0 to G3 are not.
    let mut p = with_task(Program::protected());
    asm!(p; mov(eax, 0xff); mov(dr7, eax); jump_far(TASK_SELECTOR, 0));
    p.code(32, MORE);
    asm!(p; mov(eax, dr7); say_eax());
    p.expect(&["0x4aa"]);
}

#[test]
fn reserved_flags_of_a_task_s_image_are_not_loaded() {
    // SDM vol. 1, 3.4.3.
    let mut p = with_task(Program::protected());
    p.write32(TASK + EFLAGS, 0xffc0_802a);
    asm!(p; jump_far(TASK_SELECTOR, 0));
    p.code(32, MORE);
    asm!(p; pushfd(); pop(eax); say_eax());
    p.expect(&["0x2"]);
}

#[test]
fn task_switches_do_not_exist_in_64_bit_mode() {
    // 7.7: #GP(selector); IRET with NT is #GP(0).
    let mut p = Program::long();
    p.descriptor(FREE, segment16(TASK, 0x67, TSS32));
    p.write64(DATA_AREA, u64::from(FREE) << 32);
    asm!(p;
        mark("call"); call(fword_ptr(DATA_AREA)); land();
        push(0x4002); popfq(); mark("iret"); iretq();
    );
    p.expect(&["#GP(0x78) at call", "#GP(0x0) at iret"]);
}

#[test]
fn a_task_can_be_of_virtual_8086_mode() {
    // 7.3 and 20.2.1.
    let mut p = with_task(Program::protected());
    p.write32(TASK + EFLAGS, 0x2_0002);
    p.write32(TASK + EIP, 0x10);
    p.write16(selector_field(CS), (MORE >> 4) as u16 - 1);
    p.write16(selector_field(SS), 0);
    p.write16(selector_field(DS), (DATA_AREA >> 4) as u16);
    p.write32(DATA_AREA, 0xbeef);
    // The segment of the new task has no I/O bitmap: it reports through the fault.
    asm!(p; jump_far(TASK_SELECTOR, 0));
    p.code(16, MORE);
    asm!(p; mov(ecx, dword_ptr(0)); mark("hlt"); hlt());
    p.write32(TASK + 4, KERNEL_STACK as u32);
    p.write16(TASK + 8, DATA);
    p.showing(|e| format!("ECX {:#x}, CS {:#x}, DS {:#x}", e.rcx, e.cs, e.data_segments[1]))
        .expect(&["#GP(0x0) at 0x15: ECX 0xbeef, CS 0x8ff, DS 0xc00"]);
}

#[test]
fn a_double_fault_through_a_task_gate_survives_a_stack_that_is_gone() {
    // 6.15, interrupt 8: the reason to give it a task of its own.
    let mut p = with_task(Program::protected());
    p.gate(8, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    p.gate(6, gate(CODE32, MORE, absent(INTERRUPT_GATE32), 0));
    p.gate(11, gate(CODE32, MORE, absent(INTERRUPT_GATE32), 0));
    asm!(p; ud2());
    p.code(32, MORE);
    asm!(p; pop(eax); say_eax(); mov(eax, esp); say_eax(); mov(eax, dword_ptr(TSS + EIP)); say_eax());
    p.expect(&["0x0", "0xde00", &format!("{PROGRAM:#x}")]);
}

#[test]
fn an_nmi_through_a_task_gate_is_nested_and_returns() {
    // 6.7 and 7.3.
    let mut p = with_task(Program::protected());
    p.gate(2, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    asm!(p; mov(dword_ptr(0xfee0_00f0u32), 0x1ff); mov(dword_ptr(0xfee0_0300u32), 0x4400); mov(ecx, 1000));
    let mut around = p.create_label();
    asm!(p; set_label(&mut around); dec(ecx); jne(around); say(3));
    p.code(32, MORE);
    asm!(p; say(1); pushfd(); pop(eax); and(eax, 0x4200); say_eax(); iretd());
    p.expect(&["0x1", "0x4000", "0x3"]);
}

#[test]
fn an_interrupt_of_a_virtual_8086_task_may_switch_tasks_and_come_back() {
    // 20.3.2 and 7.3: the saved EFLAGS have VM, the selectors are those of 8086 mode.
    let mut p = with_task(Program::virtual_8086().flags(0x3000));
    p.gate(0x40, gate(TASK_SELECTOR, 0, level(TASK_GATE, 3), 0));
    asm!(p; mov(ax, 0x1234); mov(es, ax); int(0x40); mov(ax, es); movzx(eax, ax); say_eax(); mark("end"); hlt());
    p.code(32, MORE);
    asm!(p; mov(eax, dword_ptr(TSS + EFLAGS)); and(eax, 0x2_0000); say_eax());
    asm!(p; movzx(eax, word_ptr(TSS + SEGMENTS)); say_eax(); iretd());
    p.expect(&["0x20000", "0x1234", "0x1234", "#GP(0x0) at end"]);
}

#[test]
fn an_error_in_the_task_of_an_exception_has_ext_and_may_make_a_double_fault() {
    // 6.13 and table 6-5: #GP, then #TS about the stack of its task.
    let mut p = with_task(Program::protected()).not_judged_by_tcg("it leaves EXT clear and does not escalate");
    p.gate(13, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    for (number, selector) in [USER_DATA, USER_CODE32, USER_DATA, USER_DATA].into_iter().enumerate() {
        p.write16(selector_field(number as u64), selector);
    }
    p.write16(selector_field(SS), DATA);
    p.write32(TASK + 4, KERNEL_STACK as u32);
    p.write16(TASK + 8, DATA);
    asm!(p; mov(eax, u32::from(BEYOND)); mov(es, eax));
    p.code(32, MORE);
    asm!(p; mark("new"); nop());
    p.expect(&["#DF(0x0) at new"]);
    let mut p = with_task(Program::protected()).not_judged_by_tcg("it leaves EXT clear");
    p.gate(6, gate(TASK_SELECTOR, 0, TASK_GATE, 0));
    for (number, selector) in [USER_DATA, USER_CODE32, DATA, USER_DATA].into_iter().enumerate() {
        p.write16(selector_field(number as u64), selector);
    }
    p.write32(TASK + 4, KERNEL_STACK as u32);
    p.write16(TASK + 8, DATA);
    asm!(p; ud2());
    p.code(32, MORE);
    asm!(p; mark("new"); nop());
    p.expect(&["#TS(0x11) at new"]);
}

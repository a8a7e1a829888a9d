//! Virtual-8086 mode, its extensions, and protected-mode virtual interrupts (Intel SDM vol. 3, chapter 20).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, Program, asm};

const IF: u32 = 1 << 9;
const IOPL3: u32 = 3 << 12;
const VIF: u32 = 1 << 19;
const VIP: u32 = 1 << 20;
const CR4_VME: u32 = 1;
const CR4_PVI: u32 = 2;
const NO_EXTENSIONS: &str = "it has no virtual-mode extensions";

/// A virtual-8086 program under CR4.VME.
fn extended(flags: u32) -> Program {
    Program::virtual_8086().flags(flags).cr4(CR4_VME).not_judged_by_tcg(NO_EXTENSIONS)
}

/// Every instruction that IOPL guards (20.2.7).
fn sensitive_instructions(p: &mut Program) {
    asm!(p;
        mark("cli"); cli(); land();
        mark("sti"); sti(); land();
        mark("pushf"); pushf(); land();
        mark("popf"); popf(); land();
        mark("int"); int(0x40); land();
        mark("iret"); iret(); land();
    );
}

#[test]
fn instructions_that_touch_if_need_iopl_3() {
    // 20.2.7.
    let mut p = Program::virtual_8086();
    sensitive_instructions(&mut p);
    let places = ["cli", "sti", "pushf", "popf", "int", "iret"];
    let expected: Vec<String> = places.iter().map(|place| format!("#GP(0x0) at {place}")).collect();
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn with_iopl_3_they_work_on_the_real_flag_but_popf_keeps_iopl() {
    // 20.2.7.
    let mut p = Program::virtual_8086().flags(IOPL3 | IF);
    asm!(p;
        cli(); pushf(); pop(ax); movzx(eax, ax); say_eax();
        sti(); pushf(); pop(ax); movzx(eax, ax); say_eax();
        push(0); popf(); pushf(); pop(ax); movzx(eax, ax); say_eax();
    );
    p.expect(&["0x3002", "0x3202", "0x3002"]);
}

#[test]
fn software_interrupts_with_iopl_3_reach_the_monitor_through_a_gate_of_level_3() {
    // 20.3.1: the frame has all segment registers, DS to GS are emptied.
    let mut p = Program::virtual_8086().flags(IOPL3);
    p.gate(0x41, gate(CODE32, p.handler(0x41), level(INTERRUPT_GATE32, 3), 0));
    asm!(p;
        mov(ax, 0x1111); mov(es, ax); mov(ax, 0x2222); mov(ds, ax);
        mov(ax, 0x3333); mov(fs, ax); mov(ax, 0x4444); mov(gs, ax);
        int(0x41); mark("behind"); land(); nop(); mark("DPL 0"); int(0x40);
    );
    let p = p.showing(|e| format!("{:x?} VM {} SS:ESP {:#x}:{:#x}", e.data_segments, e.flags >> 17 & 1, e.ss, e.sp));
    let frame = ": [1111, 2222, 3333, 4444] VM 1 SS:ESP 0x0:0xf700";
    p.expect(&[&format!("interrupt 0x41 at behind{frame}"), &format!("#GP(0x202) at DPL 0{frame}")]);
}

#[test]
fn breakpoint_and_overflow_do_not_ask_for_iopl() {
    // 20.2.7 and SDM vol. 2, INT3 and INTO.
    let mut p = Program::virtual_8086();
    for vector in [3, 4] {
        p.gate(vector, gate(CODE32, p.handler(vector), level(INTERRUPT_GATE32, 3), 0));
    }
    asm!(p; int3(); mark("behind INT3"); land(); mov(al, 0x7f); add(al, 1); db(&[0xce]); mark("behind INTO"));
    p.expect(&["#BP at behind INT3", "#OF at behind INTO"]);
}

#[test]
fn a_monitor_must_be_code_of_level_0() {
    // 20.3.1.1: otherwise #GP with the selector of the code segment.
    let mut p = Program::virtual_8086().flags(IOPL3);
    p.descriptor(FREE, flat(CONFORMING));
    p.gate(0x40, gate(USER_CODE32, p.handler(0x40), level(INTERRUPT_GATE32, 3), 0));
    p.gate(0x41, gate(FREE, p.handler(0x41), level(INTERRUPT_GATE32, 3), 0));
    asm!(p; mark("level 3"); int(0x40); land(); mark("conforming"); int(0x41));
    p.expect(&["#GP(0x18) at level 3", "#GP(0x78) at conforming"]);
}

#[test]
fn segments_of_virtual_8086_mode_end_at_64_kib() {
    // 20.2.1 and 20.2.8.
    let mut p = Program::virtual_8086().judged_by_kvm_instead(NO_LIMITS);
    asm!(p;
        mov(ebx, 0x1_0000); mark("data"); mov(al, byte_ptr(ebx)); land();
        mark("word"); mov(ax, word_ptr(0xffff)); land();
        mov(ebp, 0x1_0000); mark("stack"); mov(al, byte_ptr(ebp));
    );
    p.expect(&["#GP(0x0) at data", "#GP(0x0) at word", "#SS(0x0) at stack"]);
}

#[test]
fn privileged_and_protected_mode_instructions_fault() {
    // 20.2.7 and SDM vol. 2: #GP for level 0's, #UD for those protected mode alone knows.
    let mut p = Program::virtual_8086();
    asm!(p;
        mark("hlt"); hlt(); land();
        mark("clts"); clts(); land();
        mark("mov cr"); mov(eax, cr0); land();
        mark("mov dr"); mov(eax, dr7); land();
        mark("lgdt"); lgdt(ptr(GDTR)); land();
        mark("rdmsr"); rdmsr(); land();
        mark("lldt"); lldt(ax); land();
        mark("str"); str(ax); land();
        mark("lar"); lar(ax, bx); land();
        mark("verr"); verr(ax); land();
        mark("arpl"); arpl(ax, bx);
    );
    let protection = ["hlt", "clts", "mov cr", "mov dr", "lgdt", "rdmsr"].map(|place| format!("#GP(0x0) at {place}"));
    let undefined = ["lldt", "str", "lar", "verr", "arpl"].map(|place| format!("#UD at {place}"));
    let expected = [&protection[..], &undefined[..]].concat();
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn ports_ask_the_bitmap_whatever_iopl_says() {
    // 20.2.8.1. Port 0x3f0 is closed here.
    let mut p = Program::virtual_8086().flags(IOPL3);
    p.write(TSS + REDIRECTION + 32 + 0x3f0 / 8, &[1]);
    asm!(p;
        mov(dx, 0x3f1); in_(al, dx); say(1);
        mov(dx, 0x3f0); mark("byte"); in_(al, dx); land();
        mov(dx, 0x3ef); mark("word"); in_(ax, dx); land();
        mov(dx, 0x400); mark("beyond"); in_(al, dx);
    );
    p.expect(&["0x1", "#GP(0x0) at byte", "#GP(0x0) at word", "#GP(0x0) at beyond"]);
}

#[test]
fn the_redirection_bitmap_sends_interrupts_to_the_task_s_own_handlers() {
    // 20.3.3, methods 5 (IOPL 3) and 6 (below): a clear bit redirects. Below IOPL 3 the image on the stack has IOPL 3 and VIF
    // for IF; the handler runs with VIF clear.
    for (flags, pushed, inside) in [(IOPL3 | IF, 0x3202, 0x3002), (VIF, 0x3202, 0x3002), (0, 0x3002, 0x3002)] {
        let mut p = extended(flags);
        p.write32(0x40 * 4, MORE as u32);
        asm!(p; int(0x40); say(3));
        p.code(16, MORE);
        asm!(p;
            mov(bp, sp); movzx(eax, word_ptr(bp + 4)); say_eax(); pushf(); pop(ax); movzx(eax, ax); say_eax(); iret();
        );
        p.expect(&[&format!("{pushed:#x}"), &format!("{inside:#x}"), "0x3"]);
    }
}

#[test]
fn a_set_bit_of_the_redirection_bitmap_keeps_the_monitor_in_charge() {
    // 20.3.3, methods 1 and 4.
    let mut p = extended(0);
    p.write(TSS + REDIRECTION + 0x40 / 8, &[1]);
    asm!(p; mark("IOPL 0"); int(0x40));
    p.expect(&["#GP(0x0) at IOPL 0"]);
    let mut p = extended(IOPL3);
    p.write(TSS + REDIRECTION + 0x40 / 8, &[1]);
    p.gate(0x40, gate(CODE32, p.handler(0x40), level(INTERRUPT_GATE32, 3), 0));
    asm!(p; int(0x40); mark("behind"));
    p.expect(&["interrupt 0x40 at behind"]);
}

#[test]
fn with_the_extensions_vif_stands_for_if_below_iopl_3() {
    // 20.3.2 and table 20-1.
    let mut p = extended(0);
    asm!(p;
        sti(); pushf(); pop(ax); movzx(eax, ax); say_eax();
        cli(); pushf(); pop(ax); movzx(eax, ax); say_eax();
        push(0x200); popf(); mark("flags"); hlt();
    );
    p.showing(|e| format!("VIF {}, IF {}", e.flags >> 19 & 1, e.flags >> 9 & 1)).expect(&[
        "0x3202",
        "0x3002",
        "#GP(0x0) at flags: VIF 1, IF 0",
    ]);
}

#[test]
fn a_pending_virtual_interrupt_stops_whoever_enables_interrupts() {
    // 20.3.2: #GP(0) for STI, POPF and IRET that would set VIF while VIP is set.
    let mut p = extended(VIP);
    asm!(p;
        cli(); push(0); popf(); say(1);
        mark("sti"); sti(); land();
        push(0x200); mark("popf"); popf(); land();
        push(0x200); push(0); push(MORE as i32); mark("iret"); iret(); land();
        push(0x100); mark("TF"); popf();
    );
    p.expect(&["0x1", "#GP(0x0) at sti", "#GP(0x0) at popf", "#GP(0x0) at iret", "#GP(0x0) at TF"]);
}

#[test]
fn thirty_two_bit_flag_instructions_stay_forbidden_below_iopl_3() {
    // SDM vol. 2, PUSHF, POPF and IRET.
    let mut p = extended(0);
    asm!(p;
        mark("pushfd"); pushfd(); land(); mark("popfd"); popfd(); land(); mark("iretd"); iretd();
    );
    p.expect(&["#GP(0x0) at pushfd", "#GP(0x0) at popfd", "#GP(0x0) at iretd"]);
}

#[test]
fn protected_mode_virtual_interrupts_are_for_level_3_with_cr4_pvi() {
    // 20.4.
    let mut p = Program::protected().user().cr4(CR4_PVI).not_judged_by_tcg(NO_EXTENSIONS);
    asm!(p; sti(); mark("set"); ud2(); land(); cli(); mark("clear"); ud2());
    let p = p.showing(|e| format!("VIF {}, IF {}", e.flags >> 19 & 1, e.flags >> 9 & 1));
    p.expect(&["#UD at set: VIF 1, IF 0", "#UD at clear: VIF 0, IF 0"]);
    let mut p = Program::protected().user().cr4(CR4_PVI).not_judged_by_tcg(NO_EXTENSIONS).flags(VIP);
    asm!(p; cli(); mark("pending"); sti());
    p.expect(&["#GP(0x0) at pending"]);
    let mut p = Program::protected().user();
    asm!(p; mark("without"); cli());
    p.expect(&["#GP(0x0) at without"]);
}

#[test]
fn iret_of_level_3_does_not_enter_virtual_8086_mode() {
    // SDM vol. 2, IRET: VM is restored at level 0 only.
    let mut p = Program::protected().user().not_judged_by_tcg("it does enter");
    asm!(p;
        push(0x2_0002); push(i32::from(USER_CODE32)); push(MORE as i32); iretd();
    );
    p.code(32, MORE);
    asm!(p; mark("still protected"); ud2());
    p.showing(|e| format!("VM {}", e.flags >> 17 & 1)).expect(&["#UD at still protected: VM 0"]);
}

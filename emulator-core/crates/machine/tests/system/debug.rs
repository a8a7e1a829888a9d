//! Debug registers, breakpoints and single step (Intel SDM vol. 3, chapter 17).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{Program, asm};

/// Fields of DR7 for DR0 (figure 17-1).
const G0: u32 = 2;
const ON_WRITE: u32 = 1 << 16;
const ON_IO: u32 = 2 << 16;
const ON_ACCESS: u32 = 3 << 16;
const TWO_BYTES: u32 = 1 << 18;
const EIGHT_BYTES: u32 = 2 << 18;
const FOUR_BYTES: u32 = 3 << 18;
const GENERAL_DETECT: u32 = 1 << 13;
const TF: i32 = 0x100;
const RF: u64 = 1 << 16;

/// Puts `address` into DR0 and `control` into DR7.
fn watch(p: &mut Program, address: u64, control: u32) {
    asm!(p; mov(eax, address as u32); mov(dr0, eax); mov(eax, control); mov(dr7, eax));
}

/// Sets TF with the next instruction.
fn step(p: &mut Program) {
    asm!(p; pushfd(); or(dword_ptr(esp), TF); popfd());
}

#[test]
fn single_step_traps_after_every_instruction() {
    // 17.3.1.4.
    let mut p = Program::protected();
    p.returns(2);
    step(&mut p);
    asm!(p; nop(); mark("first"); inc(ecx); mark("second"); inc(ecx); mark("third"); land(); say(1));
    p.showing(|e| format!("ECX {}", e.rcx)).expect(&[
        "#DB(BS) at first: ECX 0",
        "#DB(BS) at second: ECX 1",
        "#DB(BS) at third: ECX 2",
        "0x1",
    ]);
}

#[test]
fn the_instruction_that_clears_tf_is_the_last_to_trap() {
    // 17.3.1.4: TF counts as it was when the instruction began.
    let mut p = Program::protected();
    p.returns(4);
    asm!(p; pushfd());
    step(&mut p);
    asm!(p; nop(); mark("a"); popfd(); mark("b"); nop(); nop(); say(1));
    p.expect(&["#DB(BS) at a", "#DB(BS) at b", "0x1"]);
}

#[test]
fn no_trap_comes_between_a_load_of_ss_and_the_next_instruction() {
    // 6.8.3.
    for load in ["mov", "pop"] {
        let mut p = Program::protected();
        p.returns(1);
        asm!(p; mov(eax, ss); mov(ebx, STACK as u32));
        if load == "pop" {
            asm!(p; push(eax));
        }
        step(&mut p);
        if load == "pop" {
            asm!(p; pop(ss));
        } else {
            asm!(p; mov(ss, eax));
        }
        asm!(p; mov(esp, ebx); mark("behind both"); nop(); mark("next"); land(); say(1));
        p.expect(&["#DB(BS) at behind both", "#DB(BS) at next", "0x1"]);
    }
}

#[test]
fn sti_holds_off_interrupts_but_not_traps() {
    // 6.8.1 and 6.8.3.
    let mut p = Program::protected().not_judged_by_tcg("it holds off traps as well");
    step(&mut p);
    asm!(p; sti(); mark("behind STI"); nop());
    p.expect(&["#DB(BS) at behind STI"]);
}

#[test]
fn a_software_interrupt_is_not_stepped_into() {
    // 17.3.1.4 and 6.12.1.3: the handler starts with TF clear, and IRET brings it back.
    let mut p = Program::protected();
    p.returns(1);
    step(&mut p);
    asm!(p; int(0x40); mark("behind INT"); nop(); mark("next"); land());
    p.expect(&["interrupt 0x40 at behind INT", "#DB(BS) at next"]);
}

#[test]
fn single_step_traps_after_every_iteration_of_a_repeated_instruction() {
    // 17.3.1.1 and 17.3.1.4: all but the last save RF set.
    let mut p = Program::protected().not_judged_by_tcg("it saves RF clear in between");
    p.returns(2);
    asm!(p; mov(esi, DATA_AREA as u32); mov(edi, DATA_AREA as u32 + 0x100); mov(ecx, 3));
    step(&mut p);
    asm!(p; mark("rep"));
    p.rep().movsb().unwrap();
    asm!(p; mark("behind"); land());
    p.showing(|e| format!("ECX {}, RF {}", e.rcx, e.flags & RF != 0)).expect(&[
        "#DB(BS) at rep: ECX 2, RF true",
        "#DB(BS) at rep: ECX 1, RF true",
        "#DB(BS) at behind: ECX 0, RF false",
    ]);
}

#[test]
fn an_instruction_breakpoint_faults_before_it_and_rf_lets_it_run() {
    // 17.3.1.1.
    let mut p = Program::protected();
    p.resumes(1);
    watch(&mut p, MORE, G0);
    asm!(p; inc(ecx); jmp(MORE));
    p.code(32, MORE);
    asm!(p; mark("watched"); inc(ecx); say(1));
    let p = p.showing(|e| format!("ECX {}, RF {}", e.rcx, e.flags & RF != 0));
    p.expect(&["#DB(B0) at watched: ECX 1, RF false", "0x1"]);
}

#[test]
fn an_instruction_breakpoint_on_a_repeated_instruction_hits_once() {
    // 17.3.1.1: RF stays set until the last iteration is done.
    let mut p = Program::protected().not_judged_by_tcg("it hits again in between");
    p.resumes(1);
    asm!(p; mov(edi, DATA_AREA as u32); mov(ecx, 3));
    watch(&mut p, MORE, G0);
    asm!(p; jmp(MORE));
    p.code(32, MORE);
    asm!(p; mark("rep"));
    p.rep().stosb().unwrap();
    asm!(p; mov(eax, ecx); say_eax());
    p.expect(&["#DB(B0) at rep", "0x0"]);
}

#[test]
fn an_instruction_breakpoint_comes_before_the_page_fault_of_its_fetch() {
    // Table 6-2: class 7 before class 8.
    let mut p = Program::long().not_judged_by_tcg("it fetches first");
    p.resumes(1);
    watch64(&mut p, PAGE, G0);
    asm!(p; mov(ebx, PAGE as u32); jmp(rbx));
    p.expect(&["#DB(B0) at 0x200000", "#PF(fetch) of 0x200000 at 0x200000"]);
}

/// As [`watch`], in 64-bit mode.
fn watch64(p: &mut Program, address: u64, control: u32) {
    asm!(p; mov(eax, address as u32); mov(dr0, rax); mov(eax, control); mov(dr7, rax));
}

#[test]
fn a_load_of_ss_shields_the_next_instruction_from_its_breakpoint() {
    // 6.8.3.
    let mut p = Program::protected().not_judged_by_tcg("it shields from interrupts only");
    asm!(p; mov(ecx, ss));
    watch(&mut p, MORE + 2, G0);
    asm!(p; jmp(MORE));
    p.code(32, MORE);
    asm!(p; mov(ss, ecx); nop(); say(1));
    p.expect(&["0x1"]);
}

#[test]
fn data_breakpoints_trap_after_the_access_they_watch() {
    // 17.2.4 and 17.3.1.2.
    let mut p = Program::protected();
    let variable = DATA_AREA + 4;
    watch(&mut p, variable, G0 | ON_WRITE | FOUR_BYTES);
    asm!(p;
        mov(eax, dword_ptr(variable)); mov(al, byte_ptr(variable - 1)); mov(byte_ptr(variable + 4), al);
        mov(dword_ptr(variable), 5); mark("behind the write"); nop(); land();
        mov(byte_ptr(variable + 3), 1); mark("behind its last byte"); nop(); land();
        mov(dword_ptr(variable - 3), 1); mark("behind an overlap"); nop(); land();
        add(dword_ptr(variable), 1); mark("behind a change"); nop(); land();
    );
    watch(&mut p, variable, G0 | ON_ACCESS | FOUR_BYTES);
    asm!(p; mov(al, byte_ptr(variable + 1)); mark("behind the read"); nop(); land(); mov(al, byte_ptr(variable + 4)));
    p.expect(&[
        "#DB(B0) at behind the write",
        "#DB(B0) at behind its last byte",
        "#DB(B0) at behind an overlap",
        "#DB(B0) at behind a change",
        "#DB(B0) at behind the read",
    ]);
}

#[test]
fn the_length_of_a_data_breakpoint_aligns_its_address() {
    // 17.2.5, table 17-1.
    for (length, first, last) in [(0, 7, 7), (TWO_BYTES, 6, 7), (FOUR_BYTES, 4, 7), (EIGHT_BYTES, 0, 7)] {
        let mut p = Program::long().not_judged_by_tcg("it traps too late behind short instructions");
        watch64(&mut p, DATA_AREA + 7, G0 | ON_WRITE | length);
        for byte in 0..9 {
            asm!(p; mov(byte_ptr(DATA_AREA + byte), 1));
            if (first..=last).contains(&byte) {
                asm!(p; nop(); land());
            }
        }
        asm!(p; say(1));
        let at = |byte: u64| {
            let before: u64 = (first..byte).count() as u64;
            format!("#DB(B0) at {:#x}", PROGRAM + 16 + (byte + 1) * 8 + before)
        };
        let mut expected: Vec<String> = (first..=last).map(at).collect();
        expected.push("0x1".to_owned());
        p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_data_breakpoint_of_a_load_of_ss_waits_for_the_next_instruction() {
    // 6.8.3.
    let mut p = Program::protected().not_judged_by_tcg("it traps at once");
    p.write16(DATA_AREA, DATA);
    watch(&mut p, DATA_AREA, G0 | ON_ACCESS | TWO_BYTES);
    asm!(p; mov(ss, word_ptr(DATA_AREA)); mov(ecx, 1); mark("behind both"); nop());
    p.showing(|e| format!("ECX {}", e.rcx)).expect(&["#DB(B0) at behind both: ECX 1"]);
}

#[test]
fn an_instruction_that_faults_leaves_no_data_breakpoint_behind() {
    // 6.9: the trap is of an instruction that did not complete.
    let mut p = Program::protected();
    watch(&mut p, DATA_AREA, G0 | ON_ACCESS | FOUR_BYTES);
    asm!(p; xor(edx, edx); mark("divide"); div(dword_ptr(DATA_AREA)); land(); nop(); say(1));
    let p = p.not_judged_by_tcg("it traps in the middle of the instruction");
    p.expect(&["#DE at divide", "0x1"]);
}

#[test]
fn single_step_and_a_data_breakpoint_make_one_exception() {
    // 17.2.3.
    let mut p = Program::protected().not_judged_by_tcg("it makes two of them");
    watch(&mut p, DATA_AREA, G0 | ON_WRITE);
    step(&mut p);
    asm!(p; mov(byte_ptr(DATA_AREA), 1); mark("behind"); nop());
    p.expect(&["#DB(B0 BS) at behind"]);
}

#[test]
fn port_breakpoints_need_cr4_de() {
    // 17.2.4.
    let mut p = Program::protected();
    asm!(p; mov(eax, 8); mov(cr4, eax));
    watch(&mut p, 0x80, G0 | ON_IO | FOUR_BYTES);
    asm!(p;
        in_(al, 0x84); out(0x80, al); mark("behind OUT"); nop(); land();
        in_(al, 0x83); mark("behind IN"); nop(); land(); say(1);
    );
    p.expect(&["#DB(B0) at behind OUT", "#DB(B0) at behind IN", "0x1"]);
}

#[test]
fn general_detect_guards_every_debug_register_once() {
    // 17.2.4: #DB with BD before the move; entering the handler clears GD.
    let mut p = Program::protected().not_judged_by_tcg("it does not know GD");
    asm!(p; mov(eax, GENERAL_DETECT); mov(dr7, eax); mark("read"); mov(eax, dr0); land(); mov(eax, dr7); say_eax());
    p.expect(&["#DB(BD) at read", "0x400"]);
}

#[test]
fn moves_of_debug_and_control_registers_name_a_register_whatever_mod_says() {
    // SDM vol. 2, MOV: the two bits of the mod field are ignored, so no displacement follows.
    let mut p = Program::protected();
    asm!(p;
        mov(eax, 0x1234); db(&[0x0f, 0x23, 0x00]); db(&[0x0f, 0x21, 0x41]); mov(eax, ecx); say_eax();
        db(&[0x0f, 0x20, 0x80]); and(eax, 1); say_eax();
    );
    p.expect(&["0x1234", "0x1"]);
}

#[test]
fn debug_registers_4_and_5_are_6_and_7_unless_cr4_de_says_they_are_not() {
    // 17.2.2.
    let mut p = Program::protected();
    asm!(p; mov(eax, 2); mov(dr5, eax); mov(eax, dr7); say_eax(); mov(eax, 8); mov(cr4, eax));
    asm!(p; mark("dr4"); mov(eax, dr4); land(); mark("dr5"); mov(dr5, eax));
    p.expect(&["0x402", "#UD at dr4", "#UD at dr5"]);
}

#[test]
fn reserved_bits_of_the_debug_registers_read_as_the_manual_says() {
    // 17.2.3 and 17.2.4; bit 11 of DR7 and bit 16 of DR6 belong to transactional memory.
    let mut p = Program::protected();
    asm!(p;
        xor(eax, eax); mov(dr6, eax); mov(eax, dr6); say_eax();
        mov(eax, 0xffff_0000u32); mov(dr7, eax); mov(eax, dr7); say_eax();
        xor(eax, eax); mov(dr7, eax); mov(eax, dr7); say_eax();
    );
    p.expect(&["0xffff0ff0", "0xffff0400", "0x400"]);
}

#[test]
fn the_upper_halves_of_dr6_and_dr7_must_be_zero() {
    // 17.2.6.
    let mut p = Program::long();
    asm!(p;
        mov(rax, 1u64 << 32); mov(dr0, rax); mov(rax, dr0); say_rax();
        mark("dr6"); mov(dr6, rax); land(); mark("dr7"); mov(dr7, rax);
    );
    p.expect(&["0x100000000", "#GP(0x0) at dr6", "#GP(0x0) at dr7"]);
}

#[test]
fn debug_registers_are_for_level_0() {
    // 17.2.
    let mut p = Program::protected().user();
    asm!(p; mark("read"); mov(eax, dr6); land(); mark("write"); mov(dr7, eax));
    p.expect(&["#GP(0x0) at read", "#GP(0x0) at write"]);
}

#[test]
fn int1_is_a_debug_trap_without_a_cause_that_needs_no_privilege() {
    // SDM vol. 2, INT1: the gate's DPL does not count.
    let mut p = Program::protected().user().not_judged_by_tcg("it keeps INT1 for itself");
    asm!(p; int1(); mark("behind"));
    p.expect(&["#DB() at behind"]);
}

#[test]
fn what_a_frame_says_of_rf() {
    // 17.3.1.1: set for faults, clear for traps.
    let mut p = Program::protected();
    p.gate(4, gate(CODE32, p.handler(4), level(INTERRUPT_GATE32, 3), 0));
    asm!(p;
        mark("fault"); ud2(); land();
        int3(); mark("breakpoint"); land();
        int(0x40); mark("interrupt");
    );
    let p = p.not_judged_by_tcg("it saves RF as it was");
    p.showing(|e| format!("RF {}", e.flags & RF != 0)).expect(&[
        "#UD at fault: RF true",
        "#BP at breakpoint: RF false",
        "interrupt 0x40 at interrupt: RF false",
    ]);
}

#[test]
fn a_step_over_hlt_leaves_it() {
    // 17.3.1.4; SDM vol. 2, HLT: a debug exception ends the halt.
    let mut p = Program::protected().not_judged_by_tcg("it sleeps for ever");
    step(&mut p);
    asm!(p; hlt(); mark("behind HLT"); land(); say(1));
    p.expect(&["#DB(BS) at behind HLT", "0x1"]);
}

#[test]
fn syscall_with_tf_masked_does_not_trap_in_its_handler() {
    // SDM vol. 2, SYSCALL: RFLAGS are masked with IA32_FMASK first.
    let mut p = Program::long();
    for (msr, low, high) in [
        (0xc000_0080u32, 0x901u32, 0),
        (0xc000_0081, 0, u32::from(CODE64)),
        (0xc000_0082, MORE as u32, 0),
        (0xc000_0084, TF as u32, 0),
    ] {
        asm!(p; mov(ecx, msr); mov(eax, low); mov(edx, high); wrmsr());
    }
    asm!(p; pushfq(); or(dword_ptr(rsp), TF); popfq(); syscall());
    p.code(64, MORE);
    asm!(p; say(1));
    p.expect(&["0x1"]);
}

#[test]
fn sysret_with_tf_traps_before_the_next_instruction_and_iret_behind_it() {
    // 17.3.1.4; what operating systems that step over SYSCALL rely on.
    let mut p = Program::long();
    for (msr, low, high) in [(0xc000_0080u32, 0x901u32, 0), (0xc000_0081, 0, 0x20 << 16)] {
        asm!(p; mov(ecx, msr); mov(eax, low); mov(edx, high); wrmsr());
    }
    asm!(p; mov(ecx, MORE as u32); mov(r11d, TF); sysretq());
    p.code(64, MORE);
    asm!(p; mark("first"); nop());
    p.expect(&["#DB(BS) at first"]);
    let mut p = Program::protected();
    asm!(p; push(TF | 2); push(i32::from(CODE32)); push(MORE as i32); iretd());
    p.code(32, MORE);
    asm!(p; nop(); mark("second"); nop(); land(); say(1));
    p.expect(&["#DB(BS) at second", "0x1"]);
}

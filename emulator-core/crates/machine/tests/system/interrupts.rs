//! Hardware interrupts, the local APIC and its timer, NMI and A20 (Intel SDM vol. 3, chapters 6 and 11).

use iced_x86::code_asm::*;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const APIC: u64 = 0xfee0_0000;
const TASK_PRIORITY: u64 = APIC + 0x80;
const EOI: u64 = APIC + 0xb0;
const SPURIOUS: u64 = APIC + 0xf0;
const ERROR_STATUS: u64 = APIC + 0x280;
const COMMAND: u64 = APIC + 0x300;
const LVT_TIMER: u64 = APIC + 0x320;
const INITIAL_COUNT: u64 = APIC + 0x380;
const CURRENT_COUNT: u64 = APIC + 0x390;
const DIVIDE: u64 = APIC + 0x3e0;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const TSC_DEADLINE: u32 = 2 << 17;
/// ICR: to itself, fixed delivery.
const SELF: u32 = 1 << 18 | 1 << 14;
/// ICR: NMI for the processor with APIC ID 0.
const NMI: u32 = 4 << 8 | 1 << 14;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
const IF: u64 = 1 << 9;
const RF: u64 = 1 << 16;

fn apic(p: &mut Program, register: u64, value: u32) {
    asm!(p; mov(dword_ptr(register), value));
}

/// A protected-mode program with the APIC enabled and both 8259s masked.
fn with_apic() -> Program {
    let mut p = Program::protected();
    asm!(p; mov(al, 0xff); out(0x21, al); out(0xa1, al));
    apic(&mut p, SPURIOUS, 0x1ff);
    apic(&mut p, DIVIDE, 0xb);
    p
}

/// Waits for an interrupt, which is reported as `place`, and ends it.
fn wait(p: &mut Program, place: &'static str) {
    asm!(p; sti(); hlt(); mark(place); nop(); land(); cli());
    apic(p, EOI, 0);
}

/// Gives what is under way the time to arrive.
fn pause(p: &mut Program) {
    let mut around = p.create_label();
    asm!(p; mov(ecx, 2000); set_label(&mut around); dec(ecx); jne(around));
}

/// Tells whether an interrupt comes in a while: it would be reported.
fn listen(p: &mut Program) {
    asm!(p; sti());
    pause(p);
    asm!(p; cli());
}

#[test]
fn the_timer_fires_once_in_one_shot_mode() {
    // 11.5.4: the count stops at zero.
    let mut p = with_apic();
    apic(&mut p, LVT_TIMER, 0x40);
    apic(&mut p, INITIAL_COUNT, 1000);
    wait(&mut p, "halted");
    asm!(p; mov(eax, dword_ptr(CURRENT_COUNT)); say_eax());
    listen(&mut p);
    asm!(p; say(1));
    p.expect(&["interrupt 0x40 at halted", "0x0", "0x1"]);
}

#[test]
fn the_timer_goes_on_in_periodic_mode_until_its_count_is_cleared() {
    // 11.5.4.
    let mut p = with_apic();
    apic(&mut p, LVT_TIMER, PERIODIC | 0x40);
    apic(&mut p, INITIAL_COUNT, 200_000_000);
    for place in ["first", "second", "third"] {
        wait(&mut p, place);
    }
    apic(&mut p, INITIAL_COUNT, 0);
    listen(&mut p);
    asm!(p; mov(eax, dword_ptr(CURRENT_COUNT)); say_eax());
    p.expect(&["interrupt 0x40 at first", "interrupt 0x40 at second", "interrupt 0x40 at third", "0x0"]);
}

#[test]
fn a_masked_timer_counts_and_stays_silent() {
    // 11.5.1.
    let mut p = with_apic();
    apic(&mut p, LVT_TIMER, MASKED | 0x40);
    apic(&mut p, INITIAL_COUNT, 1000);
    listen(&mut p);
    asm!(p; mov(eax, dword_ptr(CURRENT_COUNT)); say_eax());
    let p = p.not_judged_by_tcg("2000 instructions may take less than a microsecond there");
    p.expect(&["0x0"]);
}

#[test]
fn the_timer_fires_when_the_time_stamp_counter_reaches_its_deadline() {
    // 11.5.4.1: the MSR reads zero afterwards, and the counter is not below the deadline.
    let mut p = with_apic().not_judged_by_tcg("it has no deadline mode");
    apic(&mut p, LVT_TIMER, TSC_DEADLINE | 0x40);
    asm!(p; mfence(); rdtsc(); add(eax, 1_000_000); adc(edx, 0); mov(esi, eax); mov(edi, edx));
    asm!(p; mov(ecx, IA32_TSC_DEADLINE); wrmsr(); rdmsr(); sub(eax, esi); say_eax());
    wait(&mut p, "halted");
    asm!(p; rdtsc(); sub(eax, esi); sbb(edx, edi); mov(eax, edx); say_eax());
    asm!(p; mov(ecx, IA32_TSC_DEADLINE); rdmsr(); or(eax, edx); say_eax());
    p.expect(&["0x0", "interrupt 0x40 at halted", "0x0", "0x0"]);
}

#[test]
fn a_deadline_of_zero_disarms_the_timer_and_the_initial_count_does_not_arm_it() {
    // 11.5.4.1.
    let mut p = with_apic().not_judged_by_tcg("it has no deadline mode");
    apic(&mut p, LVT_TIMER, TSC_DEADLINE | 0x40);
    apic(&mut p, INITIAL_COUNT, 100);
    asm!(p; rdtsc(); add(eax, 1000); adc(edx, 0); mov(ecx, IA32_TSC_DEADLINE); wrmsr());
    asm!(p; xor(eax, eax); xor(edx, edx); wrmsr());
    listen(&mut p);
    asm!(p; mov(eax, dword_ptr(INITIAL_COUNT)); say_eax());
    p.expect(&["0x0"]);
}

#[test]
fn a_deadline_in_the_past_fires_at_once_and_outside_its_mode_there_is_none() {
    // 11.5.4.1.
    let mut p = with_apic().not_judged_by_tcg("it has no deadline mode");
    asm!(p; mov(ecx, IA32_TSC_DEADLINE); mov(eax, 1); xor(edx, edx); wrmsr(); rdmsr(); say_eax());
    apic(&mut p, LVT_TIMER, TSC_DEADLINE | 0x40);
    asm!(p; mov(ecx, IA32_TSC_DEADLINE); mov(eax, 1); xor(edx, edx); wrmsr());
    wait(&mut p, "halted");
    p.expect(&["0x0", "interrupt 0x40 at halted"]);
}

#[test]
fn interrupts_wait_for_a_lower_task_priority_and_come_in_order_of_theirs() {
    // 11.8.3.
    let mut p = with_apic();
    apic(&mut p, TASK_PRIORITY, 0x60);
    for vector in [0x51, 0x45, 0x70] {
        apic(&mut p, COMMAND, SELF | vector);
    }
    wait(&mut p, "above");
    listen(&mut p);
    apic(&mut p, TASK_PRIORITY, 0);
    wait(&mut p, "higher");
    wait(&mut p, "lower");
    p.expect(&["interrupt 0x70 at above", "interrupt 0x51 at higher", "interrupt 0x45 at lower"]);
}

#[test]
fn an_interrupt_in_service_holds_off_its_own_class() {
    // 11.8.4.
    let mut p = with_apic();
    apic(&mut p, COMMAND, SELF | 0x45);
    asm!(p; sti(); nop(); mark("first"); nop(); land(); cli());
    apic(&mut p, COMMAND, SELF | 0x4f);
    listen(&mut p);
    asm!(p; say(1));
    apic(&mut p, EOI, 0);
    wait(&mut p, "second");
    p.expect(&["interrupt 0x45 at first", "0x1", "interrupt 0x4f at second"]);
}

#[test]
fn cr8_is_the_upper_half_of_the_task_priority() {
    // 11.8.6.
    let mut p = Program::long().not_judged_by_tcg("it cuts CR8 to four bits");
    p.page(0, APIC | 0x13);
    asm!(p;
        mov(eax, 5); mov(cr8, rax); mov(eax, dword_ptr(PAGE + 0x80)); say_eax();
        mov(dword_ptr(PAGE + 0x80), 0x72); mov(rax, cr8); say_rax();
        mov(eax, 16); mark("too large"); mov(cr8, rax);
    );
    p.expect(&["0x50", "0x7", "#GP(0x0) at too large"]);
}

#[test]
fn vectors_below_16_are_an_error_not_an_interrupt() {
    // 11.5.3: bit 6, illegal vector, shows after a write of the register.
    let mut p = with_apic().not_judged_by_tcg("it delivers them");
    apic(&mut p, COMMAND, SELF | 5);
    listen(&mut p);
    apic(&mut p, ERROR_STATUS, 0);
    asm!(p; mov(eax, dword_ptr(ERROR_STATUS)); and(eax, 0x60); say_eax());
    p.expect(&["0x20"]);
}

#[test]
fn x2apic_mode_turns_registers_into_msrs_and_cannot_be_left_halfway() {
    // 11.12.1 and figure 11-28.
    let mut p = with_apic().not_judged_by_tcg("it has no x2APIC mode");
    asm!(p;
        mov(ecx, IA32_APIC_BASE); rdmsr(); or(eax, 0x400); wrmsr(); mov(ebx, eax);
        mov(ecx, 0x808); mov(eax, 0x30); xor(edx, edx); wrmsr(); rdmsr(); say_eax();
        mov(ecx, 0x802); mark("read-only"); wrmsr(); land();
        mov(ecx, 0x8ff); mark("no register"); rdmsr(); land();
        mov(ecx, 0x80b); mov(eax, 1); mark("EOI"); wrmsr(); land();
        mov(ecx, IA32_APIC_BASE); mov(eax, ebx); and(eax, !0x400); mark("back to xAPIC"); wrmsr(); land();
        mov(eax, ebx); and(eax, !0xc00); wrmsr(); rdmsr(); and(eax, 0xc00); say_eax();
        mov(eax, ebx); mark("from off"); wrmsr();
    );
    p.expect(&[
        "0x30",
        "#GP(0x0) at read-only",
        "#GP(0x0) at no register",
        "#GP(0x0) at EOI",
        "#GP(0x0) at back to xAPIC",
        "0x0",
        "#GP(0x0) at from off",
    ]);
}

#[test]
fn an_interrupt_waits_for_the_instruction_behind_sti_and_behind_a_load_of_ss() {
    // 6.8.1 and 6.8.3.
    let mut p = with_apic();
    asm!(p; mov(ebx, ss));
    apic(&mut p, COMMAND, SELF | 0x40);
    asm!(p; sti(); cli(); say(1));
    asm!(p; sti(); inc(ecx); mark("behind STI"); inc(ecx); land());
    apic(&mut p, EOI, 0);
    // With IF set, the shadow is that of the load.
    asm!(p; cli(); xor(ecx, ecx));
    apic(&mut p, COMMAND, SELF | 0x41);
    asm!(p; pushfd(); or(dword_ptr(esp), IF as i32); popfd(); mark("behind POPF"); mov(ss, ebx); inc(ecx); land());
    p.expect(&["0x1", "interrupt 0x40 at behind STI", "interrupt 0x41 at behind POPF"]);
}

#[test]
fn an_interrupt_waits_for_the_instruction_behind_sti_every_time_round() {
    // 6.8.1, in code that an engine knows: what is behind STI has run before. Also where that instruction's memory has to be found first, and where it is
    // a branch.
    const ROUNDS: usize = 4;
    const COUNTED: u64 = DATA_AREA + 4;
    let mut p = with_apic();
    p.returns(3 * ROUNDS);
    let mut labels: [CodeLabel; 8] = std::array::from_fn(|_| p.create_label());
    let [start, around, counts, counting, stores, storing, returns, returning] = &mut labels;
    asm!(p; mov(dword_ptr(DATA_AREA), ROUNDS as u32); jmp(*start));
    asm!(p; set_label(counts); sti(); set_label(counting); inc(ecx); mark("behind INC"); cli(); ret());
    asm!(p; set_label(stores); sti(); set_label(storing); inc(dword_ptr(COUNTED)); mark("behind store"); cli(); ret());
    asm!(p; set_label(returns); sti(); set_label(returning); ret());
    asm!(p; set_label(start); call(*counting); call(*storing); call(*returning); set_label(around));
    for (vector, routine) in [(0x40, *counts), (0x41, *stores), (0x42, *returns)] {
        apic(&mut p, COMMAND, SELF | vector);
        asm!(p; mov(eax, cr3); mov(cr3, eax); call(routine));
        if vector == 0x42 {
            asm!(p; mark("behind RET"); cli());
        }
        apic(&mut p, EOI, 0);
    }
    asm!(p; dec(dword_ptr(DATA_AREA)); jne(*around); mov(eax, dword_ptr(COUNTED)); say_eax());
    let round = ["interrupt 0x40 at behind INC", "interrupt 0x41 at behind store", "interrupt 0x42 at behind RET"];
    p.expect(&[&round.repeat(ROUNDS)[..], &["0x5"]].concat());
}

#[test]
fn an_interrupt_comes_right_behind_the_popf_that_lets_it_every_time_round() {
    // SDM vol. 2, POPF: nothing is in its shadow. In code that an engine knows; what leaves IF clear lets none in. Status flags are as in the image.
    const IMAGES: [u64; 5] = [0x8d5, 0x10, 0x845, 0x80, 0];
    let mut p = with_apic();
    p.returns(IMAGES.len());
    let [mut start, mut restore] = std::array::from_fn(|_| p.create_label());
    asm!(p; jmp(start); set_label(&mut restore); mov(dword_ptr(esp + 4), ebx));
    asm!(p; pop(edx); popfd(); mark("behind POPF"); pushfd(); cli(); pop(eax); jmp(edx); set_label(&mut start));
    for image in IMAGES {
        apic(&mut p, COMMAND, SELF | 0x40);
        for flags in [image, image | IF] {
            asm!(p; mov(ebx, flags as u32); push(0); call(restore); say_eax());
        }
        apic(&mut p, EOI, 0);
    }
    let rounds = IMAGES.map(|image| {
        let [closed, open] = [image | 2, image | IF | 2].map(|image| format!("{image:#x}"));
        [closed, "interrupt 0x40 at behind POPF".to_owned(), open]
    });
    p.expect(&rounds.as_flattened().iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn an_nmi_needs_no_if_and_the_next_waits_for_iret() {
    // 6.7.1.
    let mut p = with_apic();
    p.gate(2, crate::bench::descriptor::gate(CODE32, MORE, 0x8e, 0));
    apic(&mut p, COMMAND, NMI);
    pause(&mut p);
    asm!(p; say(3));
    p.code(32, MORE);
    let mut second = p.create_label();
    asm!(p; pushad(); inc(dword_ptr(DATA_AREA)); cmp(dword_ptr(DATA_AREA), 1); jne(second); say(1));
    apic(&mut p, COMMAND, NMI);
    pause(&mut p);
    asm!(p; say(2); popad(); iretd(); set_label(&mut second); say(0x22); popad(); iretd());
    p.expect(&["0x1", "0x2", "0x22", "0x3"]);
}

#[test]
fn an_interrupt_within_a_repeated_instruction_saves_rf_and_returns_into_it() {
    // 17.3.1.1 and SDM vol. 2, REP: registers tell how far it came.
    let mut p = with_apic().not_judged_by_tcg("it saves RF clear in between");
    p.returns(1);
    apic(&mut p, LVT_TIMER, 0x40);
    asm!(p; mov(ecx, 0x10_0000); mov(edi, 0x20_0000); sti());
    apic(&mut p, INITIAL_COUNT, 3000);
    asm!(p; mark("rep"));
    p.rep().stosd().unwrap();
    asm!(p; cli(); mov(eax, ecx); say_eax(); mov(eax, edi); say_eax());
    p.showing(|e| format!("RF {}, not finished {}", e.flags & RF != 0, e.rcx != 0 && e.rcx < 0x10_0000)).expect(&[
        "interrupt 0x40 at rep: RF true, not finished true",
        "0x0",
        "0x600000",
    ]);
}

#[test]
fn the_a20_gate_folds_addresses_onto_the_first_megabyte() {
    // 20.1.1: bit 20 is masked while the gate is closed, through port 0x92 and the keyboard controller alike.
    let mut p = Program::protected();
    let (low, high) = (DATA_AREA, 0x10_0000 + DATA_AREA);
    let look = |p: &mut Program| {
        asm!(p;
            mov(dword_ptr(low), 1); mov(dword_ptr(high), 2); wbinvd(); mov(eax, dword_ptr(low)); say_eax();
        );
    };
    let port_92 = |p: &mut Program, value: u32| asm!(p; mov(al, value); out(0x92, al));
    let keyboard_controller = |p: &mut Program, output_port: u32| {
        asm!(p; mov(al, 0xd1); out(0x64, al); mov(al, output_port); out(0x60, al));
    };
    const CLOSED: u32 = 0xdd;
    const OPEN: u32 = 0xdf;
    port_92(&mut p, 0);
    keyboard_controller(&mut p, CLOSED);
    look(&mut p);
    port_92(&mut p, 2);
    look(&mut p);
    port_92(&mut p, 0);
    look(&mut p);
    keyboard_controller(&mut p, OPEN);
    look(&mut p);
    keyboard_controller(&mut p, CLOSED);
    look(&mut p);
    p.expect(&["0x2", "0x1", "0x2", "0x1", "0x2"]);
}

#[test]
fn the_interval_timer_interrupts_real_mode_through_the_8259() {
    // The way every PC starts: IRQ 0 is vector 8 of real mode, here at its end-of-interrupt command.
    let mut p = Program::real().not_judged_by_tcg("its LINT0 is masked until firmware opens it");
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x20),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0xfe),
        (0xa1, 0xff),
        (0x43, 0x30),
        (0x40, 0x00),
        (0x40, 0x10),
    ] {
        asm!(p; mov(al, value); out(port, al));
    }
    asm!(p; sti(); hlt(); mark("halted"); nop(); land(); cli(); mov(al, 0x20); out(0x20, al); say(1));
    p.expect(&["interrupt 0x20 at halted", "0x1"]);
}

//! `IRET` in every mode (Intel SDM vol. 2, IRET; vol. 3, 6.12.1 and 6.14.3).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{NO_LIMITS, Program, asm};

const IF: u32 = 1 << 9;
const IOPL: u32 = 3 << 12;
const NT: u32 = 1 << 14;

/// Pushes a frame of `words`, the stack pointer's selector first.
fn push_all(p: &mut Program, words: &[u32]) {
    for word in words {
        asm!(p; push(*word as i32));
    }
}

#[test]
fn iret_checks_its_code_segment_as_a_far_return_does_and_leaves_the_stack_alone() {
    let mut p = Program::protected();
    p.descriptor(FREE, flat(absent(CODE)));
    p.descriptor(FREE2, flat(level(CODE, 1)));
    asm!(p; mov(ebx, esp));
    for (place, selector) in [
        ("null", 0),
        ("beyond the table", BEYOND),
        ("data", DATA),
        ("absent", FREE),
        ("DPL above RPL", FREE2),
        ("DPL below RPL", CODE32 | 3),
    ] {
        push_all(&mut p, &[2, u32::from(selector), MORE as u32]);
        asm!(p; mark(place); iretd(); land(); mov(eax, ebx); sub(eax, esp); say_eax(); mov(esp, ebx));
    }
    p.expect(&[
        "#GP(0x0) at null",
        "0xc",
        "#GP(0x100) at beyond the table",
        "0xc",
        "#GP(0x10) at data",
        "0xc",
        "#NP(0x78) at absent",
        "0xc",
        "#GP(0x80) at DPL above RPL",
        "0xc",
        "#GP(0x8) at DPL below RPL",
        "0xc",
    ]);
}

#[test]
fn iret_to_an_outer_level_checks_the_stack_it_returns_to() {
    let mut p = Program::protected().not_judged_by_tcg("it says #NP of an absent stack");
    p.descriptor(FREE, flat(absent(level(READ_WRITE, 3))));
    p.descriptor(FREE2, flat(level(READ_ONLY, 3)));
    asm!(p; mov(ebx, esp));
    for (place, selector) in
        [("null", 3), ("RPL 0", USER_DATA & !3), ("DPL 0", DATA | 3), ("read-only", FREE2 | 3), ("absent", FREE | 3)]
    {
        push_all(&mut p, &[u32::from(selector), USER_STACK as u32, 2, u32::from(USER_CODE32), MORE as u32]);
        asm!(p; mark(place); iretd(); land(); mov(esp, ebx));
    }
    p.expect(&[
        "#GP(0x0) at null",
        "#GP(0x20) at RPL 0",
        "#GP(0x10) at DPL 0",
        "#GP(0x80) at read-only",
        "#SS(0x78) at absent",
    ]);
}

#[test]
fn iret_beyond_the_limit_of_its_code_is_a_protection_fault_before_it_returns() {
    let mut p = Program::protected().judged_by_kvm_instead(NO_LIMITS);
    p.descriptor(FREE, segment(0, 0xfff, CODE));
    push_all(&mut p, &[2, u32::from(FREE), 0x1000]);
    asm!(p; mark("iret"); iretd());
    p.expect(&["#GP(0x0) at iret"]);
}

#[test]
fn the_privilege_level_decides_which_flags_iret_restores() {
    // IF where CPL is at most IOPL, IOPL at level 0.
    for (user, flags, image, expected) in [
        (false, 0, IF | IOPL, IF | IOPL),
        (false, IF | IOPL, 0, 0),
        (true, 0, IF | IOPL, 0),
        (true, IOPL, IF, IF | IOPL),
        (true, IF, 0, IF),
    ] {
        let mut p = Program::protected().flags(flags);
        let code = if user { USER_CODE32 } else { CODE32 };
        if user {
            p = p.user();
        }
        push_all(&mut p, &[image | 2, u32::from(code), MORE as u32]);
        asm!(p; iretd());
        p.code(32, MORE);
        asm!(p; mark("there"); ud2());
        p.showing(|e| format!("{:#x}", e.flags & 0x3200)).expect(&[&format!("#UD at there: {expected:#x}")]);
    }
}

#[test]
fn iret_with_nt_set_is_a_task_switch_even_where_no_task_is_linked() {
    // The link is zero: #TS with the null selector.
    let mut p = Program::protected().flags(NT);
    asm!(p; mark("iret"); iretd());
    p.expect(&["#TS(0x0) at iret"]);
}

#[test]
fn iretq_always_takes_a_stack_and_may_take_a_null_one_below_level_3() {
    // 6.14.3.
    let mut p = Program::long();
    push_all(&mut p, &[0, 0xee00, 2, u32::from(CODE64), MORE as u32]);
    asm!(p; iretq());
    p.code(64, MORE);
    asm!(p; mov(eax, ss); say_eax(); mov(rax, rsp); say_rax());
    push_all(&mut p, &[3, 0xee00, 2, u32::from(USER_CODE64), MORE as u32]);
    asm!(p; mark("null at level 3"); iretq());
    p.expect(&["0x0", "0xee00", "#GP(0x0) at null at level 3"]);
}

#[test]
fn iretq_to_an_address_that_is_not_canonical_faults_before_it_returns() {
    let mut p = Program::long().not_judged_by_tcg("it faults at the target");
    push_all(&mut p, &[u32::from(DATA), STACK as u32, 2, u32::from(CODE64)]);
    asm!(p; mov(rax, 1u64 << 47); push(rax); mark("iretq"); iretq());
    p.expect(&["#GP(0x0) at iretq"]);
}

#[test]
fn iretq_returns_to_compatibility_mode_and_its_32_bit_form_stays_there() {
    let mut p = Program::long();
    push_all(&mut p, &[u32::from(USER_DATA), USER_STACK as u32, 2, u32::from(USER_CODE32), MORE as u32]);
    asm!(p; iretq());
    p.code(32, MORE);
    asm!(p; mov(eax, cs); say_eax());
    push_all(&mut p, &[2, u32::from(USER_CODE32), EVEN_MORE as u32]);
    asm!(p; iretd());
    p.code(32, EVEN_MORE);
    asm!(p; mov(eax, esp); say_eax(); mark("end"); ud2());
    p.showing(|e| format!("SS:ESP {:#x}:{:#x}", e.ss, e.sp)).expect(&[
        "0x1b",
        "0xf700",
        "#UD at end: SS:ESP 0x23:0xf700",
    ]);
}

#[test]
fn real_mode_iret_restores_what_int_pushed_and_the_wide_one_the_upper_flags() {
    // 20.1.4: RF, AC and ID with an operand size of 32 bits.
    let mut p = Program::real();
    p.write32(0x40 * 4, MORE as u32);
    asm!(p; sti(); int(0x40); pushf(); pop(ax); and(ax, 0x300); movzx(eax, ax); say_eax());
    asm!(p; mov(eax, 0x20_0246); push(eax); xor(eax, eax); push(eax); mov(ax, EVEN_MORE as i32); push(eax); db(&[0x66, 0xcf]));
    p.code(16, MORE);
    asm!(p; pushf(); pop(ax); and(ax, 0x300); movzx(eax, ax); say_eax(); iret());
    p.code(16, EVEN_MORE);
    asm!(p; pushfd(); pop(eax); and(eax, 0x24_0000); say_eax());
    p.expect(&["0x0", "0x200", "0x200000"]);
}

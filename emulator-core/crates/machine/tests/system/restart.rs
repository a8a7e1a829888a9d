//! What faults can be run again: registers and memory are as before it (Intel SDM vol. 3, 6.6).

use iced_x86::code_asm::*;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const WRITABLE: u64 = 7;
const READ_ONLY: u64 = 5;
/// The page that is not there, and one that is only read, behind one that may be written.
const ABSENT: u32 = PAGE as u32 + 0x1000;
const PROTECTED: u32 = PAGE as u32 + 0x2000;

/// User code, whose handlers have a stack of their own.
fn program() -> Program {
    let mut p = Program::long().user();
    p.page(0, FRAME | WRITABLE);
    p.page(2, OTHER_FRAME | READ_ONLY);
    p.write32(FRAME + 0xffc, 0x1111_1111);
    p.write32(OTHER_FRAME, 0x2222_2222);
    p
}

#[test]
fn the_stack_pointer_stays_where_it_was() {
    let mut p = program();
    let pointer = |p: &mut Program, value: u32| asm!(p; mov(esp, value));
    let still = |p: &mut Program| asm!(p; land(); mov(eax, esp); say_eax());
    pointer(&mut p, PROTECTED);
    asm!(p; mark("push"); push(rax));
    still(&mut p);
    asm!(p; mark("call"); call(PROGRAM));
    still(&mut p);
    asm!(p; mark("enter"); enter(0, 0));
    still(&mut p);
    asm!(p; mark("pushfq"); pushfq());
    still(&mut p);
    pointer(&mut p, ABSENT);
    asm!(p; mark("pop"); pop(rax));
    still(&mut p);
    asm!(p; mark("ret"); ret());
    still(&mut p);
    asm!(p; mov(ebp, ABSENT); mark("leave"); leave());
    still(&mut p);
    pointer(&mut p, STACK as u32);
    asm!(p; mov(ebx, PROTECTED); mark("pop to memory"); pop(qword_ptr(rbx)));
    still(&mut p);
    asm!(p; mov(ebx, ABSENT); mark("push from memory"); push(qword_ptr(rbx)));
    still(&mut p);
    p.expect(&[
        "#PF(write user) of 0x201ff8 at push",
        "0x202000",
        "#PF(write user) of 0x201ff8 at call",
        "0x202000",
        "#PF(write user) of 0x201ff8 at enter",
        "0x202000",
        "#PF(write user) of 0x201ff8 at pushfq",
        "0x202000",
        "#PF(user) of 0x201000 at pop",
        "0x201000",
        "#PF(user) of 0x201000 at ret",
        "0x201000",
        "#PF(user) of 0x201000 at leave",
        "0x201000",
        "#PF(present write user) of 0x202000 at pop to memory",
        "0xef00",
        "#PF(user) of 0x201000 at push from memory",
        "0xef00",
    ]);
}

#[test]
fn read_modify_write_instructions_fault_as_writes_before_they_change_a_register() {
    // 4.7: their error code has W/R set.
    let mut p = program();
    asm!(p;
        mov(ebx, PROTECTED);
        mov(eax, 5); mark("xchg"); xchg(dword_ptr(rbx), eax); land(); say_eax();
        mov(eax, 6); mark("xadd"); xadd(dword_ptr(rbx), eax); land(); say_eax();
        mark("inc"); inc(dword_ptr(rbx)); land();
        mark("bts"); bts(dword_ptr(rbx), 1); land();
        mark("not"); not(dword_ptr(rbx)); land();
        mark("shl"); shl(dword_ptr(rbx), 1); land();
        mov(eax, dword_ptr(rbx)); say_eax(); bt(dword_ptr(rbx), 1); say(1);
    );
    let fault = |place: &str| format!("#PF(present write user) of 0x202000 at {place}");
    let [xchg, xadd, inc, bts, not, shl] = ["xchg", "xadd", "inc", "bts", "not", "shl"].map(fault);
    p.expect(&[&xchg, "0x5", &xadd, "0x6", &inc, &bts, &not, &shl, "0x22222222", "0x1"]);
}

#[test]
fn a_compare_and_exchange_that_does_not_match_still_needs_to_write() {
    // SDM vol. 2, CMPXCHG: the destination gets a write cycle whatever the comparison says.
    let mut p = program();
    asm!(p;
        mov(ebx, PROTECTED); xor(eax, eax); mark("cmpxchg"); cmpxchg(dword_ptr(rbx), ecx); land(); say_eax();
        xor(eax, eax); xor(edx, edx); mark("cmpxchg8b"); cmpxchg8b(qword_ptr(rbx)); land(); say_eax();
    );
    p.expect(&[
        "#PF(present write user) of 0x202000 at cmpxchg",
        "0x0",
        "#PF(present write user) of 0x202000 at cmpxchg8b",
        "0x0",
    ]);
}

#[test]
fn a_write_across_pages_happens_on_both_or_on_neither() {
    let mut p = program();
    asm!(p;
        mov(ebx, ABSENT - 4); mark("store"); mov(qword_ptr(rbx), rbx); land();
        mov(eax, dword_ptr(ABSENT - 4)); say_eax();
    );
    p.expect(&["#PF(write user) of 0x201000 at store", "0x11111111"]);
}

#[test]
fn a_change_asks_for_the_right_to_write_before_it_reads() {
    // 4.7: W/R describes the access, which is one to write.
    let mut p = program().not_judged_by_tcg("it reads first");
    asm!(p; mov(ebx, ABSENT - 2); mark("add"); add(dword_ptr(rbx), 1));
    p.expect(&["#PF(write user) of 0x201000 at add"]);
}

#[test]
fn a_repeated_instruction_stops_at_the_element_that_faults() {
    // SDM vol. 2, REP: counter and indices tell which.
    let mut p = program();
    asm!(p; mov(esi, DATA_AREA as u32); mov(edi, ABSENT - 8); mov(ecx, 5); mark("movsd"));
    p.rep().movsd().unwrap();
    asm!(p; land(); mov(eax, ecx); say_eax(); mov(eax, edi); say_eax(); mov(eax, esi); say_eax());
    asm!(p; mov(esi, ABSENT - 4); mov(edi, DATA_AREA as u32); mov(ecx, 5); mark("source"));
    p.rep().movsd().unwrap();
    asm!(p; land(); mov(eax, ecx); say_eax(); mov(eax, edi); say_eax(); mov(eax, esi); say_eax());
    p.expect(&[
        "#PF(write user) of 0x201000 at movsd",
        "0x3",
        "0x201000",
        "0xc008",
        "#PF(user) of 0x201000 at source",
        "0x4",
        "0xc004",
        "0x201000",
    ]);
}

#[test]
fn a_division_that_faults_keeps_its_operands() {
    let mut p = program();
    asm!(p; mov(eax, 7); mov(edx, 9); mov(ecx, 1); mark("div"); div(ecx); land(); say_eax());
    p.expect(&["#DE at div", "0x7"]);
}

#[test]
fn a_far_call_that_cannot_push_does_not_change_segments() {
    let mut p = Program::protected().user();
    p.descriptor(FREE, crate::bench::descriptor::flat(0xfb));
    asm!(p; mov(esp, 4); mark("call"); call_far(FREE | 3, MORE); land(); mov(eax, cs); say_eax(); mov(eax, esp); say_eax());
    // The first word of the frame would lie at 0, the second below it: beyond the limit of what the stack segment becomes.
    p.descriptor(USER_DATA, crate::bench::descriptor::segment(0, 0xfff, 0xf7));
    let p = p.judged_by_kvm_instead(crate::bench::NO_LIMITS);
    p.expect(&["#SS(0x0) at call", "0x1b", "0x4"]);
}

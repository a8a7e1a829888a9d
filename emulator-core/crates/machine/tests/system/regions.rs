//! What compiled code takes together: functions on other pages, instructions across pages, records, jumps without a fixed target. Loops that
//! run long enough to be compiled, and then something changes under them (Intel SDM vol. 3, 4.10.4 and 11.6).

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const EVERYTHING: u64 = 7;
/// MOV EAX, imm32 and RET.
const MOV_EAX: u8 = 0xb8;
const RET: u8 = 0xc3;
const ROUNDS: u32 = 300;

fn returns(value: u8) -> [u8; 6] {
    [MOV_EAX, value, 0, 0, 0, RET]
}

/// Calls `function` again and again and reports the sum of what it returns.
fn sum_of_calls(p: &mut Program, function: u64) -> Result<(), IcedError> {
    let mut again = p.create_label();
    p.xor(ebx, ebx)?;
    p.mov(ecx, ROUNDS)?;
    p.set_label(&mut again)?;
    p.call(function)?;
    p.add(ebx, eax)?;
    p.dec(ecx)?;
    p.jnz(again)?;
    p.mov(eax, ebx)?;
    p.say_eax()
}

/// A function on [`PAGE`] that returns 1, called often; then `change`; then it is called as often again.
fn call_before_and_after(change: impl FnOnce(&mut Program) -> Result<(), IcedError>, expected: &[&str]) {
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    p.write(FRAME, &returns(1));
    p.write(OTHER_FRAME, &returns(2));
    sum_of_calls(&mut p, PAGE).expect("64-bit code");
    change(&mut p).expect("64-bit code");
    sum_of_calls(&mut p, PAGE).expect("64-bit code");
    p.expect(expected);
}

#[test]
fn a_called_function_changes_with_the_page_it_lies_in() {
    // 300 times 1, and 300 times 2.
    let by_invlpg = |p: &mut Program| {
        p.mov(qword_ptr(PAGES), (OTHER_FRAME | EVERYTHING) as i32)?;
        p.mov(edx, PAGE as u32)?;
        p.invlpg(byte_ptr(rdx))
    };
    call_before_and_after(by_invlpg, &["0x12c", "0x258"]);
    let by_cr3 = |p: &mut Program| {
        p.mov(qword_ptr(PAGES), (OTHER_FRAME | EVERYTHING) as i32)?;
        p.mov(rdx, cr3)?;
        p.mov(cr3, rdx)
    };
    call_before_and_after(by_cr3, &["0x12c", "0x258"]);
}

#[test]
fn a_called_function_changes_with_a_store_to_its_bytes() {
    let by_another_address = |p: &mut Program| p.mov(byte_ptr(FRAME + 1), 3);
    call_before_and_after(by_another_address, &["0x12c", "0x384"]);
    let by_its_own = |p: &mut Program| p.mov(byte_ptr(PAGE + 1), 3);
    call_before_and_after(by_its_own, &["0x12c", "0x384"]);
}

#[test]
fn a_called_function_faults_once_its_page_is_gone() {
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    p.write(FRAME, &returns(1));
    sum_of_calls(&mut p, PAGE).expect("64-bit code");
    asm!(p; mov(qword_ptr(PAGES), 0); mov(edx, PAGE as u32); invlpg(byte_ptr(rdx)); call(PAGE); land(); say(5));
    p.expect(&["0x12c", "#PF(fetch) of 0x200000 at 0x200000", "0x5"]);
}

#[test]
fn an_instruction_across_pages_changes_with_the_second() {
    // MOV EAX, 0x0101_0101 of which the last two bytes lie on the second page; then 0x0202_0101.
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    p.page(1, OTHER_FRAME | EVERYTHING);
    p.write(FRAME + 0xffd, &[MOV_EAX, 1, 1]);
    p.write(OTHER_FRAME, &[1, 1, RET]);
    p.write(DATA_AREA, &[2, 2, RET]);
    sum_of_calls(&mut p, PAGE + 0xffd).expect("64-bit code");
    asm!(p; mov(qword_ptr(PAGES + 8), (DATA_AREA | EVERYTHING) as i32); mov(edx, PAGE as u32 + 0x1000); invlpg(byte_ptr(rdx)));
    sum_of_calls(&mut p, PAGE + 0xffd).expect("64-bit code");
    p.expect(&["0x2d2d2d2c", "0x5a592d2c"]);
}

#[test]
fn a_record_across_pages_is_whole_and_faults_where_the_second_is_missing() {
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    p.page(1, DATA_AREA | EVERYTHING);
    let record = (PAGE + 0xff8) as u32;
    let mut again = p.create_label();
    asm!(p;
        mov(esi, record); mov(ecx, ROUNDS); set_label(&mut again);
        add(dword_ptr(rsi), ecx); mov(dword_ptr(rsi + 4), ecx); add(dword_ptr(rsi + 8), 2); mov(word_ptr(rsi + 14), cx);
        dec(ecx); jnz(again);
        mov(eax, dword_ptr(FRAME + 0xff8)); say_eax(); mov(eax, dword_ptr(FRAME + 0xffc)); say_eax();
        mov(eax, dword_ptr(DATA_AREA)); say_eax(); mov(eax, dword_ptr(DATA_AREA + 4)); say_eax();
        mov(qword_ptr(PAGES + 8), 0); mov(edx, PAGE as u32 + 0x1000); invlpg(byte_ptr(rdx));
        mov(dword_ptr(rsi), 7); mov(dword_ptr(rsi + 4), 8); mark("beyond"); mov(dword_ptr(rsi + 8), 9); land();
        mov(eax, dword_ptr(FRAME + 0xff8)); say_eax(); mov(eax, dword_ptr(FRAME + 0xffc)); say_eax();
    );
    p.expect(&["0xb05e", "0x1", "0x258", "0x10000", "#PF(write) of 0x201000 at beyond", "0x7", "0x8"]);
}

#[test]
fn a_function_that_does_not_come_back_to_its_caller_goes_where_it_says() {
    // Functions 0 and 1 return; every third time, function 2 drops its return address and goes on behind the loop's call by itself.
    let mut p = Program::long();
    let table = DATA_AREA;
    let functions = [MORE, MORE + 0x100, EVERY_THIRD];
    for (number, function) in (0..).zip(functions) {
        p.write64(table + 8 * number, function);
    }
    let mut again = p.create_label();
    let mut same = p.create_label();
    let mut behind = p.create_label();
    asm!(p;
        xor(ebx, ebx); xor(esi, esi); mov(ecx, ROUNDS); lea(rdi, qword_ptr(behind));
        set_label(&mut again); call(qword_ptr(rsi * 8 + table as i32)); add(ebx, eax);
        set_label(&mut behind); inc(esi); cmp(esi, 3); jne(same); xor(esi, esi); set_label(&mut same);
        dec(ecx); jnz(again);
        mov(eax, ebx); say_eax(); mov(rax, rsp); say_rax();
    );
    p.code(64, MORE);
    asm!(p; mov(eax, 1); ret());
    p.code(64, MORE + 0x100);
    asm!(p; mov(eax, 10); ret());
    p.code(64, EVERY_THIRD);
    asm!(p; add(rsp, 8); add(ebx, 100); jmp(rdi));
    p.expect(&["0x2b5c", &format!("{STACK:#x}")]);
}

/// Where the function lies that does not come back.
const EVERY_THIRD: u64 = EVEN_MORE;

//! Instructions that look at selectors without loading them (Intel SDM vol. 3, 5.10), and inner rings.

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{Program, asm};

/// Checks for which descriptor types, bits 4:0 of the access byte, `look` sets ZF.
fn shown(mut p: Program, look: fn(&mut Program), expected: &[u8]) {
    for kind in 0..32u8 {
        let descriptor = segment16(TASK, 0x67, 0x80 | level(kind, 3));
        asm!(p;
            mov(dword_ptr(GDT + u64::from(FREE)), descriptor as u32);
            mov(dword_ptr(GDT + u64::from(FREE) + 4), (descriptor >> 32) as u32);
            mov(eax, u32::from(FREE));
        );
        look(&mut p);
        let mut hidden = p.create_label();
        asm!(p; jne(hidden); say(u32::from(kind)); set_label(&mut hidden); nop());
    }
    let expected: Vec<String> = expected.iter().map(|kind| format!("{kind:#x}")).collect();
    p.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

fn code_and_data() -> Vec<u8> {
    (16..32).collect()
}

#[test]
fn lar_shows_code_data_and_the_system_types_of_its_table() {
    // SDM vol. 2, table 3-52.
    let look = |p: &mut Program| asm!(p; lar(ecx, eax));
    shown(Program::protected(), look, &[&[1, 2, 3, 4, 5, 9, 11, 12][..], &code_and_data()].concat());
    shown(
        Program::long().not_judged_by_tcg("it shows 16-bit types there too"),
        look,
        &[&[2, 9, 11, 12][..], &code_and_data()].concat(),
    );
}

#[test]
fn lsl_shows_what_has_a_limit() {
    // SDM vol. 2, table 3-54.
    let look = |p: &mut Program| asm!(p; lsl(ecx, eax));
    shown(Program::protected(), look, &[&[1, 2, 3, 9, 11][..], &code_and_data()].concat());
    shown(
        Program::long().not_judged_by_tcg("it shows 16-bit types there too"),
        look,
        &[&[2, 9, 11][..], &code_and_data()].concat(),
    );
}

#[test]
fn verr_and_verw_follow_the_type_field() {
    // 3.4.5.1, table 3-1: data is readable, code where its R bit is set; data is writable where W is.
    let readable: Vec<u8> = (16..32).filter(|kind| kind & 8 == 0 || kind & 2 != 0).collect();
    let writable: Vec<u8> = (16..24).filter(|kind| kind & 2 != 0).collect();
    shown(Program::protected(), |p| asm!(p; verr(ax)), &readable);
    shown(Program::protected(), |p| asm!(p; verw(ax)), &writable);
}

#[test]
fn a_selector_is_hidden_by_a_weaker_rpl_unless_it_is_of_conforming_code() {
    // 5.10.1 and 5.10.2.
    let mut p = Program::protected();
    p.descriptor(FREE, flat(CONFORMING));
    for selector in [DATA, DATA | 3, CODE32 | 3, FREE | 3, 0, 3, BEYOND] {
        asm!(p;
            mov(eax, u32::from(selector)); xor(ecx, ecx); lar(ecx, eax); setz(al); movzx(eax, al); say_eax();
        );
    }
    p.expect(&["0x1", "0x0", "0x0", "0x1", "0x0", "0x0", "0x0"]);
}

#[test]
fn rights_and_limits_come_as_the_descriptor_has_them() {
    // SDM vol. 2, LAR and LSL: a limit in pages is given in bytes.
    let mut p = Program::protected();
    p.descriptor(FREE, 0x1234 | u64::from(READ_WRITE) << 40 | 1 << 55 | 1 << 52);
    asm!(p;
        mov(eax, u32::from(FREE)); lar(eax, eax); say_eax();
        mov(eax, u32::from(FREE)); lsl(eax, eax); say_eax();
        mov(eax, u32::from(FREE)); mov(ecx, -1); lar(cx, ax); mov(eax, ecx); say_eax();
    );
    p.expect(&["0x909300", "0x1234fff", "0xffff9300"]);
}

#[test]
fn ring_1_is_supervisor_to_paging_and_weaker_than_ring_0_to_everything_else() {
    // 4.6 and 5.9.
    const CODE1: u16 = 0xa1;
    const DATA1: u16 = 0xa9;
    let mut p = Program::protected();
    p.descriptor(CODE1, flat(level(CODE, 1)));
    p.descriptor(DATA1, flat(level(READ_WRITE, 1)));
    p.write32(LEGACY_IDENTITY + (DATA_AREA >> 12) * 4, (DATA_AREA | 3) as u32);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        mov(eax, LEGACY_DIRECTORY as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, 0x8000_0000u32); mov(cr0, eax);
        push(i32::from(DATA1)); push(USER_STACK as i32); push(i32::from(CODE1)); push(MORE as i32); retf();
    );
    p.code(32, MORE);
    asm!(p;
        mov(eax, ds); say_eax(); mov(eax, u32::from(DATA1)); mov(ds, eax);
        mov(eax, dword_ptr(DATA_AREA)); say_eax(); mov(eax, ss); say_eax();
        mark("privileged"); hlt(); land();
        mov(eax, u32::from(DATA)); mark("level 0 data"); mov(es, eax);
    );
    p.expect(&["0x0", "0xabcd", "0xa9", "#GP(0x0) at privileged", "#GP(0x10) at level 0 data"]);
}

#[test]
fn a_far_call_with_the_other_operand_size_pushes_words() {
    // SDM vol. 2, CALL: the operand size, not the segment, decides.
    let mut p = Program::protected();
    asm!(p; db(&[0x66, 0x9a, 0, 0x90, 0x08, 0]); mark("back"); mov(eax, esp); say_eax());
    p.code(32, MORE);
    asm!(p; mov(eax, esp); say_eax(); movzx(eax, word_ptr(esp)); say_eax(); movzx(eax, word_ptr(esp + 2)); say_eax());
    asm!(p; db(&[0x66, 0xcb]));
    p.expect(&["0xeefc", "0x7006", "0x8", "0xef00"]);
}

#[test]
fn a_load_that_faults_changes_neither_selector_nor_offset() {
    // SDM vol. 2, LDS: the register is written when everything is known to be right.
    let mut p = Program::protected();
    p.descriptor(FREE, flat(absent(READ_WRITE)));
    p.write32(DATA_AREA, 0x1234);
    p.write16(DATA_AREA + 4, FREE);
    asm!(p;
        mov(ecx, 7); mark("les"); les(ecx, fword_ptr(DATA_AREA)); land(); mov(eax, ecx); say_eax();
        mov(eax, es); say_eax();
        push(i32::from(FREE)); mov(ebx, esp); mark("pop"); pop(es); land(); sub(ebx, esp); mov(eax, ebx); say_eax();
    );
    p.expect(&["#NP(0x78) at les", "0x7", "0x10", "#NP(0x78) at pop", "0x0"]);
}

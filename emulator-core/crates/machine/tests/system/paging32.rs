//! 32-bit and PAE paging (Intel SDM vol. 3, 4.3 and 4.4).

use iced_x86::code_asm::*;

use crate::bench::map::*;
use crate::bench::{Program, asm};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const EVERYTHING: u64 = PRESENT | WRITABLE | USER;
const CR0_PG: u32 = 1 << 31;
const CR4_PSE: u32 = 1 << 4;
const CR4_PAE: u32 = 1 << 5;
const CR4_SMEP: u32 = 1 << 20;
/// Why QEMU's interpreter is not asked about reserved bits.
const NO_PRESENT: &str = "it leaves P clear where RSVD is set";
const PAE_PAGE: u32 = PAGE as u32;
const PAGE32: u32 = LEGACY_PAGE as u32;

/// Switches paging on with `root` and `cr4`.
fn with_paging(root: u64, cr4_bits: u32) -> Program {
    let mut p = Program::protected();
    asm!(p;
        mov(eax, cr4_bits); mov(cr4, eax); mov(eax, root as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, CR0_PG); mov(cr0, eax);
    );
    p
}

fn legacy(cr4_bits: u32) -> Program {
    with_paging(LEGACY_DIRECTORY, cr4_bits)
}

fn pae() -> Program {
    with_paging(PAE_POINTERS, CR4_PAE)
}

#[test]
fn two_levels_of_32_bit_entries_translate_and_fault() {
    // 4.3 and 4.7. There is no execute-disable bit, and fetches are not told apart.
    let mut p = legacy(0);
    p.write32(PAGES, (FRAME | EVERYTHING) as u32);
    p.write32(FRAME, 0xabcd);
    asm!(p;
        mov(eax, dword_ptr(PAGE32)); say_eax(); mov(eax, dword_ptr(PAGES)); say_eax();
        mov(dword_ptr(PAGE32), eax); mov(eax, dword_ptr(PAGES)); say_eax();
        mark("read"); mov(eax, dword_ptr(PAGE32 + 0x1000)); land();
        mark("write"); mov(dword_ptr(PAGE32 + 0x1000), eax); land();
        mark("no table"); mov(eax, dword_ptr(0x80_0000)); land();
        mov(ebx, PAGE32 + 0x1000); jmp(ebx);
    );
    p.expect(&[
        "0xabcd",
        "0x18027",
        "0x18067",
        "#PF() of 0x401000 at read",
        "#PF(write) of 0x401000 at write",
        "#PF() of 0x800000 at no table",
        "#PF() of 0x401000 at 0x401000",
    ]);
}

#[test]
fn smep_tells_fetches_apart_in_32_bit_paging_too() {
    // 4.7: bit 4 with CR4.SMEP. The program's own pages are the supervisor's.
    let mut p = Program::protected();
    for page in 0..512 {
        p.write32(LEGACY_IDENTITY + page * 4, (page << 12 | PRESENT | WRITABLE) as u32);
    }
    p.write32(PAGES, (FRAME | EVERYTHING) as u32);
    asm!(p;
        mov(eax, CR4_SMEP); mov(cr4, eax); mov(eax, LEGACY_DIRECTORY as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, CR0_PG); mov(cr0, eax);
        mov(ebx, PAGE32); jmp(ebx);
    );
    p.expect(&["#PF(present fetch) of 0x400000 at 0x400000"]);
}

#[test]
fn directory_and_table_must_both_grant_a_right_of_32_bit_paging() {
    // 4.6.1.
    for (directory, table) in [(EVERYTHING & !WRITABLE, EVERYTHING), (EVERYTHING, EVERYTHING & !WRITABLE)] {
        let mut p = legacy(0);
        p.write32(LEGACY_DIRECTORY + 4, (PAGES | directory) as u32);
        p.write32(PAGES, (FRAME | table) as u32);
        asm!(p;
            mov(dword_ptr(PAGE32), 5); mov(eax, dword_ptr(FRAME)); say_eax();
            mov(eax, cr0); or(eax, 0x1_0000); mov(cr0, eax); mark("write"); mov(dword_ptr(PAGE32), 6);
        );
        p.expect(&["0x5", "#PF(present write) of 0x400000 at write"]);
    }
}

#[test]
fn pages_of_4_mib_need_cr4_pse() {
    // 4.3, table 4-4. Without it bit 7 is ignored and the entry leads to a table.
    let entry = |p: &mut Program| p.write32(LEGACY_DIRECTORY + 4, (EVERYTHING | LARGE) as u32);
    let mut p = legacy(CR4_PSE);
    entry(&mut p);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p; mov(eax, dword_ptr(PAGE32 + DATA_AREA as u32)); say_eax());
    asm!(p; mov(eax, dword_ptr(LEGACY_DIRECTORY + 4)); say_eax());
    p.expect(&["0xabcd", "0xa7"]);
    let mut p = legacy(0);
    entry(&mut p);
    // Its table is page 0, whose first entry is the vector of real mode's #DE.
    p.write32(0, (FRAME | EVERYTHING) as u32);
    p.write32(FRAME, 0x1234);
    asm!(p; mov(eax, dword_ptr(PAGE32)); say_eax());
    p.expect(&["0x1234"]);
}

#[test]
fn pages_of_4_mib_may_lie_above_4_gib() {
    // 4.3: PSE-36. Above 4 GiB there is nothing here that could answer, so the write is lost.
    let mut p = legacy(CR4_PSE);
    p.write32(LEGACY_DIRECTORY + 4, (EVERYTHING | LARGE | 1 << 13) as u32);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        mov(dword_ptr(PAGE32 + DATA_AREA as u32), 5); mov(eax, dword_ptr(DATA_AREA)); say_eax();
    );
    p.expect(&["0xabcd"]);
}

#[test]
fn bit_21_of_a_4_mib_page_is_reserved() {
    // Table 4-4.
    let mut p = legacy(CR4_PSE).not_judged_by_tcg(NO_PRESENT);
    p.write32(LEGACY_DIRECTORY + 4, (EVERYTHING | LARGE | 1 << 21) as u32);
    asm!(p; mark("read"); mov(eax, dword_ptr(PAGE32)));
    p.expect(&["#PF(present reserved) of 0x400000 at read"]);
}

#[test]
fn pae_paging_has_four_pointers_that_are_loaded_with_cr3() {
    // 4.4.1.
    let mut p = pae();
    p.page(0, FRAME | EVERYTHING);
    p.write32(FRAME, 0xabcd);
    asm!(p;
        mov(eax, dword_ptr(PAE_PAGE)); say_eax();
        mark("absent pointer"); mov(eax, dword_ptr(0x4000_0000)); land();
        mov(dword_ptr(PAE_POINTERS + 8), (DIRECTORY | PRESENT) as u32);
        mark("still absent"); mov(eax, dword_ptr(0x4000_0000 + PAE_PAGE)); land();
        mov(eax, cr3); mov(cr3, eax); mov(eax, dword_ptr(0x4000_0000 + PAE_PAGE)); say_eax();
    );
    let p = p.not_judged_by_tcg("it reads the pointers on every walk");
    p.expect(&["0xabcd", "#PF() of 0x40000000 at absent pointer", "#PF() of 0x40200000 at still absent", "0xabcd"]);
}

#[test]
fn reserved_bits_of_a_pae_pointer_are_refused_when_cr3_is_loaded() {
    // 4.4.1: R/W and U/S are among them.
    let mut p = pae();
    for (place, entry) in [("writable", DIRECTORY | 3), ("user", DIRECTORY | 5), ("address", DIRECTORY | 1 | 1 << 51)] {
        asm!(p;
            mov(dword_ptr(PAE_POINTERS + 8), entry as u32); mov(dword_ptr(PAE_POINTERS + 12), (entry >> 32) as u32);
            mov(eax, cr3); mark(place); mov(cr3, eax); land();
        );
    }
    asm!(p; mov(dword_ptr(PAE_POINTERS + 8), !1); mov(cr3, eax); say(1));
    let p = p.not_judged_by_tcg("it does not look at the pointers then");
    p.expect(&["#GP(0x0) at writable", "#GP(0x0) at user", "#GP(0x0) at address", "0x1"]);
}

#[test]
fn pae_entries_know_no_execute_large_pages_and_reserved_bits() {
    // Tables 4-9 to 4-11. Bits 62:52 are reserved, other than in 64-bit mode.
    let mut p = Program::protected().not_judged_by_tcg(NO_PRESENT);
    p.page(0, FRAME | EVERYTHING | NO_EXECUTE);
    p.page(1, FRAME | EVERYTHING | 1 << 52);
    p.page(2, FRAME | EVERYTHING | 1 << 51);
    p.write64(DIRECTORY + 16, EVERYTHING | LARGE);
    p.write64(DIRECTORY + 24, EVERYTHING | LARGE | 1 << 13);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        mov(ecx, 0xc000_0080u32); mov(eax, 0x800); xor(edx, edx); wrmsr();
        mov(eax, CR4_PAE); mov(cr4, eax); mov(eax, PAE_POINTERS as u32); mov(cr3, eax);
        mov(eax, cr0); or(eax, CR0_PG); mov(cr0, eax);
        mov(eax, dword_ptr(0x40_0000 + DATA_AREA)); say_eax();
        mov(ebx, PAE_PAGE); call(ebx); land();
        mark("bit 52"); mov(eax, dword_ptr(PAE_PAGE + 0x1000)); land();
        mark("bit 51"); mov(eax, dword_ptr(PAE_PAGE + 0x2000)); land();
        mark("large"); mov(eax, dword_ptr(0x60_0000)); land();
    );
    p.expect(&[
        "0xabcd",
        "#PF(present fetch) of 0x200000 at 0x200000",
        "#PF(present reserved) of 0x201000 at bit 52",
        "#PF(present reserved) of 0x202000 at bit 51",
        "#PF(present reserved) of 0x600000 at large",
    ]);
}

#[test]
fn linear_addresses_wrap_at_4_gib() {
    // SDM vol. 1, 3.3.7 and 4.4: a base and an offset add up modulo 4 GiB.
    let mut p = legacy(0);
    p.write32(PAGES, (FRAME | EVERYTHING) as u32);
    p.descriptor(FREE, crate::bench::descriptor::segment(0xffff_f000, 0xffff_ffff, 0x93));
    p.write32(DATA_AREA, 0xabcd);
    asm!(p; mov(eax, u32::from(FREE)); mov(es, eax); mov(eax, dword_ptr(DATA_AREA + 0x1000).es()); say_eax());
    p.expect(&["0xabcd"]);
}

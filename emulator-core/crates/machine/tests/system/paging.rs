//! Paging of 64-bit mode (Intel SDM vol. 3, chapter 4).

use iced_x86::code_asm::*;

use crate::bench::descriptor::*;
use crate::bench::map::*;
use crate::bench::{Program, asm};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const EVERYTHING: u64 = PRESENT | WRITABLE | USER;
const CR0_WP: u32 = 1 << 16;
const CR4_PGE: u32 = 1 << 7;
const CR4_PCIDE: u32 = 1 << 17;
const CR4_SMEP: u32 = 1 << 20;
const CR4_SMAP: u32 = 1 << 21;
const EFLAGS_AC: i32 = 1 << 18;
const PAGE32: u32 = PAGE as u32;
const RET: u8 = 0xc3;
/// Why QEMU's interpreter is not asked about reserved bits.
const NO_PRESENT: &str = "it leaves P clear where RSVD is set";

fn set_cr4(p: &mut Program, bits: u32) {
    asm!(p; mov(rax, cr4); or(eax, bits); mov(cr4, rax));
}

/// Reads `at`, writes a `RET` there and calls it. What is expected of each is the words of a page fault's error code, or
/// nothing.
fn try_everything(mut p: Program, at: u64, expected: [Option<&str>; 3]) {
    let [read, write, fetch] = expected;
    let mut report = Vec::new();
    let mut fault = |p: &mut Program, error: Option<&str>, place: &str| {
        if let Some(error) = error {
            asm!(p; land());
            report.push(format!("#PF({error}) of {at:#x} at {place}"));
        }
    };
    asm!(p; mov(rbx, at); mark("read"); mov(eax, dword_ptr(rbx)));
    fault(&mut p, read, "read");
    asm!(p; mark("write"); mov(byte_ptr(rbx), i32::from(RET)));
    fault(&mut p, write, "write");
    asm!(p; call(rbx));
    fault(&mut p, fetch, &format!("{at:#x}"));
    asm!(p; say(1));
    report.push("0x1".to_owned());
    p.expect(&report.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_page_that_is_not_there_faults_with_the_kind_of_access() {
    // 4.7, figure 4-12.
    try_everything(Program::long(), PAGE, [Some(""), Some("write"), Some("fetch")]);
    try_everything(Program::long().user(), PAGE, [Some("user"), Some("write user"), Some("user fetch")]);
}

/// What user code may do with a page of these rights (4.6.1).
const RIGHTS: [(u64, [Option<&str>; 3]); 4] = [
    (EVERYTHING, [None, None, None]),
    (EVERYTHING & !WRITABLE, [None, Some("present write user"), None]),
    (EVERYTHING & !USER, [Some("present user"), Some("present write user"), Some("present user fetch")]),
    (EVERYTHING | NO_EXECUTE, [None, None, Some("present user fetch")]),
];

#[test]
fn every_level_of_the_tables_must_grant_a_right_to_user_code() {
    // 4.6.1. Entry 1 of each table leads on as entry 0 does.
    let levels = [(PML4, PDPT, 1 << 39), (PDPT, DIRECTORY, 1 << 30), (DIRECTORY, PAGES, 0), (PAGES, FRAME, 0)];
    for (table, below, offset) in levels {
        for (rights, expected) in RIGHTS {
            let mut p = Program::long().user();
            p.page(0, FRAME | EVERYTHING);
            p.write(FRAME, &[RET]);
            let entry = if table == PAGES { PAGES } else { table + 8 };
            p.write64(entry, below | rights);
            try_everything(p, offset + PAGE, expected);
        }
    }
}

#[test]
fn the_supervisor_writes_to_read_only_pages_until_cr0_wp_is_set() {
    // 4.6.1.
    let mut p = Program::long();
    p.page(0, FRAME | PRESENT | USER);
    asm!(p;
        mov(ebx, PAGE32); mov(dword_ptr(rbx), 5); mov(eax, dword_ptr(FRAME)); say_eax();
        mov(rax, cr0); or(eax, CR0_WP); mov(cr0, rax);
        mark("write"); mov(dword_ptr(rbx), 6); land();
        mark("read-modify-write"); add(dword_ptr(rbx), 6); land();
        mov(eax, dword_ptr(FRAME)); say_eax();
    );
    p.expect(&[
        "0x5",
        "#PF(present write) of 0x200000 at write",
        "#PF(present write) of 0x200000 at read-modify-write",
        "0x5",
    ]);
}

#[test]
fn smep_keeps_the_supervisor_from_fetching_user_pages() {
    // 4.6.1. Its own code must lie in supervisor pages.
    let mut p = Program::long();
    supervisor_pages(&mut p);
    p.page(0, FRAME | EVERYTHING);
    p.write(FRAME, &[RET]);
    asm!(p; mov(ebx, PAGE32); call(rbx); say(1));
    set_cr4(&mut p, CR4_SMEP);
    asm!(p; call(rbx));
    p.expect(&["0x1", "#PF(present fetch) of 0x200000 at 0x200000"]);
}

/// Takes the U/S bit from the pages programs lie in.
fn supervisor_pages(p: &mut Program) {
    for page in 0..512 {
        p.write64(IDENTITY + page * 8, page << 12 | PRESENT | WRITABLE);
    }
}

#[test]
fn smap_keeps_the_supervisor_from_user_data_but_for_eflags_ac() {
    // 4.6.1.
    let mut p = Program::long();
    supervisor_pages(&mut p);
    p.page(0, FRAME | EVERYTHING);
    set_cr4(&mut p, CR4_SMAP);
    asm!(p;
        mov(ebx, PAGE32); mark("read"); mov(eax, dword_ptr(rbx)); land();
        mark("write"); mov(dword_ptr(rbx), eax); land();
        stac(); mov(dword_ptr(rbx), 7); mov(eax, dword_ptr(rbx)); say_eax();
        clac(); mark("after CLAC"); mov(eax, dword_ptr(rbx)); land();
        pushfq(); or(dword_ptr(rsp), EFLAGS_AC); popfq(); mov(eax, dword_ptr(rbx)); say_eax();
    );
    p.expect(&[
        "#PF(present) of 0x200000 at read",
        "#PF(present write) of 0x200000 at write",
        "0x7",
        "#PF(present) of 0x200000 at after CLAC",
        "0x7",
    ]);
}

#[test]
fn smap_concerns_reads_of_system_tables_whatever_eflags_ac_says() {
    // 4.6.1: implicit supervisor accesses.
    let mut p = Program::long();
    supervisor_pages(&mut p);
    p.page(0, GDT | EVERYTHING);
    p.write16(GDTR, GDT_LIMIT);
    p.write16(DATA_AREA, GDT_LIMIT);
    p.write64(DATA_AREA + 2, PAGE);
    set_cr4(&mut p, CR4_SMAP);
    asm!(p;
        stac(); lgdt(ptr(DATA_AREA)); mov(eax, u32::from(DATA)); mark("load"); mov(es, eax); land();
        lgdt(ptr(GDTR)); say(1);
    );
    // The handler's own gate leads to a selector, which is looked up through the same table.
    let p = p.not_judged_by_tcg("it does not check implicit accesses");
    p.expect(&["shutdown"]);
}

#[test]
fn user_code_reaches_system_tables_in_supervisor_pages_through_selectors_only() {
    // 4.6.1: implicit accesses are supervisor-mode accesses.
    let mut p = Program::long().user();
    p.write64(IDENTITY + (GDT >> 12) * 8, GDT | PRESENT | WRITABLE);
    asm!(p; mov(eax, u32::from(USER_DATA)); mov(es, eax); say(1); mark("read"); mov(eax, dword_ptr(GDT)));
    p.expect(&["0x1", "#PF(present user) of 0x1000 at read"]);
}

#[test]
fn reserved_bits_fault_in_every_level() {
    // 4.7 and tables 4-15 to 4-20. Bit 51 is beyond any processor's physical addresses but those with 52 bits.
    const LINEAR: u64 = (1 << 39) + (1 << 30) + PAGE;
    let cases = [
        (PML4 + 8, PDPT | EVERYTHING | LARGE),
        (PML4 + 8, PDPT | EVERYTHING | 1 << 51),
        (PDPT + 8, DIRECTORY | EVERYTHING | 1 << 51),
        (DIRECTORY + 8, PAGES | EVERYTHING | 1 << 51),
        (DIRECTORY + 8, PAGE | EVERYTHING | LARGE | 1 << 13),
        (DIRECTORY + 8, PAGE | EVERYTHING | LARGE | 1 << 20),
        (PAGES, FRAME | EVERYTHING | 1 << 51),
    ];
    for (place, entry) in cases {
        let mut p = Program::long().not_judged_by_tcg(NO_PRESENT);
        p.write64(PML4 + 8, PDPT | EVERYTHING);
        p.write64(PDPT + 8, DIRECTORY | EVERYTHING);
        p.page(0, FRAME | EVERYTHING);
        p.write64(place, entry);
        asm!(p; mov(rbx, LINEAR); mark("read"); mov(eax, dword_ptr(rbx)); land(); mark("write"); mov(dword_ptr(rbx), eax));
        let read = format!("#PF(present reserved) of {LINEAR:#x} at read");
        let write = format!("#PF(present write reserved) of {LINEAR:#x} at write");
        p.expect(&[&read, &write]);
    }
}

#[test]
fn the_no_execute_bit_is_reserved_while_efer_nxe_is_clear() {
    // Table 4-20.
    let mut p = Program::long().not_judged_by_tcg(NO_PRESENT);
    p.page(0, FRAME | EVERYTHING | NO_EXECUTE);
    asm!(p;
        mov(ecx, 0xc000_0080u32); rdmsr(); and(eax, !0x800); wrmsr();
        mov(ebx, PAGE32); mark("read"); mov(eax, dword_ptr(rbx));
    );
    p.expect(&["#PF(present reserved) of 0x200000 at read"]);
}

#[test]
fn an_entry_that_is_not_present_has_no_reserved_bits() {
    // 4.7: P clear is looked at first.
    let mut p = Program::long();
    p.page(0, !PRESENT);
    asm!(p; mov(ebx, PAGE32); mark("read"); mov(eax, dword_ptr(rbx)));
    p.expect(&["#PF() of 0x200000 at read"]);
}

#[test]
fn reads_mark_entries_accessed_and_writes_mark_the_last_one_dirty() {
    // 4.8.
    let mut p = Program::long();
    p.write64(DIRECTORY + 8, PAGES | EVERYTHING);
    p.page(0, FRAME | EVERYTHING);
    p.page(1, FRAME | PRESENT | USER);
    let entry = |p: &mut Program, place: u64| {
        asm!(p; mov(eax, dword_ptr(place)); and(eax, (ACCESSED | DIRTY) as i32); say_eax());
    };
    asm!(p; mov(ebx, PAGE32); mov(eax, dword_ptr(rbx)));
    entry(&mut p, DIRECTORY + 8);
    entry(&mut p, PAGES);
    asm!(p; mov(dword_ptr(rbx), eax));
    entry(&mut p, DIRECTORY + 8);
    entry(&mut p, PAGES);
    asm!(p; mov(rax, cr0); or(eax, CR0_WP); mov(cr0, rax); mark("refused"); mov(dword_ptr(rbx + 0x1000), eax); land());
    asm!(p; mov(eax, dword_ptr(PAGES + 8)); and(eax, DIRTY as i32); say_eax());
    p.expect(&["0x20", "0x20", "0x20", "0x60", "#PF(present write) of 0x201000 at refused", "0x0"]);
}

#[test]
fn large_pages_translate_21_bits_and_carry_their_own_dirty_bit() {
    // 4.5, table 4-18.
    let mut p = Program::long();
    p.write64(DIRECTORY + 8, EVERYTHING | LARGE);
    p.write32(DATA_AREA, 0xabcd);
    asm!(p;
        mov(ebx, PAGE32 + DATA_AREA as u32); mov(eax, dword_ptr(rbx)); say_eax();
        mov(eax, dword_ptr(DIRECTORY + 8)); say_eax();
        mov(dword_ptr(rbx), 0x1234); mov(eax, dword_ptr(DATA_AREA)); say_eax();
        mov(eax, dword_ptr(DIRECTORY + 8)); say_eax();
    );
    p.expect(&["0xabcd", "0xa7", "0x1234", "0xe7"]);
}

#[test]
fn an_access_across_pages_reports_the_page_that_faults() {
    // 4.7: CR2 has the linear address that caused the fault.
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    p.page(2, FRAME | EVERYTHING);
    p.write(FRAME + 0xffe, &[0x34, 0x12]);
    asm!(p;
        mov(ebx, PAGE32); mark("second"); mov(eax, dword_ptr(rbx + 0xffe)); land();
        mark("store"); mov(dword_ptr(rbx + 0xffe), eax); land();
        mark("first"); mov(eax, dword_ptr(rbx + 0x1ffe)); land();
        movzx(eax, word_ptr(rbx + 0xffe)); say_eax();
    );
    p.expect(&[
        "#PF() of 0x201000 at second",
        "#PF(write) of 0x201000 at store",
        "#PF() of 0x201ffe at first",
        "0x1234",
    ]);
}

#[test]
fn an_instruction_across_pages_faults_at_its_start_with_the_second_page_in_cr2() {
    // 4.7; 6.15, interrupt 14: the saved RIP is that of the instruction.
    let mut p = Program::long();
    p.page(0, FRAME | EVERYTHING);
    // MOV EAX, imm32.
    p.write(FRAME + 0xffd, &[0xb8, 1, 2]);
    asm!(p; mov(ebx, PAGE32 + 0xffd); jmp(rbx));
    p.expect(&["#PF(fetch) of 0x201000 at 0x200ffd"]);
}

#[test]
fn a_translation_changes_when_invlpg_a_load_of_cr3_or_of_cr4_pge_says_so() {
    // 4.10.4.1.
    for global in [0, GLOBAL] {
        for way in ["invlpg", "cr3", "pge"] {
            if way == "cr3" && global != 0 {
                continue;
            }
            let mut p = Program::long();
            p.page(0, FRAME | EVERYTHING | global);
            p.write32(FRAME, 0x1111);
            p.write32(OTHER_FRAME, 0x2222);
            set_cr4(&mut p, CR4_PGE);
            asm!(p;
                mov(ebx, PAGE32); mov(eax, dword_ptr(rbx)); say_eax();
                mov(dword_ptr(PAGES), (OTHER_FRAME | EVERYTHING | global) as u32);
            );
            match way {
                "invlpg" => asm!(p; invlpg(byte_ptr(rbx + 0x123))),
                "cr3" => asm!(p; mov(rax, cr3); mov(cr3, rax)),
                _ => asm!(p; mov(rax, cr4); xor(eax, CR4_PGE); mov(cr4, rax)),
            }
            asm!(p; mov(eax, dword_ptr(rbx)); say_eax());
            p.expect(&["0x1111", "0x2222"]);
        }
    }
}

#[test]
fn more_rights_need_no_invalidation() {
    // 4.10.4.3: the fault of a stale translation is looked at in the tables again.
    let mut p = Program::long();
    p.page(0, FRAME | PRESENT | USER);
    asm!(p;
        mov(rax, cr0); or(eax, CR0_WP); mov(cr0, rax);
        mov(ebx, PAGE32); mov(eax, dword_ptr(rbx));
        or(dword_ptr(PAGES), WRITABLE as i32); mov(dword_ptr(rbx), 7); mov(eax, dword_ptr(FRAME)); say_eax();
    );
    p.expect(&["0x7"]);
}

#[test]
fn invlpg_is_for_level_0_and_takes_any_address() {
    // SDM vol. 2, INVLPG.
    let mut p = Program::long();
    asm!(p; mov(rbx, 1u64 << 47); invlpg(byte_ptr(rbx)); say(1));
    p.expect(&["0x1"]);
    let mut p = Program::long().user();
    asm!(p; mark("user"); invlpg(byte_ptr(rbx)));
    p.expect(&["#GP(0x0) at user"]);
}

#[test]
fn what_another_address_space_has_invalidated_is_looked_up_again() {
    // 4.10.4.1.
    for way in ["cr3", "invlpg", "pge"] {
        let p = Program::long();
        let mut p = if way == "cr3" { p } else { p.not_judged_by_tcg("it takes bit 63 of CR3 for one of an address") };
        p.page(0, FRAME | EVERYTHING);
        p.write32(FRAME, 0x1111);
        p.write32(OTHER_FRAME, 0x2222);
        set_cr4(&mut p, CR4_PGE | CR4_PCIDE);
        asm!(p;
            mov(ebx, PAGE32); mov(eax, dword_ptr(rbx)); say_eax();
            mov(eax, PML4 as u32 | 5); mov(cr3, rax); mov(ecx, dword_ptr(rbx));
            mov(dword_ptr(PAGES), (OTHER_FRAME | EVERYTHING) as u32);
        );
        match way {
            "cr3" => asm!(p; mov(eax, PML4 as u32); mov(cr3, rax)),
            "invlpg" => asm!(p; mov(rax, PML4 | 1 << 63); mov(cr3, rax); invlpg(byte_ptr(rbx))),
            _ => asm!(p;
                mov(rax, cr4); xor(eax, CR4_PGE); mov(cr4, rax); mov(rax, PML4 | 1 << 63); mov(cr3, rax)
            ),
        }
        asm!(p; mov(eax, dword_ptr(rbx)); say_eax());
        p.expect(&["0x1111", "0x2222"]);
    }
}

#[test]
fn process_context_identifiers_are_switched_on_with_a_zero_one_and_keep_paging_on() {
    // 4.10.1; SDM vol. 2, MOV to control register.
    let mut p = Program::long().not_judged_by_tcg("it does not look at CR3");
    asm!(p;
        mov(eax, PML4 as u32 | 0x18); mov(cr3, rax);
        mov(rbx, cr4); or(ebx, CR4_PCIDE); mark("with a PCID"); mov(cr4, rbx); land();
        mov(eax, PML4 as u32); mov(cr3, rax); mov(cr4, rbx); say(1);
        mov(rax, PML4 | 5 | 1 << 63); mov(cr3, rax); mov(rax, cr3); say_rax();
        mov(rax, PML4 | 1 << 52); mark("reserved"); mov(cr3, rax);
    );
    p.expect(&["#GP(0x0) at with a PCID", "0x1", "0x10005", "#GP(0x0) at reserved"]);
    let mut p = Program::protected().not_judged_by_tcg("it looks at the mode when paging is switched on");
    asm!(p; mov(eax, CR4_PCIDE); mark("outside IA-32e mode"); mov(cr4, eax));
    p.expect(&["#GP(0x0) at outside IA-32e mode"]);
}

#[test]
fn the_stack_of_a_handler_can_fault_as_well() {
    // Table 6-5: a page fault while delivering one is a double fault, which has a stack of its own here.
    let mut p = Program::long().user();
    let handler = p.handler(8);
    p.gate(8, gate(CODE64, handler, INTERRUPT_GATE32, 1));
    p.write64(TSS + 0x24, STACK);
    p.write64(TSS + 4, PAGE + 0x1000);
    asm!(p; mov(ebx, PAGE32 + 0x5000); mark("read"); mov(eax, dword_ptr(rbx)));
    p.showing(|e| format!("CR2 {:#x}", e.cr2)).expect(&["#DF(0x0) at read: CR2 0x200ff8"]);
}

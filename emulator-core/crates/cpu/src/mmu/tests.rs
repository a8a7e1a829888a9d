//! Paging, against chapter 4 of the manual's volume 3. Page tables are built by hand in the test machine's memory.

use crate::state::control::*;
use crate::state::eflags;
use crate::testing::*;

const RAX: usize = 0;
const RSP: usize = 4;
/// Last-level table the tests put under 2 MiB + 0.
const TABLE: u64 = 0xc000;
/// A linear address mapped through [`TABLE`].
const PAGE: u64 = 0x20_0000;
/// mov [PAGE], eax, with a 32-bit absolute address (64-bit code: SIB without base).
const STORE64: [u8; 7] = [0x89, 0x04, 0x25, 0, 0, 0x20, 0];
/// mov eax, [PAGE]
const LOAD64: [u8; 7] = [0x8b, 0x04, 0x25, 0, 0, 0x20, 0];

/// A 64-bit machine whose second 2 MiB are mapped by `TABLE`, with `entry` for its first page.
fn long_with_page(program: &[u8], entry: u64) -> Machine {
    let mut machine = Machine::long(program);
    machine.write(PAGE_TABLES + 0x2008, &(TABLE | 7).to_le_bytes());
    machine.write(TABLE, &entry.to_le_bytes());
    machine
}

fn change(machine: &mut Machine, change: impl FnOnce(&mut crate::State)) {
    change(&mut machine.cpu.state);
    machine.cpu.state_changed();
}

/// Runs to a page fault: its error code and CR2.
fn page_fault(machine: &mut Machine) -> (u64, u64) {
    assert_eq!(machine.run_to_vector(), 14);
    let code = machine.read64(machine.reg(RSP));
    (code, machine.cpu.state.cr2)
}

#[test]
fn a_page_that_is_not_present_faults_with_the_kind_of_access() {
    assert_eq!(page_fault(&mut long_with_page(&LOAD64, 0)), (0, PAGE));
    assert_eq!(page_fault(&mut long_with_page(&STORE64, 0)), (2, PAGE));
    assert_eq!(page_fault(&mut long_with_page(&LOAD64, 0).user()), (4, PAGE));
    assert_eq!(page_fault(&mut long_with_page(&STORE64, 0).user()), (6, PAGE));
}

#[test]
fn user_mode_is_kept_from_supervisor_pages_and_read_only_ones() {
    assert_eq!(page_fault(&mut long_with_page(&LOAD64, 0x5003).user()), (5, PAGE));
    assert_eq!(page_fault(&mut long_with_page(&STORE64, 0x5005).user()), (7, PAGE));
}

#[test]
fn the_supervisor_may_write_read_only_pages_until_cr0_wp_is_set() {
    let program = [&STORE64[..], &[0xf4]].concat();
    let mut machine = long_with_page(&program, 0x5001);
    machine.set_reg(RAX, 0x1234);
    machine.run_to_halt();
    assert_eq!(machine.read32(0x5000), 0x1234);
    let mut machine = long_with_page(&program, 0x5001);
    change(&mut machine, |state| state.cr0 |= CR0_WP);
    assert_eq!(page_fault(&mut machine), (3, PAGE));
}

#[test]
fn reads_mark_entries_accessed_and_writes_mark_the_last_one_dirty() {
    let mut machine = long_with_page(&[&LOAD64[..], &[0xf4]].concat(), 0x5003);
    machine.run_to_halt();
    assert_eq!(machine.read64(TABLE), 0x5023);
    assert_eq!(machine.read64(PAGE_TABLES + 0x2008) & 0x60, 0x20);
    let mut machine = long_with_page(&[&LOAD64[..], &STORE64[..], &[0xf4]].concat(), 0x5003);
    machine.run_to_halt();
    assert_eq!(machine.read64(TABLE), 0x5063, "the write after the read is noticed");
    assert_eq!(machine.read64(PAGE_TABLES + 0x2008) & 0x40, 0);
}

#[test]
fn reserved_bits_fault_with_rsvd_set() {
    // Bit 45 is above the 39 bits CPUID reports; without EFER.NXE bit 63 is reserved too.
    assert_eq!(page_fault(&mut long_with_page(&LOAD64, 0x5003 | 1 << 45)), (9, PAGE));
    assert_eq!(page_fault(&mut long_with_page(&LOAD64, 0x5003 | 1 << 63)), (9, PAGE));
}

#[test]
fn a_fetch_from_a_no_execute_page_tells_so() {
    // jmp PAGE
    let program = [0xe9, 0xfb, 0xff, 0x1e, 0];
    let mut machine = long_with_page(&program, 0x5003 | 1 << 63);
    change(&mut machine, |state| state.msrs.efer |= EFER_NXE);
    assert_eq!(page_fault(&mut machine), (0x11, PAGE));
}

#[test]
fn smep_keeps_the_supervisor_from_executing_user_pages() {
    let program = [0xe9, 0xfb, 0xff, 0x1e, 0];
    let mut machine = long_with_page(&program, 0x5007);
    // The program itself must lie in a supervisor page then.
    machine.write(PAGE_TABLES + 0x2000, &0x83u64.to_le_bytes());
    change(&mut machine, |state| state.cr4 |= CR4_SMEP);
    assert_eq!(page_fault(&mut machine), (0x11, PAGE));
}

#[test]
fn smap_keeps_the_supervisor_from_user_pages_but_for_eflags_ac() {
    let mut machine = long_with_page(&LOAD64, 0x5007);
    machine.write(PAGE_TABLES + 0x2000, &0x83u64.to_le_bytes());
    change(&mut machine, |state| state.cr4 |= CR4_SMAP);
    assert_eq!(page_fault(&mut machine), (1, PAGE));
    // stac; mov eax, [PAGE]; clac; hlt
    let mut machine =
        long_with_page(&[&[0x0f, 0x01, 0xcb][..], &LOAD64[..], &[0x0f, 0x01, 0xca, 0xf4]].concat(), 0x5007);
    machine.write(PAGE_TABLES + 0x2000, &0x83u64.to_le_bytes());
    machine.write(0x5000, &[0x77]);
    change(&mut machine, |state| state.cr4 |= CR4_SMAP);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x77);
    assert_eq!(machine.cpu.state.system_flags & eflags::AC, 0);
}

#[test]
fn invlpg_drops_the_translation_of_a_page_and_of_a_whole_large_page() {
    // mov eax, [PAGE]; mov qword [TABLE], 0x6003; mov eax, [PAGE]; invlpg [PAGE]; mov ebx, [PAGE]; hlt
    let remap = [0x48, 0xc7, 0x04, 0x25, 0, 0xc0, 0, 0, 0x03, 0x60, 0, 0];
    let invlpg = [0x0f, 0x01, 0x3c, 0x25, 0, 0, 0x20, 0];
    let load_ebx = [0x8b, 0x1c, 0x25, 0, 0, 0x20, 0];
    let program = [&LOAD64[..], &remap, &invlpg, &load_ebx, &[0xf4]].concat();
    let mut machine = long_with_page(&program, 0x5003);
    machine.write(0x5000, &[5]);
    machine.write(0x6000, &[6]);
    machine.run_to_halt();
    assert_eq!((machine.reg(RAX), machine.reg(3)), (5, 6));
    // The same with a 2-MiB page, invalidated by another address in it (4.10.4.1).
    let remap = [0x48, 0xc7, 0x04, 0x25, 0x08, 0xa0, 0, 0, 0x83, 0, 0, 0];
    let invlpg = [0x0f, 0x01, 0x3c, 0x25, 0, 0, 0x3f, 0];
    let program = [&LOAD64[..], &remap, &invlpg, &load_ebx, &[0xf4]].concat();
    let mut machine = Machine::long(&program);
    machine.write(0, &[9]);
    machine.write(PAGE, &[5]);
    machine.run_to_halt();
    assert_eq!((machine.reg(RAX), machine.reg(3)), (5, 9));
}

#[test]
fn a_store_across_pages_writes_nothing_when_the_second_page_faults() {
    // mov [PAGE + 0xffe], eax
    let mut machine = long_with_page(&[0x89, 0x04, 0x25, 0xfe, 0x0f, 0x20, 0], 0x5003);
    machine.set_reg(RAX, 0xffff_ffff);
    assert_eq!(page_fault(&mut machine), (2, PAGE + 0x1000));
    assert_eq!(machine.read16(0x5ffe), 0);
}

#[test]
fn an_access_across_pages_joins_both() {
    let mut machine = long_with_page(&[0x8b, 0x04, 0x25, 0xfe, 0x0f, 0x20, 0, 0xf4], 0x5003);
    machine.write(TABLE + 8, &0x7003u64.to_le_bytes());
    machine.write(0x5ffe, &[1, 2]);
    machine.write(0x7000, &[3, 4]);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x0403_0201);
}

#[test]
fn an_address_that_is_not_canonical_is_a_protection_or_a_stack_fault() {
    // mov eax, [rax]
    let mut machine = Machine::long(&[0x8b, 0x00]);
    machine.set_reg(RAX, 0x8000_0000_0000);
    assert_eq!(machine.run_to_vector(), 13);
    // push rax
    let mut machine = Machine::long(&[0x50]);
    machine.set_reg(RSP, 0x8000_0000_0008);
    machine.write(IDT + 12 * 16 + 4, &[1]);
    machine.write(TSS + 0x24, &KERNEL_STACK.to_le_bytes());
    assert_eq!(machine.run_to_vector(), 12);
}

#[test]
fn code_that_overwrites_the_next_instruction_runs_what_it_wrote() {
    // mov byte [rip + 1], 0xc3 over the opcode of "inc eax" (ff c0): dec eax is ff c8. mov byte [next + 1], 0xc8; inc eax; hlt
    let program = [0xc6, 0x05, 1, 0, 0, 0, 0xc8, 0xff, 0xc0, 0xf4];
    let mut machine = Machine::long(&program);
    machine.set_reg(RAX, 10);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 9);
}

#[test]
fn rom_is_read_and_run_and_stores_to_it_go_to_the_bus() {
    let mut machine = Machine::long(&[&STORE64[..], &LOAD64[..], &[0xf4]].concat());
    machine.bus.rom_page = Some(PAGE);
    machine.write(PAGE, &[7]);
    machine.set_reg(RAX, 1);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 7);
    assert_eq!(machine.bus.writes, [(PAGE, 1)]);
}

/// A 32-bit machine with paging: `directory` at 0x8000, a table for the first 4 MiB at 0x9000 that maps them one to one.
fn legacy(program: &[u8], cr4: u64) -> Machine {
    let mut machine = Machine::protected(program);
    machine.write(0x8000, &0x9007u32.to_le_bytes());
    for page in 0..1024u64 {
        machine.write(0x9000 + page * 4, &((page << 12 | 7) as u32).to_le_bytes());
    }
    change(&mut machine, |state| {
        state.cr0 |= CR0_PG;
        state.cr3 = 0x8000;
        state.cr4 = cr4;
    });
    machine
}

#[test]
fn two_level_paging_translates_and_faults_as_32_bit_code_expects() {
    // mov eax, [0x400000]; hlt
    let program = [0xa1, 0, 0, 0x40, 0, 0xf4];
    let mut machine = legacy(&program, 0);
    assert_eq!(machine.run_to_vector(), 14);
    assert_eq!(machine.read32(machine.reg(RSP)), 0);
    assert_eq!(machine.cpu.state.cr2, 0x40_0000);
    // A 4-MiB page with PSE: linear 4 MiB leads to physical 0.
    let mut machine = legacy(&program, CR4_PSE);
    machine.write(0x8004, &0x83u32.to_le_bytes());
    machine.write(0, &0xfeed_u32.to_le_bytes());
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0xfeed);
    // Without PSE the same entry points to a table at 0.
    let mut machine = legacy(&program, 0);
    machine.write(0x8004, &0x87u32.to_le_bytes());
    assert_eq!(machine.run_to_vector(), 14);
}

#[test]
fn pae_paging_uses_the_pointers_loaded_with_cr3() {
    // mov cr3, ebx; mov eax, [0x200000]; hlt
    let program = [0x0f, 0x22, 0xdb, 0xa1, 0, 0, 0x20, 0, 0xf4];
    let mut machine = Machine::protected(&program);
    machine.write(0x8000, &0x9001u64.to_le_bytes());
    machine.write(0x9000, &0x83u64.to_le_bytes());
    machine.write(0x9008, &0x83u64.to_le_bytes());
    machine.write(0, &0xbeef_u32.to_le_bytes());
    machine.set_reg(3, 0x8000);
    change(&mut machine, |state| {
        state.cr0 |= CR0_PG;
        state.cr4 = CR4_PAE;
        state.cr3 = 0x8000;
        state.pdptes = [0x9001, 0, 0, 0];
    });
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0xbeef);
}

#[test]
fn a_reserved_bit_in_a_pae_pointer_is_a_protection_fault_of_the_mov_to_cr3() {
    let mut machine = Machine::protected(&[0x0f, 0x22, 0xdb]);
    machine.write(0x8000, &0x9001u64.to_le_bytes());
    machine.write(0x9000, &0x83u64.to_le_bytes());
    machine.write(0xa000, &0x9003u64.to_le_bytes());
    machine.set_reg(3, 0xa000);
    change(&mut machine, |state| {
        state.cr0 |= CR0_PG;
        state.cr4 = CR4_PAE;
        state.cr3 = 0x8000;
        state.pdptes = [0x9001, 0, 0, 0];
    });
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(machine.cpu.state.cr3, 0x8000);
}

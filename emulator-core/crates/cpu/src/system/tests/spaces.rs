//! Process-context identifiers (Intel SDM vol. 3, 4.10.1 and 4.10.4.1): which translations outlive a change of address spaces.

use super::*;
use crate::state::control::*;
use crate::testing::*;

/// A page that the program reads, and the entry of the page directory that maps it.
const AT: u64 = 0x20_0000;
const ENTRY: u64 = PAGE_TABLES + 0x2000 + 8;
const DESCRIPTOR: u64 = 0x2_8000;
const KEEP: u64 = 1 << 63;
const R8: usize = 8;
const R9: usize = 9;

/// In address space 1 the page at RDI is read, in address space 2 its entry exchanged and `invalidation` run, in address space 1, that of RBX, it is
/// read again, into R8.
fn there_and_back(invalidation: &[u8], cr3: u64) -> Machine {
    // mov rcx, [rdi]; mov cr3, rax; mov [rdx], rbp; ...; mov cr3, rbx; mov r8, [rdi]; hlt
    let mut program = vec![0x48, 0x8b, 0x0f, 0x0f, 0x22, 0xd8, 0x48, 0x89, 0x2a];
    program.extend(invalidation);
    program.extend([0x0f, 0x22, 0xdb, 0x4c, 0x8b, 0x07, 0xf4]);
    let mut machine = with_pcids(&program);
    machine.write(AT, &1u64.to_le_bytes());
    machine.write(0, &2u64.to_le_bytes());
    let registers = [(RAX, PAGE_TABLES | 2), (RBX, cr3), (RDI, AT), (RDX, ENTRY), (RBP, 0x87), (RSI, DESCRIPTOR)];
    registers.into_iter().for_each(|(register, value)| machine.set_reg(register, value));
    machine
}

fn with_pcids(program: &[u8]) -> Machine {
    let mut machine = Machine::long(program);
    machine.cpu.state.cr4 |= CR4_PCIDE | CR4_PGE;
    machine.cpu.state.cr3 |= 1;
    machine
}

/// What the second read finds: 1 where the translation was kept, 2 where it was not.
fn found(mut machine: Machine) -> u64 {
    machine.run_to_halt();
    assert_eq!(machine.reg(RCX), 1);
    machine.reg(R8)
}

#[test]
fn translations_are_kept_where_bit_63_says_so() {
    let back = PAGE_TABLES | 1;
    assert_eq!(found(there_and_back(&[], back)), 2);
    assert_eq!(found(there_and_back(&[], back | KEEP)), 1);
    assert_eq!(found(there_and_back(&[], PAGE_TABLES | 3 | KEEP)), 2, "another one's are not");
    let mut machine = there_and_back(&[], back | KEEP);
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.cr3, back, "the bit itself is not");
}

#[test]
fn a_kept_translation_needs_no_second_walk() {
    let mut machine = there_and_back(&[], PAGE_TABLES | 1 | KEEP);
    machine.set_reg(RBP, 0x20_0087);
    machine.run_to_halt();
    // The page, the program's in both address spaces, and the tables'.
    assert_eq!(machine.cpu.stats().tlb_misses, 4);
}

/// Intel SDM vol. 2, INVPCID.
#[test]
fn invpcid_invalidates_the_translations_it_names() {
    // invpcid r9, [rsi]
    const INVPCID: [u8; 6] = [0x66, 0x44, 0x0f, 0x38, 0x82, 0x0e];
    for (kind, pcid, linear, expected) in
        [(0, 1, AT, 2), (0, 2, AT, 1), (0, 3, AT, 1), (1, 1, 0, 2), (1, 2, 0, 1), (2, 0, 0, 2), (3, 0, 0, 2)]
    {
        let mut machine = there_and_back(&INVPCID, PAGE_TABLES | 1 | KEEP);
        machine.set_reg(R9, kind);
        machine.write(DESCRIPTOR, &u64::to_le_bytes(pcid));
        machine.write(DESCRIPTOR + 8, &linear.to_le_bytes());
        assert_eq!(found(machine), expected, "type {kind} of PCID {pcid}");
    }
}

/// Intel SDM vol. 3, 4.10.4.1: those of the address space in force, and global ones.
#[test]
fn invlpg_leaves_other_address_spaces_alone_but_for_global_pages() {
    // invlpg [rdi]
    const INVLPG: [u8; 3] = [0x0f, 0x01, 0x3f];
    assert_eq!(found(there_and_back(&INVLPG, PAGE_TABLES | 1 | KEEP)), 1);
    let global = |invalidation: &[u8]| {
        let mut machine = there_and_back(invalidation, PAGE_TABLES | 1);
        machine.write(ENTRY, &(AT | 0x187).to_le_bytes());
        found(machine)
    };
    assert_eq!(global(&[]), 1, "no load of CR3 invalidates those");
    assert_eq!(global(&INVLPG), 2);
}

#[test]
fn changes_of_paging_invalidate_those_of_all_address_spaces() {
    // mov r9, cr4; xor r9, PGE; mov cr4, r9
    let toggle = [0x41, 0x0f, 0x20, 0xe1, 0x49, 0x81, 0xf1, 0x80, 0, 0, 0, 0x41, 0x0f, 0x22, 0xe1];
    assert_eq!(found(there_and_back(&toggle, PAGE_TABLES | 1 | KEEP)), 2);
}

/// A page may come to hold code while the address space that can write to it is not in force.
#[test]
fn a_store_through_a_kept_translation_finds_the_code_there() {
    // mov [rdi], cl; mov cr3, rax; call rdi; mov cr3, rbx; mov [rdi], r8d; call rdi; hlt
    let program = [0x88, 0x0f, 0x0f, 0x22, 0xd8, 0xff, 0xd7, 0x0f, 0x22, 0xdb, 0x44, 0x89, 0x07, 0xff, 0xd7, 0xf4];
    // ret; and mov al, 7; ret
    let (first, second) = (0xc3, 0xc3_07b0);
    let mut machine = with_pcids(&program);
    let registers = [(RAX, PAGE_TABLES | 2), (RBX, PAGE_TABLES | 1 | KEEP), (RDI, AT), (RCX, first), (R8, second)];
    registers.into_iter().for_each(|(register, value)| machine.set_reg(register, value));
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX) & 0xff, 7);
}

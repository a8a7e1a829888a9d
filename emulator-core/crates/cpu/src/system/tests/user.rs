//! What operating systems let programs do themselves: segment bases, processor number, random seeds; and INVPCID, which they keep.

use super::*;
use crate::state::control::*;
use crate::testing::*;
use x86::seg;

const INVALID_OPCODE: u8 = 6;
const GENERAL_PROTECTION: u8 = 13;
/// rdfsbase rax; wrgsbase rbx; hlt
const BASES: [u8; 11] = [0xf3, 0x48, 0x0f, 0xae, 0xc0, 0xf3, 0x48, 0x0f, 0xae, 0xdb, 0xf4];

fn bases(gs: u64) -> Machine {
    let mut machine = Machine::long(&BASES).user();
    machine.cpu.state.cr4 |= CR4_FSGSBASE;
    machine.cpu.state.segs[usize::from(seg::FS)].base = 0x7f00_1234_5678;
    machine.set_reg(RBX, gs);
    machine
}

/// Intel SDM vol. 2, RDFSBASE and WRFSBASE. HLT at level 3 is #GP.
#[test]
fn programs_read_and_write_segment_bases_where_cr4_lets_them() {
    let mut machine = bases(0x1_2345_6789);
    assert_eq!(machine.run_to_vector(), GENERAL_PROTECTION);
    assert_eq!(machine.reg(RAX), 0x7f00_1234_5678);
    assert_eq!(machine.cpu.state.segs[usize::from(seg::GS)].base, 0x1_2345_6789);
    assert_eq!(Machine::long(&BASES).user().run_to_vector(), INVALID_OPCODE);
}

#[test]
fn a_segment_base_is_canonical() {
    let mut machine = bases(1 << 47);
    let before = machine.cpu.state.segs[usize::from(seg::GS)].base;
    assert_eq!(machine.run_to_vector(), GENERAL_PROTECTION);
    assert_eq!(machine.cpu.state.segs[usize::from(seg::GS)].base, before);
}

/// Intel SDM vol. 2, RDPID: IA32_TSC_AUX.
#[test]
fn rdpid_tells_what_the_operating_system_put_into_tsc_aux() {
    // rdpid rax; hlt
    let mut machine = Machine::long(&[0xf3, 0x0f, 0xc7, 0xf8, 0xf4]);
    machine.cpu.state.msrs.tsc_aux = 0x1007;
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x1007);
}

/// Intel SDM vol. 2, RDSEED: CF tells that the number is valid.
#[test]
fn rdseed_gives_numbers_that_differ() {
    // rdseed rax; setc cl; rdseed rbx; hlt
    let program = [0x48, 0x0f, 0xc7, 0xf8, 0x0f, 0x92, 0xc1, 0x48, 0x0f, 0xc7, 0xfb, 0xf4];
    let mut machine = Machine::long(&program);
    machine.run_to_halt();
    assert_ne!(machine.reg(RAX), machine.reg(RBX));
    assert_eq!(machine.reg(RCX) & 0xff, 1);
}

/// The page at RDI is read, its page-table entry exchanged, `INVPCID` run, and the page read again: into RCX and RBX.
fn invalidate(kind: u64, pcid: u64) -> Machine {
    // mov rcx, [rdi]; mov [rdx], rbp; invpcid rax, [rsi]; mov rbx, [rdi]; hlt
    let program = [0x48, 0x8b, 0x0f, 0x48, 0x89, 0x2a, 0x66, 0x0f, 0x38, 0x82, 0x06, 0x48, 0x8b, 0x1f, 0xf4];
    const AT: u64 = 0x20_0000;
    const DESCRIPTOR: u64 = 0x2_8000;
    let mut machine = Machine::long(&program);
    let entry = PAGE_TABLES + 0x2000 + 8;
    machine.write(AT, &1u64.to_le_bytes());
    machine.write(0, &2u64.to_le_bytes());
    machine.write(DESCRIPTOR, &pcid.to_le_bytes());
    machine.write(DESCRIPTOR + 8, &AT.to_le_bytes());
    for (register, value) in [(RAX, kind), (RDI, AT), (RDX, entry), (RSI, DESCRIPTOR), (RBP, 0x87)] {
        machine.set_reg(register, value);
    }
    machine
}

#[test]
fn invpcid_of_every_kind_forgets_a_translation() {
    for kind in 0..4 {
        let mut machine = invalidate(kind, 0);
        machine.run_to_halt();
        assert_eq!((machine.reg(RCX), machine.reg(RBX)), (1, 2), "type {kind}");
    }
}

/// Intel SDM vol. 2, INVPCID: #GP(0) for other types, reserved bits, and PCIDs while CR4.PCIDE is clear.
#[test]
fn invpcid_refuses_what_it_cannot_mean() {
    for (kind, pcid) in [(4, 0), (0, 1), (1, 1), (2, 1 << 12)] {
        assert_eq!(invalidate(kind, pcid).run_to_vector(), GENERAL_PROTECTION, "type {kind}, {pcid:#x}");
    }
    assert_eq!(invalidate(2, 0).user().run_to_vector(), GENERAL_PROTECTION, "level 3");
}

//! What the manual says where the host cannot be asked: modes, availability, pending errors, environments.

use x86::{Exception, RIP_SLOT, Width, seg};

use super::rig::Rig;
use crate::state::control::{CR0_EM, CR0_MP, CR0_NE, CR0_PE, CR0_TS};

const FLD1: &[u8] = &[0xd9, 0xe8];
const FLDZ: &[u8] = &[0xd9, 0xee];
const FDIVP: &[u8] = &[0xde, 0xf9];
const FADD_MEMORY: &[u8] = &[0xd8, 0x02];
const FWAIT: &[u8] = &[0x9b];
const FNCLEX: &[u8] = &[0xdb, 0xe2];
const FNSTSW_AX: &[u8] = &[0xdf, 0xe0];
const FNSTENV: &[u8] = &[0xd9, 0x32];
const FNSTENV_16: &[u8] = &[0x66, 0xd9, 0x32];
const FLDENV: &[u8] = &[0xd9, 0x22];
const FNSAVE: &[u8] = &[0xdd, 0x32];
const FRSTOR: &[u8] = &[0xdd, 0x22];
const FLDCW: &[u8] = &[0xd9, 0x2a];
const FXSAVE: &[u8] = &[0x0f, 0xae, 0x02];
const FXRSTOR: &[u8] = &[0x0f, 0xae, 0x0a];
const MXCSR_AT: usize = 24;
const RDX: usize = 2;

/// Unmasks division by zero and divides one by zero.
fn divide_by_zero(rig: &mut Rig) {
    rig.put(&0x37bu16.to_le_bytes());
    rig.run_all(&[FLDCW, FLD1, FLDZ, FDIVP]);
}

fn dwords(rig: &mut Rig) -> [u32; 7] {
    let operand = rig.operand();
    core::array::from_fn(|i| u32::from_le_bytes(operand[4 * i..4 * i + 4].try_into().unwrap()))
}

fn words(rig: &mut Rig) -> [u16; 7] {
    let operand = rig.operand();
    core::array::from_fn(|i| u16::from_le_bytes(operand[2 * i..2 * i + 2].try_into().unwrap()))
}

/// Runs FLD1 and FADD with known pointers: CS 0x1234, IP 0x56789, DS 0x2345, operand 0x2000.
fn leave_pointers(rig: &mut Rig) {
    rig.cpu.state.segs[usize::from(seg::CS)].selector = 0x1234;
    rig.cpu.state.segs[usize::from(seg::DS)].selector = 0x2345;
    rig.cpu.state.regs.set(usize::from(RIP_SLOT), 0x56789);
    rig.run_all(&[FLD1, FADD_MEMORY]);
}

#[test]
fn a_unit_that_is_emulated_or_switched_away_is_not_available() {
    for (bits, instruction, available) in [
        (CR0_EM, FLD1, false),
        (CR0_TS, FLD1, false),
        (CR0_MP, FLD1, true),
        (CR0_EM, FWAIT, true),
        (CR0_TS, FWAIT, true),
        (CR0_MP, FWAIT, true),
        (CR0_MP | CR0_TS, FWAIT, false),
        (CR0_EM, FXSAVE, false),
        (CR0_TS, FXRSTOR, false),
    ] {
        let mut rig = Rig::new();
        rig.cpu.state.cr0 |= bits;
        let expected = if available { Ok(()) } else { Err(Exception::DeviceNotAvailable) };
        assert_eq!(rig.run(instruction), expected, "CR0 {bits:#x}, {instruction:02x?}");
    }
}

#[test]
fn an_unmasked_exception_is_delivered_by_the_next_waiting_instruction() {
    let mut rig = Rig::new();
    divide_by_zero(&mut rig);
    assert_eq!(rig.run(FLD1), Err(Exception::X87));
    assert_eq!(rig.run(FWAIT), Err(Exception::X87));
    rig.run(FNSTSW_AX).unwrap();
    // ZE, ES and B; the operands are still there, TOP is 6.
    assert_eq!(rig.cpu.state.regs.get(0) & 0xffff, 0xb084);
    rig.run_all(&[FNCLEX, FLD1]);
}

#[test]
fn without_cr0_ne_the_board_hears_of_each_error_once() {
    let mut rig = Rig::new();
    rig.cpu.state.cr0 &= !CR0_NE;
    divide_by_zero(&mut rig);
    assert_eq!(rig.board.x87_errors, 1);
    assert_eq!(rig.run(FWAIT), Ok(()));
    assert_eq!(rig.board.x87_errors, 1);
    rig.run_all(&[FNCLEX, FDIVP]);
    assert_eq!(rig.board.x87_errors, 2);
}

#[test]
fn unmasking_an_exception_already_flagged_makes_it_pending() {
    let mut rig = Rig::new();
    rig.run_all(&[FLD1, FLDZ, FDIVP]);
    assert_eq!(rig.run(FWAIT), Ok(()));
    rig.put(&0x37bu16.to_le_bytes());
    rig.run(FLDCW).unwrap();
    assert_eq!(rig.run(FWAIT), Err(Exception::X87));
}

/// Intel SDM vol. 1, figure 8-9; FADD [edx] is D8 02, so the opcode is 0x002.
#[test]
fn the_32_bit_protected_environment_holds_selectors_and_offsets() {
    let mut rig = Rig::new();
    leave_pointers(&mut rig);
    rig.run(FNSTENV).unwrap();
    let expected = [0xffff_037f, 0xffff_3800, 0xffff_3fff, 0x0005_6789, 0x0002_1234, 0x0000_2000, 0xffff_2345];
    assert_eq!(dwords(&mut rig), expected);
    assert_eq!(rig.cpu.state.x87.control, 0x37f, "FNSTENV masks all exceptions");
}

/// Figure 8-10.
#[test]
fn the_32_bit_real_mode_environment_holds_linear_addresses() {
    let mut rig = Rig::new();
    leave_pointers(&mut rig);
    rig.cpu.state.cr0 &= !CR0_PE;
    rig.run(FNSTENV).unwrap();
    // CS:IP is 0x12340 + 0x56789 = 0x68ac9, DS:DP is 0x23450 + 0x2000 = 0x25450.
    let expected = [0xffff_037f, 0xffff_3800, 0xffff_3fff, 0xffff_8ac9, 0x0000_6002, 0xffff_5450, 0x0000_2000];
    assert_eq!(dwords(&mut rig), expected);
}

/// Figures 8-11 and 8-12.
#[test]
fn the_16_bit_environments_hold_words() {
    let mut rig = Rig::new();
    leave_pointers(&mut rig);
    rig.run(FNSTENV_16).unwrap();
    assert_eq!(words(&mut rig), [0x37f, 0x3800, 0x3fff, 0x6789, 0x1234, 0x2000, 0x2345]);
    rig.cpu.state.cr0 &= !CR0_PE;
    rig.run(FNSTENV_16).unwrap();
    assert_eq!(words(&mut rig), [0x37f, 0x3800, 0x3fff, 0x8ac9, 0x6002, 0x5450, 0x2000]);
}

#[test]
fn an_environment_loads_as_it_was_stored() {
    for real in [false, true] {
        let mut rig = Rig::new();
        leave_pointers(&mut rig);
        if real {
            rig.cpu.state.cr0 &= !CR0_PE;
        }
        rig.run(FNSTENV).unwrap();
        let stored = dwords(&mut rig);
        rig.run_all(&[&[0xdb, 0xe3], FLDENV, FNSTENV]);
        assert_eq!(dwords(&mut rig), stored, "real mode: {real}");
    }
}

#[test]
fn fnsave_leaves_an_initialised_unit_and_frstor_brings_everything_back() {
    let mut rig = Rig::new();
    rig.run_all(&[FLD1, FLDZ, &[0xd9, 0xeb]]);
    let before = rig.cpu.state.x87;
    rig.run(FNSAVE).unwrap();
    assert_eq!(rig.cpu.state.x87.tags, 0xffff);
    assert_eq!(rig.cpu.state.x87.status, 0);
    // ST(0), pi, comes first.
    assert_eq!(rig.operand()[28..38], [0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40]);
    rig.run(FRSTOR).unwrap();
    assert_eq!(rig.cpu.state.x87, before);
}

#[test]
fn fxsave_areas_must_be_aligned_and_mxcsr_free_of_reserved_bits() {
    let mut rig = Rig::new();
    rig.cpu.state.regs.set(RDX, Rig::OPERAND as u64 + 8);
    assert_eq!(rig.run(FXSAVE), Err(Exception::GeneralProtection(0)));
    assert_eq!(rig.run(FXRSTOR), Err(Exception::GeneralProtection(0)));
    rig.cpu.state.regs.set(RDX, Rig::OPERAND as u64);
    rig.run(FXSAVE).unwrap();
    rig.operand()[MXCSR_AT + 2] = 1;
    assert_eq!(rig.run(FXRSTOR), Err(Exception::GeneralProtection(0)));
}

#[test]
fn fxsave_and_fxrstor_carry_the_whole_state() {
    let mut rig = Rig::new();
    rig.run_all(&[FLD1, FLDZ]);
    for register in 0..16 {
        rig.cpu.state.xmm[register] = 0x0123_4567_89ab_cdef_u128 << register;
    }
    rig.cpu.state.mxcsr = 0x9fc0;
    let before = rig.cpu.state.clone();
    rig.run(FXSAVE).unwrap();
    // Physical registers 6 and 7 are in use.
    assert_eq!(rig.operand()[4], 0xc0);
    rig.run_all(&[&[0xdb, 0xe3]]);
    rig.cpu.state.xmm = [0; 16];
    rig.cpu.state.mxcsr = 0x1f80;
    rig.run(FXRSTOR).unwrap();
    assert_eq!(rig.cpu.state.x87, before.x87);
    assert_eq!(rig.cpu.state.mxcsr, before.mxcsr);
    assert_eq!(rig.cpu.state.xmm[..8], before.xmm[..8]);
    assert_eq!(rig.cpu.state.xmm[8..], [0; 8], "XMM8 to XMM15 belong to 64-bit mode");
}

#[test]
fn fisttp_truncates_whatever_the_rounding_mode() {
    let mut rig = Rig::new();
    // 2.75, rounding up.
    rig.put(&0xb7fu16.to_le_bytes());
    rig.run(FLDCW).unwrap();
    rig.put(&2.75f32.to_le_bytes());
    rig.run_all(&[&[0xd9, 0x02], &[0xdb, 0x0a]]);
    assert_eq!(rig.operand()[..4], 2i32.to_le_bytes());
}

#[test]
fn the_instruction_pointer_is_that_of_the_first_prefix_byte() {
    let mut rig = Rig::new();
    rig.cpu.state.regs.set(usize::from(RIP_SLOT), 0x1000);
    rig.run_as(&[0x66, 0xd9, 0xe8], Width::W32).unwrap();
    assert_eq!((rig.cpu.state.x87.ip, rig.cpu.state.x87.opcode), (0x1000, 0x1e8));
}

//! The XSAVE family where the host is no judge: what enables it, and what is in its initial configuration.

use crate::state::control::*;
use crate::testing::*;

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSI: usize = 6;
const INVALID_OPCODE: u8 = 6;
const DEVICE_NOT_AVAILABLE: u8 = 7;
const GENERAL_PROTECTION: u8 = 13;
const AREA: u64 = 0x2_8000;
const HEADER: u64 = AREA + 512;
const YMM_HIGH: u64 = AREA + 576;
/// What memory holds before: nothing any instruction writes.
const UNTOUCHED: u8 = 0xa5;

/// xsave [rsi]; hlt
const XSAVE: [u8; 4] = [0x0f, 0xae, 0x26, 0xf4];
/// xsaveopt [rsi]; hlt
const XSAVEOPT: [u8; 4] = [0x0f, 0xae, 0x36, 0xf4];
/// xsavec [rsi]; hlt
const XSAVEC: [u8; 4] = [0x0f, 0xc7, 0x26, 0xf4];
/// xrstor [rsi]; hlt
const XRSTOR: [u8; 4] = [0x0f, 0xae, 0x2e, 0xf4];
/// xgetbv; hlt
const XGETBV: [u8; 4] = [0x0f, 0x01, 0xd0, 0xf4];
/// xsetbv; hlt
const XSETBV: [u8; 4] = [0x0f, 0x01, 0xd1, 0xf4];

/// Everything enabled and asked for; the area at RSI. The x87 is as `FNINIT` leaves it.
fn machine(program: &[u8]) -> Machine {
    let mut machine = Machine::long(program);
    let state = &mut machine.cpu.state;
    state.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    state.xcr0 = 7;
    state.x87.initialise();
    machine.cpu.state_changed();
    machine.set_reg(RSI, AREA);
    machine.set_reg(RAX, 7);
    machine.set_reg(RDX, 0);
    machine.write(AREA, &[UNTOUCHED; 832]);
    machine
}

/// The vector of the exception the program ends with, or `None` where it reaches its own HLT.
fn outcome(mut machine: Machine) -> Option<u8> {
    machine.run_to_halt();
    (machine.cpu.state.rip > HANDLERS).then(|| ((machine.cpu.state.rip - 1 - HANDLERS) / 16) as u8)
}

/// Intel SDM vol. 2, XSAVE and XGETBV.
#[test]
fn the_family_wants_cr4_osxsave_and_respects_cr0_ts() {
    for program in [XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV, XSETBV] {
        let mut off = machine(&program);
        off.cpu.state.cr4 &= !CR4_OSXSAVE;
        assert_eq!(outcome(off), Some(INVALID_OPCODE), "{program:x?}");
    }
    for program in [XSAVE, XSAVEOPT, XSAVEC, XRSTOR] {
        let mut switched = machine(&program);
        switched.cpu.state.cr0 |= CR0_TS;
        assert_eq!(outcome(switched), Some(DEVICE_NOT_AVAILABLE), "{program:x?}");
    }
}

/// Intel SDM vol. 2, XSETBV: x87 state stays enabled, AVX state needs SSE state, there is nothing else and no other register.
#[test]
fn xsetbv_takes_possible_values_of_xcr0_only() {
    for (value, register, expected) in [
        (1, 0, None),
        (3, 0, None),
        (7, 0, None),
        (0, 0, Some(GENERAL_PROTECTION)),
        (2, 0, Some(GENERAL_PROTECTION)),
        (5, 0, Some(GENERAL_PROTECTION)),
        (0xf, 0, Some(GENERAL_PROTECTION)),
        (7, 1, Some(GENERAL_PROTECTION)),
    ] {
        let mut machine = machine(&XSETBV);
        machine.set_reg(RAX, value);
        machine.set_reg(RCX, register);
        assert_eq!(outcome(machine), expected, "{value:#x} to register {register}");
    }
    assert_eq!(outcome(machine(&XSETBV).user()), Some(GENERAL_PROTECTION), "level 3");
}

/// Intel SDM vol. 1, 13.6: XGETBV with ECX = 1 tells what is not in its initial configuration.
#[test]
fn components_are_in_use_once_they_hold_something() {
    let in_use = |change: fn(&mut crate::State)| {
        let mut machine = machine(&XGETBV);
        machine.set_reg(RCX, 1);
        change(&mut machine.cpu.state);
        machine.run_to_halt();
        (machine.reg(RAX), machine.reg(RDX))
    };
    assert_eq!(in_use(|_| {}), (0, 0));
    assert_eq!(in_use(|state| state.x87.control = 0x27f), (1, 0));
    assert_eq!(in_use(|state| state.xmm[3] = 1), (2, 0));
    assert_eq!(in_use(|state| state.ymm_high[15] = 1), (4, 0));
}

/// Intel SDM vol. 1, 13.7 and 13.9.
#[test]
fn xsaveopt_leaves_out_what_xsave_writes_though_it_is_initial() {
    for (program, written) in [(XSAVE, true), (XSAVEOPT, false)] {
        let mut machine = machine(&program);
        machine.cpu.state.xmm[0] = 1;
        machine.write(HEADER, &[0; 64]);
        machine.run_to_halt();
        assert_eq!(machine.read(HEADER, 8), [2, 0, 0, 0, 0, 0, 0, 0], "XSTATE_BV");
        assert_eq!(machine.read(YMM_HIGH, 1) != [UNTOUCHED], written);
        assert_eq!(machine.read(AREA, 2) == 0x37fu16.to_le_bytes(), written, "the x87's control word");
        assert_eq!(machine.read(AREA + 160, 1), [1], "XMM0");
    }
}

/// Intel SDM vol. 1, 13.10: XCOMP_BV tells the format and what was asked for.
#[test]
fn xsavec_says_that_its_area_is_compacted() {
    let mut machine = machine(&XSAVEC);
    machine.cpu.state.ymm_high[1] = 2;
    machine.run_to_halt();
    assert_eq!(machine.read64(HEADER), 4);
    assert_eq!(machine.read64(HEADER + 8), 1 << 63 | 7);
    assert_eq!(machine.read(YMM_HIGH + 16, 1), [2]);
    assert_eq!(machine.read(AREA, 1), [UNTOUCHED]);
}

/// Intel SDM vol. 1, 13.8.1: what is asked for and not in the area is initialised; the rest is kept.
#[test]
fn xrstor_initialises_what_the_area_does_not_have() {
    let mut machine = machine(&XRSTOR);
    machine.write(AREA, &[0; 832]);
    machine.write(AREA + 24, &0x1f80u32.to_le_bytes());
    machine.write(HEADER, &[2]);
    machine.write(AREA + 160, &[9]);
    let state = &mut machine.cpu.state;
    (state.xmm, state.ymm_high) = ([5; 16], [6; 16]);
    machine.set_reg(RAX, 6);
    machine.cpu.state.x87.control = 0x27f;
    machine.run_to_halt();
    let state = &machine.cpu.state;
    assert_eq!((state.xmm[0], state.xmm[1]), (9, 0));
    assert_eq!(state.ymm_high, [0; 16]);
    assert_eq!(state.x87.control, 0x27f, "not asked for");
}

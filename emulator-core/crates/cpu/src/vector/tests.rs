//! When vector instructions may run, and the estimates; everything else the host judges (crate `oracle`).

use softfloat::F32;

use super::float::approximate::{reciprocal, reciprocal_root};
use crate::state::control::*;
use crate::testing::*;

const INVALID_OPCODE: u8 = 6;
const DEVICE_NOT_AVAILABLE: u8 = 7;
const X87_ERROR: u8 = 16;
const SIMD_ERROR: u8 = 19;

/// pxor xmm0, xmm0; hlt
const SSE: [u8; 5] = [0x66, 0x0f, 0xef, 0xc0, 0xf4];
/// pxor mm0, mm0; hlt
const MMX: [u8; 4] = [0x0f, 0xef, 0xc0, 0xf4];
/// emms; hlt
const EMMS: [u8; 3] = [0x0f, 0x77, 0xf4];
/// divps xmm0, xmm1; hlt
const DIVPS: [u8; 4] = [0x0f, 0x5e, 0xc1, 0xf4];
/// ldmxcsr [rsi]; hlt
const LDMXCSR: [u8; 4] = [0x0f, 0xae, 0x16, 0xf4];

/// The exception `program` ends with in a 64-bit machine with the control registers given.
fn outcome(program: &[u8], cr0: u64, cr4: u64) -> Option<u8> {
    let mut machine = Machine::long(program);
    machine.cpu.state.cr0 |= cr0;
    machine.cpu.state.cr4 |= cr4;
    machine.cpu.state_changed();
    vector(&mut machine)
}

/// The vector of the exception the program ends with, or `None` where it reaches its own HLT.
fn vector(machine: &mut Machine) -> Option<u8> {
    machine.run_to_halt();
    (machine.cpu.state.rip > HANDLERS).then(|| ((machine.cpu.state.rip - 1 - HANDLERS) / 16) as u8)
}

/// Intel SDM vol. 3, table 2-2 and 14.1.
#[test]
fn sse_runs_where_the_operating_system_has_said_so() {
    assert_eq!(outcome(&SSE, 0, CR4_OSFXSR), None);
    assert_eq!(outcome(&SSE, 0, 0), Some(INVALID_OPCODE));
    assert_eq!(outcome(&SSE, CR0_EM, CR4_OSFXSR), Some(INVALID_OPCODE));
    assert_eq!(outcome(&SSE, CR0_TS, CR4_OSFXSR), Some(DEVICE_NOT_AVAILABLE));
    assert_eq!(outcome(&SSE, CR0_TS, 0), Some(INVALID_OPCODE));
}

/// Intel SDM vol. 3, 12.1: CR4.OSFXSR has no say.
#[test]
fn mmx_runs_unless_emulated_or_switched_away() {
    for program in [&MMX[..], &EMMS] {
        assert_eq!(outcome(program, 0, 0), None);
        assert_eq!(outcome(program, CR0_EM, 0), Some(INVALID_OPCODE));
        assert_eq!(outcome(program, CR0_TS, 0), Some(DEVICE_NOT_AVAILABLE));
    }
}

#[test]
fn a_waiting_x87_exception_comes_before_an_mmx_instruction() {
    let mut machine = Machine::long(&MMX);
    machine.cpu.state.cr0 |= CR0_NE;
    machine.cpu.state.x87.control = 0x37e;
    machine.cpu.state.x87.status = 0x8081;
    machine.cpu.state_changed();
    assert_eq!(vector(&mut machine), Some(X87_ERROR));
}

/// vpxor ymm0, ymm0, ymm0; hlt
const AVX: [u8; 5] = [0xc5, 0xfd, 0xef, 0xc0, 0xf4];

fn avx_outcome(cr0: u64, cr4: u64, xcr0: u64) -> Option<u8> {
    let mut machine = Machine::long(&AVX);
    machine.cpu.state.cr0 |= cr0;
    machine.cpu.state.cr4 |= cr4;
    machine.cpu.state.xcr0 = xcr0;
    machine.cpu.state_changed();
    vector(&mut machine)
}

/// Intel SDM vol. 2, 2.4.3: CR4.OSXSAVE and XCR0 decide, neither CR0.EM nor CR4.OSFXSR does.
#[test]
fn avx_runs_where_xcr0_has_its_state_enabled() {
    const ALL: u64 = 7;
    assert_eq!(avx_outcome(0, CR4_OSXSAVE, ALL), None);
    assert_eq!(avx_outcome(CR0_EM, CR4_OSXSAVE, ALL), None);
    assert_eq!(avx_outcome(0, CR4_OSFXSR, ALL), Some(INVALID_OPCODE));
    assert_eq!(avx_outcome(0, CR4_OSXSAVE, 3), Some(INVALID_OPCODE));
    assert_eq!(avx_outcome(CR0_TS, CR4_OSXSAVE, ALL), Some(DEVICE_NOT_AVAILABLE));
    assert_eq!(avx_outcome(CR0_TS, 0, ALL), Some(INVALID_OPCODE));
}

/// Intel SDM vol. 1, 11.5.1: #XM, or #UD where the operating system does not know it.
#[test]
fn an_unmasked_division_by_zero_faults_and_leaves_the_register_alone() {
    const ZERO_DIVIDE_UNMASKED: u32 = 0x1d80;
    const ONES: u128 = 0x3f80_0000_3f80_0000_3f80_0000_3f80_0000;
    for (cr4, expected) in [(CR4_OSFXSR | CR4_OSXMMEXCPT, SIMD_ERROR), (CR4_OSFXSR, INVALID_OPCODE)] {
        let mut machine = Machine::long(&DIVPS);
        let state = &mut machine.cpu.state;
        state.cr4 |= cr4;
        state.mxcsr = ZERO_DIVIDE_UNMASKED;
        state.xmm[0] = ONES;
        machine.cpu.state_changed();
        assert_eq!(vector(&mut machine), Some(expected));
        assert_eq!(machine.cpu.state.xmm[0], ONES);
        assert_eq!(machine.cpu.state.mxcsr & 0x3f, 4, "ZE");
    }
}

/// Intel SDM vol. 2, RCPPS and RSQRTPS: relative error at most 1.5 * 2^-12.
#[test]
fn estimates_are_as_close_as_the_manual_promises() {
    const LIMIT: f64 = 1.5 / 4096.0;
    let mut bits = 0x0080_0000u32;
    while bits < 0x7e00_0000 {
        let value = f64::from(f32::from_bits(bits));
        let of = |estimate: F32| f64::from(f32::from_bits(estimate.0));
        let inverse = of(reciprocal(F32(bits)));
        let root = of(reciprocal_root(F32(bits)));
        assert!((inverse * value - 1.0).abs() <= LIMIT, "1 / {value:e} = {inverse:e}");
        assert!((root * value.sqrt() - 1.0).abs() <= LIMIT, "1 / sqrt({value:e}) = {root:e}");
        bits += 0x0001_2345;
    }
}

/// Intel SDM vol. 2, tables of RCPPS and RSQRTPS.
#[test]
fn estimates_of_zeros_infinities_and_nans_are_the_manuals() {
    let (zero, infinity, denormal, signaling) = (0, 0x7f80_0000, 1, 0x7f80_0001);
    const NEGATIVE: u32 = 1 << 31;
    let reciprocals = [
        (zero, infinity),
        (zero | NEGATIVE, infinity | NEGATIVE),
        (denormal, infinity),
        (infinity, zero),
        (infinity | NEGATIVE, zero | NEGATIVE),
        (signaling, 0x7fc0_0001),
    ];
    for (value, expected) in reciprocals {
        assert_eq!(reciprocal(F32(value)).0, expected, "1 / {value:#x}");
    }
    let minus_one = 0xbf80_0000;
    let roots = [(zero | NEGATIVE, infinity | NEGATIVE), (infinity, zero), (minus_one, 0xffc0_0000)];
    for (value, expected) in roots {
        assert_eq!(reciprocal_root(F32(value)).0, expected, "1 / sqrt({value:#x})");
    }
}

/// Intel SDM vol. 2, LDMXCSR.
#[test]
fn reserved_bits_of_mxcsr_are_refused() {
    for (value, expected) in [(0xffff_u32, None), (0x1_1f80, Some(13))] {
        let mut machine = Machine::long(&LDMXCSR);
        const AT: u64 = 0x2_8000;
        machine.write(AT, &value.to_le_bytes());
        machine.cpu.state.regs.set(6, AT);
        machine.cpu.state.cr4 |= CR4_OSFXSR;
        machine.cpu.state_changed();
        assert_eq!(vector(&mut machine), expected, "{value:#x}");
    }
}

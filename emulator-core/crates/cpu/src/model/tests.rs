//! What a model lacks is not there: instructions, control bits, model-specific registers.

use platform::Vcpu;

use super::CpuModel;
use crate::Cpu;
use crate::state::control::*;
use crate::testing::*;

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const INVALID_OPCODE: u8 = 6;
const GENERAL_PROTECTION: u8 = 13;

fn on(model: CpuModel, mut machine: Machine) -> Machine {
    let state = machine.cpu.state.clone();
    machine.cpu = Cpu::of_model(model);
    machine.cpu.state = state;
    machine.cpu.state_changed();
    machine
}

/// The vector `program` ends with on `model` in 32-bit protected mode, or `None` where it reaches the HLT behind it.
fn outcome(model: CpuModel, program: &[u8]) -> Option<u8> {
    let mut machine = on(model, Machine::protected(&[program, &[0xf4]].concat()));
    machine.cpu.state.cr4 |= CR4_OSFXSR;
    machine.run_to_halt();
    (machine.cpu.state.rip > HANDLERS).then(|| ((machine.cpu.state.rip - 1 - HANDLERS) / 16) as u8)
}

/// Each instruction with the first model that has it (the processors' own manuals; Intel SDM vol. 3, 23.15).
#[test]
fn an_instruction_is_undefined_before_its_time() {
    let instructions: [(&str, &[u8], CpuModel); 12] = [
        ("bswap ecx", &[0x0f, 0xc9], CpuModel::I486),
        ("rdtsc", &[0x0f, 0x31], CpuModel::Pentium),
        ("cmovz eax, ecx", &[0x0f, 0x44, 0xc1], CpuModel::Pentium3),
        ("nop [eax]", &[0x0f, 0x1f, 0x00], CpuModel::Pentium3),
        ("fcomi st0, st1", &[0xdb, 0xf1], CpuModel::Pentium3),
        ("pxor mm0, mm0", &[0x0f, 0xef, 0xc0], CpuModel::Pentium3),
        ("xorps xmm0, xmm0", &[0x0f, 0x57, 0xc0], CpuModel::Pentium3),
        ("pxor xmm0, xmm0", &[0x66, 0x0f, 0xef, 0xc0], CpuModel::Core2),
        ("pabsb xmm0, xmm0", &[0x66, 0x0f, 0x38, 0x1c, 0xc0], CpuModel::Core2),
        ("popcnt eax, eax", &[0xf3, 0x0f, 0xb8, 0xc0], CpuModel::X86_64V2),
        ("rdrand eax", &[0x0f, 0xc7, 0xf0], CpuModel::X86_64V2),
        ("andn eax, eax, eax", &[0xc4, 0xe2, 0x78, 0xf2, 0xc0], CpuModel::X86_64V3),
    ];
    for (name, program, first) in instructions {
        let first = CpuModel::ALL.iter().position(|model| *model == first).expect("a model");
        for (age, model) in CpuModel::ALL.into_iter().enumerate() {
            let expected = if age < first { Some(INVALID_OPCODE) } else { None };
            assert_eq!(outcome(model, program), expected, "{name} on a {}", model.name());
        }
    }
}

/// Intel SDM vol. 2, TZCNT and LZCNT: a processor without them runs BSF and BSR, and ignores the prefix.
#[test]
fn a_prefix_without_meaning_leaves_the_old_instruction() {
    // lzcnt eax, ecx; hlt
    for (model, expected) in [(CpuModel::X86_64V2, 4), (CpuModel::X86_64V3, 27)] {
        let mut machine = on(model, Machine::protected(&[0xf3, 0x0f, 0xbd, 0xc1, 0xf4]));
        machine.set_reg(RCX, 0x1f);
        machine.run_to_halt();
        assert_eq!(machine.reg(RAX), expected, "{}", model.name());
    }
}

#[test]
fn control_bits_of_absent_features_are_refused() {
    let cases = [
        (CR4_VME, CpuModel::I486),
        (CR4_PSE, CpuModel::Pentium),
        (CR4_PGE, CpuModel::Pentium3),
        (CR4_SMEP, CpuModel::X86_64V2),
        (CR4_FSGSBASE, CpuModel::X86_64V3),
    ];
    for (bit, first) in cases {
        let first = CpuModel::ALL.iter().position(|model| *model == first).expect("a model");
        for (age, model) in CpuModel::ALL.into_iter().enumerate() {
            // mov cr4, eax; hlt
            let mut machine = on(model, Machine::protected(&[0x0f, 0x22, 0xe0, 0xf4]));
            machine.set_reg(RAX, bit);
            machine.run_to_halt();
            let refused = machine.cpu.state.cr4 != bit;
            assert_eq!(refused, age < first, "{bit:#x} on a {}", model.name());
        }
    }
}

fn read_msr(model: CpuModel, msr: u64) -> Option<u8> {
    let mut machine = on(model, Machine::protected(&[0x0f, 0x32, 0xf4]));
    machine.set_reg(RCX, msr);
    machine.run_to_halt();
    (machine.cpu.state.rip > HANDLERS).then(|| ((machine.cpu.state.rip - 1 - HANDLERS) / 16) as u8)
}

#[test]
fn model_specific_registers_of_absent_features_do_not_exist() {
    const IA32_SYSENTER_CS: u64 = 0x174;
    const IA32_EFER: u64 = 0xc000_0080;
    const IA32_TSC_AUX: u64 = 0xc000_0103;
    assert_eq!(read_msr(CpuModel::I486, 0x10), Some(INVALID_OPCODE), "no RDMSR either");
    assert_eq!(read_msr(CpuModel::Pentium, IA32_SYSENTER_CS), Some(GENERAL_PROTECTION));
    assert_eq!(read_msr(CpuModel::Pentium3, IA32_SYSENTER_CS), None);
    assert_eq!(read_msr(CpuModel::Pentium3, IA32_EFER), Some(GENERAL_PROTECTION));
    assert_eq!(read_msr(CpuModel::Core2, IA32_EFER), None);
    assert_eq!(read_msr(CpuModel::Core2, IA32_TSC_AUX), Some(GENERAL_PROTECTION));
    assert_eq!(read_msr(CpuModel::X86_64V2, IA32_TSC_AUX), None);
}

/// Intel SDM vol. 2, 2.3.5.1: in real mode the bytes are LES, which has no register form.
#[test]
fn there_are_no_vex_prefixes_in_real_mode() {
    // andn eax, eax, eax
    let mut machine = Machine::real(&[0xc4, 0xe2, 0x78, 0xf2, 0xc0]);
    assert_eq!(machine.run_to_vector(), INVALID_OPCODE);
}

#[test]
fn edx_after_reset_is_the_signature() {
    assert_eq!(Cpu::of_model(CpuModel::Pentium).state.regs.get(RDX), 0x52c);
}

#[test]
fn a_snapshot_of_another_model_is_refused() {
    let saved = Cpu::of_model(CpuModel::Core2).save();
    assert!(Cpu::of_model(CpuModel::X86_64V2).restore(&saved).is_err());
    assert!(Cpu::of_model(CpuModel::Core2).restore(&saved).is_ok());
}

#[test]
fn a_snapshot_with_control_bits_its_model_does_not_have_is_refused() {
    let mut cpu = Cpu::of_model(CpuModel::Pentium);
    cpu.state.cr4 = CR4_SMEP;
    let saved = cpu.save();
    assert!(cpu.restore(&saved).is_err());
}

#[test]
fn models_are_found_by_their_names() {
    for model in CpuModel::ALL {
        assert_eq!(CpuModel::named(model.name()), Some(model));
    }
    assert_eq!(CpuModel::named("x86-64-v4"), None);
}

use super::*;
use crate::state::control::EFER_SCE;
use crate::state::eflags;
use crate::testing::*;

const R11: usize = 11;
const ENTRY: u64 = PROGRAM + 0x400;

/// STAR: kernel selectors 0x08/0x10, user base 0x0b so that SYSRET makes 0x1b and 0x13.
fn with_syscall(machine: Machine) -> Machine {
    let mut machine = machine;
    let msrs = &mut machine.cpu.state.msrs;
    msrs.efer |= EFER_SCE;
    msrs.star = 0x000b_0008 << 32;
    msrs.lstar = ENTRY;
    msrs.sfmask = eflags::IF | eflags::TF;
    machine
}

#[test]
fn syscall_saves_rip_and_rflags_in_registers_and_sysret_restores_them() {
    // syscall; hlt -- the kernel: sysretq
    let mut machine = with_syscall(Machine::long(&[0x0f, 0x05, 0xf4]).user());
    machine.write(ENTRY, &[0x48, 0x0f, 0x07]);
    machine.cpu.state.set_rflags(eflags::IF | x86::flags::CF);
    machine.run(1);
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.cpl, state.segs[1].selector, state.segs[2].selector), (ENTRY, 0, 8, 0x10));
    assert_eq!(machine.reg(RCX), PROGRAM + 2);
    assert_eq!(machine.reg(R11), 0x203);
    assert_eq!(machine.cpu.state.rflags() & (eflags::IF | x86::flags::CF), x86::flags::CF, "IA32_FMASK clears IF");
    assert_eq!(machine.reg(RSP), STACK, "the stack pointer is left alone");
    machine.run(1);
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.cpl, state.segs[1].selector), (PROGRAM + 2, 3, 0x1b));
    assert_eq!(state.rflags(), 0x203);
}

#[test]
fn syscall_is_undefined_without_efer_sce_and_in_legacy_mode() {
    assert_eq!(Machine::long(&[0x0f, 0x05]).run_to_vector(), 6);
    assert_eq!(Machine::protected(&[0x0f, 0x05]).run_to_vector(), 6);
}

#[test]
fn sysenter_and_sysexit_pass_between_levels_with_flat_segments() {
    // sysenter; hlt -- the kernel: sysexit
    let mut machine = Machine::protected(&[0x0f, 0x34, 0xf4]).user();
    let msrs = &mut machine.cpu.state.msrs;
    (msrs.sysenter_cs, msrs.sysenter_esp, msrs.sysenter_eip) = (8, KERNEL_STACK, ENTRY);
    machine.write(ENTRY, &[0x0f, 0x35]);
    machine.set_reg(RDX, PROGRAM + 2);
    machine.set_reg(RCX, STACK);
    machine.run(1);
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.cpl, state.regs.get(RSP)), (ENTRY, 0, KERNEL_STACK));
    machine.run(1);
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.cpl, state.regs.get(RSP)), (PROGRAM + 2, 3, STACK));
    assert_eq!((state.segs[1].selector, state.segs[2].selector), (0x1b, 0x23));
}

#[test]
fn sysenter_with_a_null_code_selector_is_a_protection_fault() {
    assert_eq!(Machine::protected(&[0x0f, 0x34]).run_to_vector(), 13);
}

#[test]
fn swapgs_exchanges_the_gs_base_with_the_kernels() {
    let mut machine = Machine::long(&[0x0f, 0x01, 0xf8, 0xf4]);
    machine.cpu.state.segs[5].base = 0x1111;
    machine.cpu.state.msrs.kernel_gs_base = 0x2222;
    machine.run_to_halt();
    assert_eq!((machine.cpu.state.segs[5].base, machine.cpu.state.msrs.kernel_gs_base), (0x2222, 0x1111));
    assert_eq!(Machine::long(&[0x0f, 0x01, 0xf8]).user().run_to_vector(), 13);
}

use super::*;
use crate::state::control::*;
use crate::testing::*;

#[test]
fn impossible_combinations_of_control_bits_are_refused() {
    // mov cr0, eax
    for value in [CR0_PG, CR0_NW | CR0_PE, 1 << 32 | CR0_PE] {
        let mut machine = Machine::protected(&[0x0f, 0x22, 0xc0]);
        machine.set_reg(RAX, value);
        if value >> 32 == 0 {
            assert_eq!(machine.run_to_vector(), 13, "{value:#x}");
        }
    }
    // mov cr4, rax: VMXE, which CPUID does not report; PAE off in 64-bit mode.
    for value in [CR4_PAE | 1 << 13, 0] {
        let mut machine = Machine::long(&[0x0f, 0x22, 0xe0]);
        machine.set_reg(RAX, value);
        assert_eq!(machine.run_to_vector(), 13, "{value:#x}");
    }
}

#[test]
fn paging_with_efer_lme_set_activates_long_mode() {
    // mov cr0, eax; hlt, in 32-bit code with tables and EFER.LME prepared.
    let mut machine = Machine::long(&[]);
    let tables = machine.read(PAGE_TABLES, 0x3000);
    machine = Machine::protected(&[0x0f, 0x22, 0xc0, 0xf4]);
    machine.write(PAGE_TABLES, &tables);
    let state = &mut machine.cpu.state;
    (state.cr3, state.cr4, state.msrs.efer) = (PAGE_TABLES, CR4_PAE, EFER_LME);
    machine.set_reg(RAX, CR0_PG | CR0_PE);
    machine.run_to_halt();
    assert_ne!(machine.cpu.state.msrs.efer & EFER_LMA, 0);
    assert!(!machine.cpu.state.code64(), "compatibility mode until a far jump");
}

#[test]
fn long_mode_without_pae_is_refused() {
    let mut machine = Machine::protected(&[0x0f, 0x22, 0xc0]);
    machine.cpu.state.msrs.efer = EFER_LME;
    machine.set_reg(RAX, CR0_PG | CR0_PE);
    assert_eq!(machine.run_to_vector(), 13);
}

#[test]
fn control_registers_are_for_level_0() {
    for program in [[0x0f, 0x20, 0xc0], [0x0f, 0x22, 0xd8], [0x0f, 0x21, 0xc0], [0x0f, 0x01, 0x38]] {
        assert_eq!(Machine::protected(&program).user().run_to_vector(), 13, "{program:x?}");
    }
    assert_eq!(Machine::protected(&[0x0f, 0x20, 0xc8]).run_to_vector(), 6, "there is no CR1");
}

#[test]
fn cr8_is_the_task_priority_of_the_apic() {
    // mov cr8, rax; mov rbx, cr8; hlt
    let mut machine = Machine::long(&[0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3, 0xf4]);
    machine.set_reg(RAX, 9);
    machine.run_to_halt();
    assert_eq!((machine.bus.task_priority, machine.reg(RBX)), (9, 9));
}

#[test]
fn lmsw_sets_pe_but_cannot_clear_it() {
    // lmsw ax; smsw ebx; hlt
    let mut machine = Machine::protected(&[0x0f, 0x01, 0xf0, 0x0f, 0x01, 0xe3, 0xf4]);
    machine.set_reg(RAX, 8);
    machine.run_to_halt();
    assert_eq!(machine.reg(RBX) & 0xf, 9);
}

#[test]
fn dr7_general_detect_guards_the_debug_registers_once() {
    // mov dr7, eax; mov ebx, dr0
    let mut machine = Machine::protected(&[0x0f, 0x23, 0xf8, 0x0f, 0x21, 0xc3]);
    machine.set_reg(RAX, 1 << 13);
    assert_eq!(machine.run_to_vector(), 1);
    assert_ne!(machine.cpu.state.dr[6] & 1 << 13, 0);
    assert_eq!(machine.cpu.state.dr[7] & 1 << 13, 0, "the handler may use them");
}

fn msr_program(msr: u32, read: bool) -> Vec<u8> {
    // mov ecx, msr; rdmsr or wrmsr; hlt
    let mut program = vec![0xb9];
    program.extend(msr.to_le_bytes());
    program.extend([0x0f, if read { 0x32 } else { 0x30 }, 0xf4]);
    program
}

#[test]
fn an_unknown_msr_is_a_protection_fault_both_ways() {
    assert_eq!(Machine::long(&msr_program(0x1234, true)).run_to_vector(), 13);
    assert_eq!(Machine::long(&msr_program(0x1234, false)).run_to_vector(), 13);
}

#[test]
fn pat_after_reset_has_the_manuals_types_and_refuses_reserved_ones() {
    let mut machine = Machine::long(&msr_program(0x277, true));
    machine.run_to_halt();
    assert_eq!((machine.reg(RDX), machine.reg(RAX)), (0x0007_0406, 0x0007_0406));
    let mut machine = Machine::long(&msr_program(0x277, false));
    machine.set_reg(RAX, 2);
    assert_eq!(machine.run_to_vector(), 13);
}

#[test]
fn efer_lme_cannot_change_under_paging_and_reserved_bits_fault() {
    for value in [0, EFER_LME | 1 << 16] {
        let mut machine = Machine::long(&msr_program(0xc000_0080, false));
        machine.set_reg(RAX, value);
        assert_eq!(machine.run_to_vector(), 13, "{value:#x}");
    }
}

#[test]
fn writing_the_tsc_moves_it_and_its_adjustment() {
    // jmp next; wrmsr 0x10; mov ecx, 0x3b; rdmsr; hlt
    let mut program = vec![0xeb, 0];
    program.extend(msr_program(0x10, false));
    program.pop();
    program.extend([0xb9, 0x3b, 0, 0, 0, 0x0f, 0x32, 0xf4]);
    let mut machine = Machine::long(&program);
    machine.set_reg(RDX, 5);
    machine.run_to_halt();
    assert_eq!(machine.reg(RDX), 4, "5 << 32 less the few nanoseconds that had passed");
    assert!(machine.reg(RAX) > 0xffff_0000);
}

#[test]
fn rdtsc_counts_nanoseconds_and_tsd_keeps_it_from_user_code() {
    // rdtsc; mov ebx, eax; mov ecx, 100; loop self; rdtsc; sub eax, ebx; hlt: a nanosecond an instruction here
    let program = [0x0f, 0x31, 0x89, 0xc3, 0xb9, 100, 0, 0, 0, 0xe2, 0xfe, 0x0f, 0x31, 0x29, 0xd8, 0xf4];
    let mut machine = Machine::long(&program);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 103);
    let mut machine = Machine::long(&[0x0f, 0x31]).user();
    machine.cpu.state.cr4 |= CR4_TSD;
    assert_eq!(machine.run_to_vector(), 13);
}

#[test]
fn rdrand_sets_carry_and_differs_from_call_to_call() {
    // rdrand rax; rdrand rbx; hlt
    let mut machine = Machine::long(&[0x48, 0x0f, 0xc7, 0xf0, 0x48, 0x0f, 0xc7, 0xf3, 0xf4]);
    machine.run_to_halt();
    assert_ne!(machine.reg(RAX), machine.reg(RBX));
    assert_eq!(machine.cpu.state.rflags() & x86::flags::STATUS, x86::flags::CF);
}

#[test]
fn the_same_seed_gives_the_same_random_numbers_and_a_reset_does_not_repeat_them() {
    use platform::Vcpu;
    // rdrand rax; hlt
    let first = |seed| {
        let mut machine = Machine::long(&[0x48, 0x0f, 0xc7, 0xf0, 0xf4]);
        machine.cpu.seed_random(seed);
        machine.run_to_halt();
        (machine.reg(RAX), machine)
    };
    let (number, mut machine) = first(1);
    assert_eq!(number, first(1).0);
    assert_ne!(number, first(2).0);
    let before = machine.cpu.state.random;
    machine.cpu.reset();
    assert_eq!(machine.cpu.state.random, before);
}

#[test]
fn user_code_cannot_halt() {
    assert_eq!(Machine::long(&[0xf4]).user().run_to_vector(), 13);
}

//! Segment loads and checks, against volume 3, chapters 3 and 5, and MOV in volume 2.

use x86::seg;

use crate::testing::*;

const RAX: usize = 0;
const RSP: usize = 4;
/// mov ds, eax
const MOV_DS: [u8; 2] = [0x8e, 0xd8];
/// mov ss, eax
const MOV_SS: [u8; 2] = [0x8e, 0xd0];

fn error_code(machine: &mut Machine) -> u32 {
    machine.read32(machine.reg(RSP))
}

#[test]
fn loading_a_data_segment_sets_its_accessed_bit() {
    let mut machine = Machine::protected(&[&MOV_DS[..], &[0xf4]].concat());
    machine.set_descriptor(selector::FREE, flat_descriptor(0x92, 0xc));
    machine.set_reg(RAX, u64::from(selector::FREE));
    machine.run_to_halt();
    assert_eq!(machine.read(GDT + u64::from(selector::FREE) + 5, 1), [0x93]);
    assert_eq!(machine.cpu.state.segs[usize::from(seg::DS)].limit, u32::MAX);
}

#[test]
fn faults_of_segment_loads_name_the_selector() {
    let cases: [(&[u8], u16, u64, u8, u32); 6] = [
        (&MOV_DS, 0x1000, 0, 13, 0x1000),
        (&MOV_DS, selector::FREE, flat_descriptor(0x13, 0xc), 11, 0x38),
        (&MOV_DS, selector::FREE, flat_descriptor(0x99, 0xc), 13, 0x38),
        (&MOV_SS, selector::FREE, flat_descriptor(0x13, 0xc), 12, 0x38),
        (&MOV_SS, selector::FREE, flat_descriptor(0x91, 0xc), 13, 0x38),
        (&MOV_SS, 0, 0, 13, 0),
    ];
    for (program, selector, descriptor, vector, code) in cases {
        let mut machine = Machine::protected(program);
        machine.set_descriptor(selector::FREE, descriptor);
        machine.set_reg(RAX, u64::from(selector));
        assert_eq!((machine.run_to_vector(), error_code(&mut machine)), (vector, code), "{program:x?} {selector:#x}");
    }
}

#[test]
fn a_null_data_segment_loads_and_faults_when_used() {
    // mov ds, eax; mov eax, [0x3000]
    let mut machine = Machine::protected(&[&MOV_DS[..], &[0xa1, 0, 0x30, 0, 0]].concat());
    machine.set_reg(RAX, 0);
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(error_code(&mut machine), 0);
}

#[test]
fn accesses_beyond_the_limit_fault_and_those_up_to_it_do_not() {
    // mov ds, eax; mov eax, [0x0ffc]; mov eax, [0x0ffd]
    let program = [&MOV_DS[..], &[0xa1, 0xfc, 0x0f, 0, 0, 0xa1, 0xfd, 0x0f, 0, 0]].concat();
    let mut machine = Machine::protected(&program);
    machine.set_descriptor(selector::FREE, system_descriptor(0x3000, 0xfff, 0x93) | 4 << 52);
    machine.set_reg(RAX, u64::from(selector::FREE));
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM + 7);
}

#[test]
fn an_expand_down_segment_is_valid_above_its_limit() {
    // mov ds, eax; mov eax, [0x1000]; mov eax, [0x0fff]
    let program = [&MOV_DS[..], &[0xa1, 0, 0x10, 0, 0, 0xa1, 0xff, 0x0f, 0, 0]].concat();
    let mut machine = Machine::protected(&program);
    machine.set_descriptor(selector::FREE, system_descriptor(0, 0xfff, 0x97) | 4 << 52);
    machine.set_reg(RAX, u64::from(selector::FREE));
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM + 7);
}

#[test]
fn a_store_to_a_read_only_segment_faults() {
    // mov ds, eax; mov eax, [0x3000]; mov [0x3000], eax
    let program = [&MOV_DS[..], &[0xa1, 0, 0x30, 0, 0, 0xa3, 0, 0x30, 0, 0]].concat();
    let mut machine = Machine::protected(&program);
    machine.set_descriptor(selector::FREE, flat_descriptor(0x91, 0xc));
    machine.set_reg(RAX, u64::from(selector::FREE));
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM + 7);
}

#[test]
fn a_word_at_offset_ffff_faults_in_real_mode() {
    // mov ax, [0xffff]
    let mut machine = Machine::real(&[0xa1, 0xff, 0xff]);
    assert_eq!(machine.run_to_vector(), 13);
}

#[test]
fn a_limit_loaded_in_protected_mode_survives_the_return_to_real_mode() {
    // mov ax, [ebx] with DS limit 4 GiB in real mode; hlt
    let mut machine = Machine::real(&[0x67, 0x8b, 0x03, 0xf4]);
    machine.cpu.state.segs[usize::from(seg::DS)].limit = u32::MAX;
    machine.cpu.state_changed();
    machine.write(0x12_3456, &[0xcd, 0xab]);
    machine.set_reg(3, 0x12_3456);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0xabcd);
}

#[test]
fn user_code_cannot_load_a_kernel_data_segment() {
    let mut machine = Machine::protected(&MOV_DS).user();
    machine.set_reg(RAX, u64::from(selector::DATA));
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(error_code(&mut machine), u32::from(selector::DATA));
}

#[test]
fn interrupts_wait_one_instruction_after_mov_ss() {
    // sti; nop; mov ss, eax; inc ebx; inc ebx
    let mut machine = Machine::protected(&[0xfb, 0x90, 0x8e, 0xd0, 0x43, 0x43]);
    machine.set_reg(RAX, u64::from(selector::DATA));
    machine.run(3);
    machine.bus.interrupt = Some(0x40);
    assert_eq!(machine.run_to_vector(), 0x40);
    assert_eq!(machine.reg(3), 1);
}

#[test]
fn a_null_stack_segment_is_legal_in_64_bit_mode_below_level_3() {
    // mov ss, eax; push rax; hlt
    let mut machine = Machine::long(&[0x8e, 0xd0, 0x50, 0xf4]);
    machine.set_reg(RAX, 0);
    machine.run_to_halt();
    assert_eq!(machine.reg(RSP), STACK - 8);
}

#[test]
fn a_store_through_cs_faults_in_protected_mode() {
    // mov cs:[0x3000], eax
    let mut machine = Machine::protected(&[0x2e, 0xa3, 0, 0x30, 0, 0]);
    assert_eq!(machine.run_to_vector(), 13);
}

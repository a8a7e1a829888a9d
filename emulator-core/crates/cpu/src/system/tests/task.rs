use super::*;
use crate::state::control::CR0_TS;
use crate::state::eflags;
use crate::testing::*;

const NEW_TSS: u64 = 0x5000;
const NEW_TSS_SELECTOR: u16 = selector::FREE;
const TASK: u64 = PROGRAM + 0x300;

/// A machine with a second 32-bit task that starts at [`TASK`] with EAX 0x1234.
fn with_task(program: &[u8], task: &[u8]) -> Machine {
    let mut machine = Machine::protected(program);
    machine.set_descriptor(NEW_TSS_SELECTOR, system_descriptor(NEW_TSS, 0x67, 0x89));
    machine.write(TASK, task);
    let fields: [(u64, u32); 10] = [
        (0x20, TASK as u32),
        (0x24, 2),
        (0x28, 0x1234),
        (0x38, 0x2_8000),
        (0x48, selector::DATA.into()),
        (0x4c, selector::CODE.into()),
        (0x50, selector::DATA.into()),
        (0x54, selector::DATA.into()),
        (0x58, 0),
        (0x5c, 0),
    ];
    for (offset, value) in fields {
        machine.write(NEW_TSS + offset, &value.to_le_bytes());
    }
    machine
}

#[test]
fn a_far_call_to_a_task_and_the_nested_return() {
    // call far 0x38:0; hlt -- the task: iret
    let mut machine = with_task(&[0x9a, 0, 0, 0, 0, 0x38, 0, 0xf4], &[0xcf]);
    machine.set_reg(RAX, 7);
    machine.run(1);
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.regs.get(RAX), state.regs.get(RSP)), (TASK, 0x1234, 0x2_8000));
    assert_ne!(state.system_flags & eflags::NT, 0);
    assert_ne!(state.cr0 & CR0_TS, 0);
    assert_eq!(machine.read16(NEW_TSS), selector::TSS, "the link to the caller");
    assert_eq!(machine.read(GDT + 0x38 + 5, 1), [0x8b], "the new task is busy");
    assert_eq!(machine.read(GDT + 0x28 + 5, 1), [0x8b], "so is the nested one");
    machine.run_to_halt();
    let state = &machine.cpu.state;
    assert_eq!((state.rip, state.regs.get(RAX), state.tr.selector), (PROGRAM + 8, 7, selector::TSS));
    assert_eq!(machine.read(GDT + 0x38 + 5, 1), [0x89], "the task that returned is not busy");
    assert_eq!(u64::from(machine.read32(NEW_TSS + 0x24)) & eflags::NT, 0);
}

#[test]
fn a_jump_to_a_task_frees_the_old_one() {
    let mut machine = with_task(&[0xea, 0, 0, 0, 0, 0x38, 0], &[0xf4]);
    machine.run_to_halt();
    assert_eq!(machine.read(GDT + 0x28 + 5, 1), [0x89]);
    assert_eq!(machine.cpu.state.system_flags & eflags::NT, 0);
    assert_eq!(u64::from(machine.read32(TSS + 0x20)), PROGRAM + 7, "where the old task would go on");
}

#[test]
fn a_task_gate_in_the_idt_pushes_the_error_code_on_the_new_stack() {
    // mov ds, eax with a bad selector: #GP through a task gate.
    let mut machine = with_task(&[0x8e, 0xd8], &[0xf4]);
    machine.write(IDT + 13 * 8, &gate(NEW_TSS_SELECTOR, 0, 0x85).to_le_bytes());
    machine.set_reg(RAX, 0x1000);
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.tr.selector, NEW_TSS_SELECTOR);
    assert_eq!(machine.reg(RSP), 0x2_8000 - 4);
    assert_eq!(machine.read32(0x2_8000 - 4), 0x1000);
    assert_eq!(u64::from(machine.read32(TSS + 0x20)), PROGRAM, "the fault's address is saved");
}

#[test]
fn switching_to_a_busy_task_or_one_with_a_short_segment_is_refused() {
    let call = [0x9a, 0, 0, 0, 0, 0x38, 0];
    let mut machine = with_task(&call, &[]);
    machine.set_descriptor(NEW_TSS_SELECTOR, system_descriptor(NEW_TSS, 0x67, 0x8b));
    assert_eq!(machine.run_to_vector(), 13);
    let mut machine = with_task(&call, &[]);
    machine.set_descriptor(NEW_TSS_SELECTOR, system_descriptor(NEW_TSS, 0x66, 0x89));
    assert_eq!(machine.run_to_vector(), 10);
    assert_eq!(machine.read32(machine.reg(RSP)), 0x38);
}

#[test]
fn a_bad_stack_selector_of_the_new_task_faults_in_the_new_task() {
    // Only a task gate has a stack to report it on: the new task's own SS is what is wrong.
    let mut machine = with_task(&[0xea, 0, 0, 0, 0, 0x38, 0], &[]);
    machine.write(NEW_TSS + 0x54, &selector::CODE.to_le_bytes());
    machine.write(NEW_TSS + 0x48, &0x1000u16.to_le_bytes());
    assert_eq!(machine.run_to_vector(), 10);
    assert_eq!(machine.read32(machine.reg(RSP)), 0x1000);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), TASK);
}

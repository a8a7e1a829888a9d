//! Delivery and return, against what the manual's chapters 6 and 20 say. Handlers are a `HLT` each (see `testing`).

use x86::seg;

use crate::state::eflags;
use crate::testing::*;

const INT_80: [u8; 2] = [0xcd, 0x80];
const UD2: [u8; 2] = [0x0f, 0x0b];
const RSP: usize = 4;
const RAX: usize = 0;

#[test]
fn a_fault_in_real_mode_pushes_flags_cs_and_the_faulting_ip() {
    let mut machine = Machine::real(&UD2);
    assert_eq!(machine.run_to_vector(), 6);
    let sp = machine.reg(RSP);
    assert_eq!(sp, 0xf000 - 6);
    assert_eq!(machine.read16(sp), 0, "IP of the faulting instruction");
    assert_eq!(machine.read16(sp + 2), (PROGRAM >> 4) as u16);
    assert_eq!(machine.read16(sp + 4) & 2, 2, "bit 1 of FLAGS is always set");
}

#[test]
fn a_real_mode_interrupt_returns_with_iret_to_the_next_instruction() {
    let mut machine = Machine::real(&[0xfb, 0xcd, 0x21, 0xf4]);
    machine.write(HANDLERS + 0x21 * 16, &[0xcf]);
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.rip, 4);
    assert_ne!(machine.cpu.state.system_flags & eflags::IF, 0, "IRET restores IF");
    assert_eq!(machine.reg(RSP), 0xf000);
}

#[test]
fn a_fault_at_the_same_level_of_protected_mode_pushes_no_stack_pointer() {
    let mut machine = Machine::protected(&UD2);
    assert_eq!(machine.run_to_vector(), 6);
    let sp = machine.reg(RSP);
    assert_eq!(sp, STACK - 12);
    assert_eq!(u64::from(machine.read32(sp)), PROGRAM);
    assert_eq!(machine.read32(sp + 4), u32::from(selector::CODE));
    assert_ne!(u64::from(machine.read32(sp + 8)) & eflags::RF, 0, "a fault saves RF set (17.3.1.1)");
}

#[test]
fn a_fault_at_level_3_switches_to_the_stack_of_the_task_state_segment() {
    let mut machine = Machine::protected(&UD2).user();
    assert_eq!(machine.run_to_vector(), 6);
    let sp = machine.reg(RSP);
    assert_eq!(sp, KERNEL_STACK - 20);
    let frame: Vec<u32> = (0..5).map(|i| machine.read32(sp + i * 4)).collect();
    assert_eq!(frame[0], PROGRAM as u32);
    assert_eq!(frame[1], u32::from(selector::USER_CODE));
    assert_eq!(frame[3], STACK as u32);
    assert_eq!(frame[4], u32::from(selector::USER_DATA));
    assert_eq!(machine.cpu.state.cpl, 0);
    assert_eq!(machine.cpu.state.segs[usize::from(seg::SS)].selector, selector::DATA);
}

#[test]
fn int_n_from_level_3_through_a_gate_of_dpl_0_is_a_protection_fault_that_names_the_gate() {
    let mut machine = Machine::protected(&INT_80).user();
    assert_eq!(machine.run_to_vector(), 13);
    // Error code: vector 0x80, IDT bit, EXT clear (6.13).
    let sp = machine.reg(RSP);
    assert_eq!(machine.read32(sp), 0x80 << 3 | 2);
    assert_eq!(u64::from(machine.read32(sp + 4)), PROGRAM, "INT n is a fault here: it did not run");
}

#[test]
fn a_long_mode_frame_has_five_words_on_a_stack_aligned_to_16() {
    let mut machine = Machine::long(&UD2);
    machine.set_reg(RSP, STACK - 3);
    assert_eq!(machine.run_to_vector(), 6);
    let sp = machine.reg(RSP);
    assert_eq!(sp, ((STACK - 3) & !15) - 40);
    assert_eq!(machine.read64(sp), PROGRAM);
    assert_eq!(machine.read64(sp + 24), STACK - 3);
    assert_eq!(machine.read64(sp + 32), u64::from(selector::DATA));
}

#[test]
fn a_long_mode_fault_at_level_3_loads_rsp0_and_a_null_stack_segment() {
    let mut machine = Machine::long(&UD2).user();
    assert_eq!(machine.run_to_vector(), 6);
    assert_eq!(machine.reg(RSP), KERNEL_STACK - 40);
    assert_eq!(machine.cpu.state.segs[usize::from(seg::SS)].selector, 0);
}

#[test]
fn an_interrupt_stack_of_the_gate_is_used_even_at_the_same_level() {
    let mut machine = Machine::long(&UD2);
    machine.write(IDT + 6 * 16 + 4, &[2]);
    machine.write(TSS + 0x24 + 8, &0x28000u64.to_le_bytes());
    assert_eq!(machine.run_to_vector(), 6);
    assert_eq!(machine.reg(RSP), 0x28000 - 40);
}

#[test]
fn iretq_goes_back_to_level_3() {
    // iretq on a frame prepared below the stack; user code is hlt, which faults there.
    let mut machine = Machine::long(&[0x48, 0xcf]);
    let user = PROGRAM + 0x100;
    machine.write(user, &[0xf4]);
    let frame = [user, u64::from(selector::USER_CODE), 0x202, 0x2_8000, u64::from(selector::USER_DATA)];
    for (place, value) in frame.into_iter().enumerate() {
        machine.write(STACK - 40 + place as u64 * 8, &value.to_le_bytes());
    }
    machine.set_reg(RSP, STACK - 40);
    assert_eq!(machine.run_to_vector(), 13, "HLT is privileged");
    let sp = machine.reg(RSP);
    assert_eq!(machine.read64(sp), 0, "error code");
    assert_eq!(machine.read64(sp + 8), user);
    assert_eq!(machine.read64(sp + 16), u64::from(selector::USER_CODE));
    assert_eq!(machine.read64(sp + 32), 0x2_8000);
}

#[test]
fn a_fault_while_delivering_a_contributory_fault_is_a_double_fault() {
    // Table 6-5: #GP, then #NP because the handler's gate is absent.
    let mut machine = Machine::protected(&[0xcd, 0x80]).user();
    machine.write(IDT + 13 * 8 + 5, &[0x0e]);
    assert_eq!(machine.run_to_vector(), 8);
    let sp = machine.reg(RSP);
    assert_eq!(machine.read32(sp), 0, "the error code of a double fault is zero");
}

#[test]
fn a_fault_while_delivering_a_double_fault_shuts_down() {
    let mut machine = Machine::protected(&UD2);
    machine.cpu.state.idtr.limit = 0;
    assert_eq!(machine.run(100), platform::VcpuExit::Shutdown);
}

#[test]
fn a_benign_exception_that_cannot_be_delivered_becomes_the_second_fault() {
    // #UD is benign: the #NP of its absent gate is delivered, with the IDT and EXT bits.
    let mut machine = Machine::protected(&UD2);
    machine.write(IDT + 6 * 8 + 5, &[0x0e]);
    assert_eq!(machine.run_to_vector(), 11);
    let sp = machine.reg(RSP);
    assert_eq!(machine.read32(sp), 6 << 3 | 2 | 1);
}

#[test]
fn an_interrupt_waits_one_instruction_after_sti() {
    // sti; inc eax; inc eax
    let mut machine = Machine::protected(&[0xfb, 0x40, 0x40]);
    machine.bus.interrupt = Some(0x40);
    assert_eq!(machine.run_to_vector(), 0x40);
    assert_eq!(machine.reg(RAX), 1);
}

#[test]
fn hlt_is_left_by_an_interrupt_and_the_frame_returns_behind_it() {
    let mut machine = Machine::protected(&[0xfb, 0xf4, 0x40, 0xfa, 0xf4]);
    machine.write(HANDLERS + 0x40 * 16, &[0xcf]);
    assert_eq!(machine.run(100), platform::VcpuExit::Halt);
    machine.bus.interrupt = Some(0x40);
    assert_eq!(machine.run(100), platform::VcpuExit::Halt);
    assert_eq!(machine.reg(RAX), 1);
    assert_eq!(machine.cpu.state.rip, PROGRAM + 5);
}

#[test]
fn single_step_traps_after_each_instruction_with_bs_in_dr6() {
    // pushf; or dword [esp], 0x100; popf; inc eax; inc eax
    let mut machine = Machine::protected(&[0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x40, 0x40]);
    assert_eq!(machine.run_to_vector(), 1);
    assert_eq!(machine.reg(RAX), 1, "the instruction after POPF runs, then traps");
    assert_ne!(machine.cpu.state.dr[6] & 1 << 14, 0);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP))), PROGRAM + 10);
    assert_eq!(machine.cpu.state.system_flags & eflags::TF, 0);
}

#[test]
fn an_instruction_breakpoint_faults_before_its_instruction() {
    // mov dr0, eax; mov dr7, ebx; nop; nop
    let mut machine = Machine::protected(&[0x0f, 0x23, 0xc0, 0x0f, 0x23, 0xfb, 0x90, 0x40]);
    machine.set_reg(RAX, PROGRAM + 7);
    machine.set_reg(3, 1);
    assert_eq!(machine.run_to_vector(), 1);
    assert_eq!(machine.reg(RAX), PROGRAM + 7, "INC EAX has not run");
    assert_eq!(machine.cpu.state.dr[6] & 0xf, 1);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP))), PROGRAM + 7);
}

#[test]
fn a_data_breakpoint_traps_after_the_write_that_hits_it() {
    // mov dr1, eax; mov dr7, ebx; mov [0x3004], ecx; nop
    let program = [0x0f, 0x23, 0xc8, 0x0f, 0x23, 0xfb, 0x89, 0x0d, 0x04, 0x30, 0, 0, 0x90];
    let mut machine = Machine::protected(&program);
    machine.set_reg(RAX, 0x3004);
    // L1, write, four bytes (17.2.4).
    machine.set_reg(3, 1 << 2 | 0b1101 << 20);
    machine.set_reg(1, 0xabcd);
    assert_eq!(machine.run_to_vector(), 1);
    assert_eq!(machine.read32(0x3004), 0xabcd, "a data breakpoint is a trap");
    assert_eq!(machine.cpu.state.dr[6] & 0xf, 2);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP))), PROGRAM + 12);
}

#[test]
fn iret_to_virtual_8086_mode_and_an_interrupt_back_save_all_segments() {
    // iretd; the 8086 program is "int 0x80" with IOPL 3.
    let mut machine = Machine::protected(&[0xcf]);
    machine.write(IDT + 0x80 * 8 + 5, &[0xee]);
    machine.write(0x5_0010, &[0xcd, 0x80]);
    let frame: [u32; 9] = [0x10, 0x5000, 0x2_3202, 0x8000, 0x6000, 0x1111, 0x2222, 0x3333, 0x4444];
    for (place, value) in frame.into_iter().enumerate() {
        machine.write(STACK - 36 + place as u64 * 4, &value.to_le_bytes());
    }
    machine.set_reg(RSP, STACK - 36);
    assert_eq!(machine.run_to_vector(), 0x80);
    let sp = machine.reg(RSP);
    assert_eq!(sp, KERNEL_STACK - 36);
    let saved: Vec<u32> = (0..9).map(|i| machine.read32(sp + i * 4)).collect();
    assert_eq!(saved[0], 0x12, "behind the INT");
    assert_eq!(saved[1], 0x5000);
    assert_ne!(u64::from(saved[2]) & eflags::VM, 0);
    assert_eq!(saved[3..], [0x8000, 0x6000, 0x1111, 0x2222, 0x3333, 0x4444]);
    assert!(machine.cpu.state.segs[usize::from(seg::DS)].access.unusable());
}

#[test]
fn int_n_in_virtual_8086_mode_below_iopl_3_is_a_protection_fault() {
    let mut machine = Machine::protected(&[0xcf]);
    machine.write(0x5_0010, &[0xcd, 0x80]);
    let frame: [u32; 9] = [0x10, 0x5000, 0x2_0202, 0x8000, 0x6000, 0, 0, 0, 0];
    for (place, value) in frame.into_iter().enumerate() {
        machine.write(STACK - 36 + place as u64 * 4, &value.to_le_bytes());
    }
    machine.set_reg(RSP, STACK - 36);
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(machine.read32(machine.reg(RSP)), 0);
}

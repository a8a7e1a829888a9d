use super::*;
use crate::state::eflags;
use crate::testing::*;

#[test]
fn user_code_cannot_change_if_or_iopl_with_popf_but_it_does_not_fault() {
    // push 0x3246; popf; pushf; pop eax; hlt
    let mut machine = Machine::protected(&[0x68, 0x46, 0x32, 0, 0, 0x9d, 0x9c, 0x58, 0xf4]).user();
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(machine.reg(RAX), 0x46, "ZF and PF arrive, IF and IOPL do not");
}

#[test]
fn cli_and_sti_need_iopl() {
    for program in [[0xfa], [0xfb]] {
        let mut machine = Machine::protected(&program).user();
        assert_eq!(machine.run_to_vector(), 13);
        let mut machine = Machine::protected(&program).user();
        machine.cpu.state.system_flags |= eflags::IOPL;
        machine.run(1);
        assert_eq!(machine.cpu.state.rip, PROGRAM + 1);
    }
}

#[test]
fn protected_mode_virtual_interrupts_let_user_code_have_its_own_flag() {
    use crate::state::control::CR4_PVI;
    let mut machine = Machine::protected(&[0xfb, 0xfa]).user();
    machine.cpu.state.cr4 = CR4_PVI;
    machine.run(1);
    assert_eq!(machine.cpu.state.system_flags & (eflags::VIF | eflags::IF), eflags::VIF);
    machine.run(1);
    assert_eq!(machine.cpu.state.system_flags & eflags::VIF, 0);
}

#[test]
fn pusha_pushes_the_old_stack_pointer_and_popa_skips_it() {
    // pusha; popa; hlt
    let mut machine = Machine::protected(&[0x60, 0x61, 0xf4]);
    for (number, value) in [(RAX, 1), (RCX, 2), (RDX, 3), (RBX, 4), (RBP, 6), (RSI, 7), (RDI, 8)] {
        machine.set_reg(number, value);
    }
    machine.run(1);
    let pushed: Vec<u32> = (0..8).map(|i| machine.read32(STACK - 32 + i * 4)).collect();
    assert_eq!(pushed, [8, 7, 6, STACK as u32, 4, 3, 2, 1]);
    machine.write(STACK - 32 + 12, &[0; 4]);
    machine.run_to_halt();
    assert_eq!(machine.reg(RSP), STACK);
}

#[test]
fn enter_copies_frame_pointers_of_outer_levels() {
    // enter 0x10, 2; hlt
    let mut machine = Machine::protected(&[0xc8, 0x10, 0, 2, 0xf4]);
    machine.set_reg(RBP, 0x3000);
    machine.write(0x3000 - 4, &0xaaaa_u32.to_le_bytes());
    machine.run_to_halt();
    let frame = STACK - 4;
    assert_eq!(machine.reg(RBP), frame);
    assert_eq!(machine.read32(frame), 0x3000);
    assert_eq!(machine.read32(frame - 4), 0xaaaa);
    assert_eq!(u64::from(machine.read32(frame - 8)), frame);
    assert_eq!(machine.reg(RSP), frame - 8 - 0x10);
}

#[test]
fn pop_to_an_address_based_on_esp_uses_the_incremented_esp() {
    // push 0x77; pop dword [esp]; hlt
    let mut machine = Machine::protected(&[0x6a, 0x77, 0x8f, 0x04, 0x24, 0xf4]);
    machine.run_to_halt();
    assert_eq!(machine.read32(STACK), 0x77);
}

#[test]
fn lahf_and_sahf_carry_the_low_status_flags() {
    // mov ah, 0xd5; sahf; mov ah, 0; lahf; hlt
    let mut machine = Machine::long(&[0xb4, 0xd5, 0x9e, 0xb4, 0, 0x9f, 0xf4]);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX) >> 8, 0xd7, "bit 1 reads as one");
}

#[test]
fn int_n_of_a_virtual_8086_task_is_redirected_to_its_own_handler() {
    use crate::state::control::CR4_VME;
    // iretd to 5000:0010 with IOPL 0 and VIF; int 0x21 there, its vector leads to 4000:0000: hlt (privileged)
    let mut machine = Machine::protected(&[0xcf]);
    machine.cpu.state.cr4 = CR4_VME;
    // The redirection bitmap is all zero, below an I/O bitmap at 0x88.
    machine.cpu.state.tr.limit = 0x100;
    machine.write(TSS + 0x66, &0x88u16.to_le_bytes());
    machine.write(0x5_0010, &[0xcd, 0x21]);
    machine.write(0x21 * 4, &[0, 0, 0, 0x40]);
    machine.write(0x4_0000, &[0xf4]);
    let frame: [u32; 9] = [0x10, 0x5000, 0xa_0202, 0x8000, 0x6000, 0, 0, 0, 0];
    for (place, value) in frame.into_iter().enumerate() {
        machine.write(STACK - 36 + place as u64 * 4, &value.to_le_bytes());
    }
    machine.set_reg(RSP, STACK - 36);
    machine.run(2);
    assert_eq!((machine.cpu.state.segs[1].selector, machine.cpu.state.rip), (0x4000, 0));
    assert_eq!(machine.cpu.state.system_flags & eflags::VIF, 0, "the handler runs with virtual interrupts off");
    let pushed: Vec<u16> = (0..3).map(|i| machine.read16(0x6_8000 - 6 + i * 2)).collect();
    assert_eq!(pushed, [0x12, 0x5000, 0x3202], "FLAGS as if IOPL were 3 and IF were VIF");
}

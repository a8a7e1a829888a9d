use super::*;
use crate::state::eflags;
use crate::testing::*;

#[test]
fn in_and_out_have_the_width_of_their_register() {
    // out 0x80, al; mov dx, 0x3f8; out dx, ax; out dx, eax; in al, dx; hlt
    let program = [0xe6, 0x80, 0x66, 0xba, 0xf8, 0x03, 0x66, 0xef, 0xef, 0xec, 0xf4];
    let mut machine = Machine::protected(&program);
    machine.set_reg(RAX, 0x1234_5678);
    machine.bus.answer = 0xab;
    machine.run_to_halt();
    assert_eq!(machine.bus.writes, [(0x80, 0x78), (0x3f8, 0x5678), (0x3f8, 0x1234_5678)]);
    assert_eq!(machine.reg(RAX), 0x1234_56ab);
}

#[test]
fn the_io_permission_bitmap_decides_for_user_code() {
    // in al, 0x60, with the bitmap at 0x68 of a longer TSS
    let with_bitmap = |byte: u8| {
        let mut machine = Machine::protected(&[0xe4, 0x60, 0xf4]).user();
        machine.cpu.state.tr.limit = 0x67 + 0x20;
        machine.write(TSS + 0x68 + 0x60 / 8, &[byte]);
        machine
    };
    let mut machine = with_bitmap(0xfe);
    assert_eq!(machine.run_to_vector(), 13, "HLT, behind the IN");
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM + 2);
    let mut machine = with_bitmap(0x01);
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM);
}

#[test]
fn iopl_3_opens_every_port_to_user_code() {
    let mut machine = Machine::protected(&[0xe4, 0x60, 0xf4]).user();
    machine.cpu.state.system_flags |= eflags::IOPL;
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP) + 4)), PROGRAM + 2);
}

#[test]
fn rep_outsb_and_insb_move_strings() {
    // mov dx, 0xe9; rep outsb; mov ecx, 3; rep insb; hlt
    let program = [0x66, 0xba, 0xe9, 0, 0xf3, 0x6e, 0xb9, 3, 0, 0, 0, 0xf3, 0x6c, 0xf4];
    let mut machine = Machine::protected(&program);
    machine.write(0x3000, b"hi!");
    machine.set_reg(RSI, 0x3000);
    machine.set_reg(RDI, 0x3100);
    machine.set_reg(RCX, 3);
    machine.bus.answer = 0x2a;
    machine.run_to_halt();
    assert_eq!(machine.bus.writes, [(0xe9, 0x68), (0xe9, 0x69), (0xe9, 0x21)]);
    assert_eq!(machine.read(0x3100, 4), [0x2a, 0x2a, 0x2a, 0]);
}

#[test]
fn a_port_breakpoint_traps_after_the_access() {
    use crate::state::control::CR4_DE;
    // mov dr0, eax; mov dr7, ebx; in al, 0x60; nop
    let mut machine = Machine::protected(&[0x0f, 0x23, 0xc0, 0x0f, 0x23, 0xfb, 0xe4, 0x60, 0x90]);
    machine.cpu.state.cr4 = CR4_DE;
    machine.set_reg(RAX, 0x60);
    machine.set_reg(RBX, 1 | 0b0010 << 16);
    assert_eq!(machine.run_to_vector(), 1);
    assert_eq!(u64::from(machine.read32(machine.reg(RSP))), PROGRAM + 8);
}

use super::*;
use crate::testing::*;

const ZF: u64 = x86::flags::ZF;

#[test]
fn lgdt_and_sgdt_move_limit_and_base() {
    // lgdt [0x3000]; sgdt [0x3010]; hlt
    let program = [0x0f, 0x01, 0x15, 0, 0x30, 0, 0, 0x0f, 0x01, 0x05, 0x10, 0x30, 0, 0, 0xf4];
    let mut machine = Machine::protected(&program);
    let table = [0xff, 0, 0, 0x10, 0, 0];
    machine.write(0x3000, &table);
    machine.run_to_halt();
    assert_eq!(machine.read(0x3010, 6), table);
    assert_eq!(machine.cpu.state.gdtr.base, 0x1000);
}

#[test]
fn lgdt_with_a_16_bit_operand_takes_24_bits_of_base() {
    // o16 lgdt [0x3000]; hlt
    let mut machine = Machine::protected(&[0x66, 0x0f, 0x01, 0x15, 0, 0x30, 0, 0, 0xf4]);
    machine.write(0x3000, &[0xff, 0, 0, 0x10, 0, 0xff]);
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.gdtr.base, 0x1000);
}

#[test]
fn ltr_marks_the_segment_busy_and_refuses_a_busy_one() {
    // ltr ax; ltr ax
    let mut machine = Machine::protected(&[0x0f, 0x00, 0xd8, 0x0f, 0x00, 0xd8]);
    machine.set_descriptor(selector::FREE, system_descriptor(0x5000, 0x67, 0x89));
    machine.set_reg(RAX, u64::from(selector::FREE));
    machine.run(1);
    assert_eq!(machine.cpu.state.tr.base, 0x5000);
    assert_eq!(machine.read(GDT + 0x38 + 5, 1), [0x8b]);
    machine.write(0x5000 + 4, &(KERNEL_STACK as u32).to_le_bytes());
    assert_eq!(machine.run_to_vector(), 13);
    assert_eq!(machine.read32(machine.reg(RSP)), 0x38);
}

#[test]
fn a_long_mode_tss_has_a_64_bit_base() {
    let mut machine = Machine::long(&[0x0f, 0x00, 0xd8, 0xf4]);
    machine.set_descriptor(selector::FREE, system_descriptor(0x5000, 0x67, 0x89));
    machine.set_descriptor(selector::FREE + 8, 0xffff_8800);
    machine.set_reg(RAX, u64::from(selector::FREE));
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.tr.base, 0xffff_8800_0000_5000);
}

#[test]
fn lar_and_lsl_show_rights_and_limit_of_what_the_level_may_see() {
    // lar ecx, eax; lsl edx, eax; hlt
    let program = [0x0f, 0x02, 0xc8, 0x0f, 0x03, 0xd0, 0xf4];
    let mut machine = Machine::protected(&program);
    machine.set_reg(RAX, u64::from(selector::CODE));
    machine.run_to_halt();
    // Bits 19:16 of the limit are among what LAR leaves undefined; processors show them.
    assert_eq!((machine.reg(RCX), machine.reg(RDX)), (0x00cf_9b00, 0xffff_ffff));
    assert_ne!(machine.cpu.state.rflags() & ZF, 0);
    let mut machine = Machine::protected(&program).user();
    machine.set_reg(RAX, u64::from(selector::CODE));
    machine.set_reg(RCX, 0x77);
    assert_eq!(machine.run_to_vector(), 13, "HLT");
    assert_eq!(machine.reg(RCX), 0x77, "an invisible descriptor leaves the register alone");
}

#[test]
fn verr_and_verw_tell_whether_a_segment_can_be_read_or_written() {
    // verr ax; setz cl; verw ax; setz dl; hlt
    let program = [0x0f, 0x00, 0xe0, 0x0f, 0x94, 0xc1, 0x0f, 0x00, 0xe8, 0x0f, 0x94, 0xc2, 0xf4];
    for (selector, readable, writable) in
        [(selector::DATA, 1, 1), (selector::CODE, 1, 0), (selector::TSS, 0, 0), (0, 0, 0)]
    {
        let mut machine = Machine::protected(&program);
        machine.set_reg(RAX, u64::from(selector));
        machine.set_reg(RDX, 0);
        machine.run_to_halt();
        assert_eq!((machine.reg(RCX), machine.reg(RDX)), (readable, writable), "{selector:#x}");
    }
}

#[test]
fn arpl_raises_the_requested_level() {
    // arpl ax, bx; hlt
    let mut machine = Machine::protected(&[0x63, 0xd8, 0xf4]);
    machine.set_reg(RAX, 0x10);
    machine.set_reg(RBX, 0x1b);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x13);
    assert_ne!(machine.cpu.state.rflags() & ZF, 0);
}

#[test]
fn selectors_cannot_be_examined_in_real_mode() {
    assert_eq!(Machine::real(&[0x0f, 0x00, 0xe0]).run_to_vector(), 6);
    assert_eq!(Machine::real(&[0x0f, 0x00, 0xd0]).run_to_vector(), 6);
}

#[test]
fn umip_keeps_table_addresses_from_user_code() {
    use crate::state::control::CR4_UMIP;
    let mut machine = Machine::protected(&[0x0f, 0x01, 0x05, 0, 0x30, 0, 0]).user();
    machine.cpu.state.cr4 = CR4_UMIP;
    assert_eq!(machine.run_to_vector(), 13);
}

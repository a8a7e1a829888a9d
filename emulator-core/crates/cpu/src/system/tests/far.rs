use super::*;
use crate::testing::*;

/// A 32-bit call gate.
fn call_gate(selector: u16, offset: u64, dpl: u8, parameters: u64) -> u64 {
    gate(selector, offset, 0x8c | dpl << 5) | parameters << 32
}

#[test]
fn a_far_call_in_real_mode_and_its_return() {
    // call 0x2000:0x10; hlt -- at 2000:0010: retf
    let mut machine = Machine::real(&[0x9a, 0x10, 0, 0, 0x20, 0xf4]);
    machine.write(0x2_0010, &[0xcb]);
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.rip, 6);
    assert_eq!(machine.reg(RSP), 0xf000);
}

#[test]
fn a_far_jump_enters_protected_mode_from_real_mode() {
    // mov eax, cr0; or al, 1; mov cr0, eax; jmp dword 0x08:0x1_8000 + 0x40 * 16
    let target = HANDLERS + 0x400;
    let mut program = vec![0x0f, 0x20, 0xc0, 0x0c, 1, 0x0f, 0x22, 0xc0, 0x66, 0xea];
    program.extend((target as u32).to_le_bytes());
    program.extend(selector::CODE.to_le_bytes());
    let mut machine = Machine::protected(&[]);
    let gdtr = machine.cpu.state.gdtr;
    let gdt = machine.read(GDT, 0x40);
    machine = Machine::real(&program);
    machine.write(GDT, &gdt);
    machine.cpu.state.gdtr = gdtr;
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.rip, target + 1);
    assert!(machine.cpu.state.segs[1].access.big());
}

#[test]
fn a_call_gate_to_an_inner_level_switches_stacks_and_copies_parameters() {
    // call far 0x3b:0
    let mut machine = Machine::protected(&[0x9a, 0, 0, 0, 0, 0x3b, 0]).user();
    let target = PROGRAM + 0x200;
    // At the target: retf 8, then the caller: hlt, which is privileged.
    machine.write(target, &[0xca, 8, 0]);
    machine.write(PROGRAM + 7, &[0xf4]);
    machine.set_descriptor(selector::FREE, call_gate(selector::CODE, target, 3, 2));
    machine.write(STACK - 8, &[1, 0, 0, 0, 2, 0, 0, 0]);
    machine.set_reg(RSP, STACK - 8);
    machine.run(1);
    assert_eq!(machine.cpu.state.cpl, 0);
    let sp = machine.reg(RSP);
    assert_eq!(sp, KERNEL_STACK - 24);
    let frame: Vec<u32> = (0..6).map(|i| machine.read32(sp + i * 4)).collect();
    assert_eq!(frame, [PROGRAM as u32 + 7, 0x1b, 1, 2, (STACK - 8) as u32, 0x23]);
    machine.run(1);
    assert_eq!(machine.cpu.state.cpl, 3);
    assert_eq!(machine.reg(RSP), STACK, "the parameters are released on the outer stack too");
    assert_eq!(machine.cpu.state.rip, PROGRAM + 7);
}

#[test]
fn a_far_call_in_64_bit_mode_goes_through_a_16_byte_gate() {
    // call far [rip + 0x100 - 7] : m16:32
    let mut machine = Machine::long(&[0xff, 0x1d, 0xfa, 0, 0, 0, 0xf4]);
    let target = PROGRAM + 0x200;
    machine.write(PROGRAM + 0x100, &[0, 0, 0, 0, 0x38, 0]);
    machine.write(target, &[0x48, 0xcb]);
    machine.set_descriptor(selector::FREE, call_gate(selector::CODE, target, 0, 0));
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.rip, PROGRAM + 7);
    assert_eq!(machine.reg(RSP), STACK);
}

#[test]
fn a_far_return_to_compatibility_mode_and_back() {
    // lretq to a 32-bit segment, whose code jumps far to 64-bit code at HANDLERS.
    let mut machine = Machine::long(&[0x48, 0xcb]);
    machine.set_descriptor(selector::FREE, flat_descriptor(0x9b, 0xc));
    let compatible = PROGRAM + 0x100;
    machine.write(STACK - 16, &compatible.to_le_bytes());
    machine.write(STACK - 8, &u64::from(selector::FREE).to_le_bytes());
    machine.set_reg(RSP, STACK - 16);
    // inc eax (40 is a REX prefix in 64-bit code); jmp far 0x08:HANDLERS
    let mut code = vec![0x40, 0xea];
    code.extend((HANDLERS as u32).to_le_bytes());
    code.extend(selector::CODE.to_le_bytes());
    machine.write(compatible, &code);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 1);
    assert!(machine.cpu.state.code64());
}

#[test]
fn a_far_jump_to_a_data_segment_or_to_nothing_is_refused() {
    for (selector, code) in [(selector::DATA, 0x10u32), (0, 0), (0x1000, 0x1000)] {
        let [low, high] = selector.to_le_bytes();
        let mut machine = Machine::protected(&[0xea, 0, 0, 0, 0, low, high]);
        assert_eq!(machine.run_to_vector(), 13);
        assert_eq!(machine.read32(machine.reg(RSP)), code);
    }
}

use super::*;
use crate::state::eflags;
use crate::testing::*;
use platform::Vcpu;

fn with_strings(mut machine: Machine, from: u64, to: u64, count: u64) -> Machine {
    machine.set_reg(RSI, from);
    machine.set_reg(RDI, to);
    machine.set_reg(RCX, count);
    machine
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + i / 256) as u8).collect()
}

#[test]
fn rep_movsb_copies_across_pages_and_ends_with_its_registers_behind_the_strings() {
    // rep movsb; hlt
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa4, 0xf4]), 0x10_0ff3, 0x14_0123, 10_000);
    machine.write(0x10_0ff3, &pattern(10_000));
    machine.run_to_halt();
    assert_eq!(machine.read(0x14_0123, 10_000), pattern(10_000));
    assert_eq!((machine.reg(RSI), machine.reg(RDI), machine.reg(RCX)), (0x10_0ff3 + 10_000, 0x14_0123 + 10_000, 0));
}

#[test]
fn an_overlapping_copy_upwards_repeats_what_it_wrote() {
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa4, 0xf4]), 0x10_0000, 0x10_0003, 9);
    machine.write(0x10_0000, b"abc");
    machine.run_to_halt();
    assert_eq!(machine.read(0x10_0000, 12), b"abcabcabcabc");
}

#[test]
fn a_copy_with_df_set_goes_downwards() {
    // std; rep movsq; hlt
    let mut machine = with_strings(Machine::long(&[0xfd, 0xf3, 0x48, 0xa5, 0xf4]), 0x10_0018, 0x10_0020, 4);
    machine.write(0x10_0000, &pattern(32));
    machine.run_to_halt();
    assert_eq!(machine.read(0x10_0008, 32), pattern(32), "memmove of an upwards overlap");
    assert_eq!(machine.reg(RSI), 0x10_0000 - 8);
}

#[test]
fn rep_stos_of_every_width_fills() {
    // rep stosb / stosw / stosd / stosq; hlt
    let programs: [(&[u8], usize); 4] = [
        (&[0xf3, 0xaa, 0xf4], 1),
        (&[0x66, 0xf3, 0xab, 0xf4], 2),
        (&[0xf3, 0xab, 0xf4], 4),
        (&[0xf3, 0x48, 0xab, 0xf4], 8),
    ];
    for (program, bytes) in programs {
        let mut machine = with_strings(Machine::long(program), 0, 0x10_0ffd, 3000);
        machine.set_reg(RAX, 0x8877_6655_4433_2211);
        machine.run_to_halt();
        let element: Vec<u8> = (1..=bytes as u8).map(|i| i * 0x11).collect();
        assert_eq!(machine.read(0x10_0ffd, 3000 * bytes), element.repeat(3000), "{bytes}");
        assert_eq!(machine.read(0x10_0ffc, 1), [0]);
    }
}

#[test]
fn a_fault_in_the_middle_leaves_registers_at_the_element_that_faulted() {
    let mut machine = with_strings(Machine::long(&[0xf3, 0xaa]), 0, 0x20_0000 - 5, 20);
    // The second 2 MiB are absent.
    machine.write(PAGE_TABLES + 0x2008, &0u64.to_le_bytes());
    machine.set_reg(RAX, 0x55);
    assert_eq!(machine.run_to_vector(), 14);
    assert_eq!((machine.reg(RDI), machine.reg(RCX)), (0x20_0000, 15));
    assert_eq!(machine.cpu.state.cr2, 0x20_0000);
    let frame = machine.reg(RSP);
    assert_eq!(machine.read64(frame + 8), PROGRAM, "the instruction runs again after the fault");
    assert_ne!(machine.read64(frame + 24) & eflags::RF, 0);
}

/// A repeated instruction goes over pages in one step, which takes the time of what it moves: 64 bytes that of an instruction.
#[test]
fn a_step_over_pages_takes_the_time_of_its_bytes() {
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa4, 0xf4]), 0x10_0ff3, 0x14_0123, 0x6000);
    machine.run_to_halt();
    assert_eq!((machine.cpu.instructions(), machine.cpu.work()), (2, 2 + 0x6000 / 64));
    // Also where a later page faults: that and the handler's HLT count as instructions.
    let mut machine = with_strings(Machine::long(&[0xf3, 0xaa]), 0, 0x20_0000 - 0x2800, 0x3000);
    machine.write(PAGE_TABLES + 0x2008, &0u64.to_le_bytes());
    assert_eq!(machine.run_to_vector(), 14);
    assert_eq!((machine.reg(RDI), machine.reg(RCX)), (0x20_0000, 0x800));
    assert_eq!((machine.cpu.instructions(), machine.cpu.work()), (2, 2 + 0x2800 / 64));
}

#[test]
fn a_long_copy_goes_on_in_steps() {
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa4, 0xf4]), 0x10_0000, 0x20_0000, 0x10_0000);
    machine.run(1);
    assert!((1..0x10_0000).contains(&machine.reg(RCX)), "so that interrupts do not wait for long");
}

#[test]
fn repe_cmpsb_stops_behind_the_first_difference() {
    // repe cmpsb; hlt
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa6, 0xf4]), 0x10_0000, 0x11_0000, 10);
    machine.write(0x10_0000, b"abcdeXghij");
    machine.write(0x11_0000, b"abcdefghij");
    machine.run_to_halt();
    assert_eq!((machine.reg(RCX), machine.reg(RSI)), (4, 0x10_0006));
    // 'X' - 'f' borrows.
    assert_eq!(machine.cpu.state.rflags() & (x86::flags::CF | x86::flags::ZF), x86::flags::CF);
}

#[test]
fn repne_scasb_finds_a_byte_as_strlen_does() {
    // repne scasb; hlt
    let mut machine = with_strings(Machine::long(&[0xf2, 0xae, 0xf4]), 0, 0x10_0000, u64::MAX);
    machine.write(0x10_0000, b"hello, world");
    machine.run_to_halt();
    assert_eq!(!machine.reg(RCX) - 1, 12);
    assert_ne!(machine.cpu.state.rflags() & x86::flags::ZF, 0);
}

#[test]
fn a_count_of_zero_does_nothing_not_even_to_flags() {
    let mut machine = with_strings(Machine::long(&[0xf3, 0xa6, 0xf4]), 0x10_0000, 0x11_0000, 0);
    machine.write(0x10_0000, &[1]);
    let before = machine.cpu.state.rflags();
    machine.run_to_halt();
    assert_eq!(machine.cpu.state.rflags(), before);
    assert_eq!(machine.reg(RSI), 0x10_0000);
}

#[test]
fn sixteen_bit_index_registers_wrap_in_their_segment() {
    // rep stosb; hlt in real mode with DI near its end: the bytes go on at offset 0.
    let mut machine = with_strings(Machine::real(&[0xf3, 0xaa, 0xf4]), 0, 0xfffe, 4);
    machine.cpu.state.load_real_segment(x86::seg::ES, 0x3000);
    machine.cpu.state_changed();
    machine.set_reg(RAX, 0x99);
    machine.run_to_halt();
    assert_eq!(machine.read(0x3_fffe, 2), [0x99, 0x99]);
    assert_eq!(machine.read(0x3_0000, 3), [0x99, 0x99, 0]);
    assert_eq!(machine.reg(RDI), 2);
}

#[test]
fn lods_takes_the_segment_override() {
    // mov gs base by state; gs lodsb; hlt
    let mut machine = with_strings(Machine::long(&[0x65, 0xac, 0xf4]), 0x10, 0, 0);
    machine.cpu.state.segs[usize::from(x86::seg::GS)].base = 0x10_0000;
    machine.write(0x10_0010, &[0x42]);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x42);
}

#[test]
fn an_interrupt_gets_in_between_two_parts_of_a_long_copy() {
    // sti; nop; rep movsb; hlt
    let mut machine = with_strings(Machine::long(&[0xfb, 0x90, 0xf3, 0xa4, 0xf4]), 0x10_0000, 0x20_0000, 0x10_0000);
    machine.run(4);
    machine.bus.interrupt = Some(0x40);
    assert_eq!(machine.run_to_vector(), 0x40);
    assert_ne!(machine.reg(RCX), 0);
    assert_eq!(machine.read64(machine.reg(RSP)), PROGRAM + 2, "it goes on where it was");
}

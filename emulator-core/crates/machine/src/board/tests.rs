//! The board as firmware and kernels use it, register by register, without a processor.

use platform::AccessSize::{Byte, Dword, Word};
use platform::{Backing, Bus, PhysAddr};

use super::{BoardConfig, BoardEvent, Pc};
use crate::layout;

const RAM: u64 = 32 << 20;
const ROM: u64 = 64 << 10;

fn board(firmware_done: bool) -> Pc {
    Pc::new(BoardConfig {
        ram_bytes: RAM,
        rom_bytes: ROM,
        unix_seconds: 1_000_000_000,
        tsc_hz: 1_000_000_000,
        firmware_done,
    })
    .unwrap()
}

fn out(board: &mut Pc, port: u16, value: u8) {
    board.pio_write(port, Byte, value.into(), 0);
}

fn input(board: &mut Pc, port: u16) -> u8 {
    board.pio_read(port, Byte, 0) as u8
}

/// ICW1 to ICW4 and masks, as every PC BIOS programs the 8259s.
fn program_interrupt_controllers(board: &mut Pc, master_mask: u8) {
    let bytes = [(0x20, 0x11), (0x21, 0x08), (0x21, 0x04), (0x21, 0x01), (0x21, master_mask)];
    bytes.into_iter().for_each(|(port, value)| out(board, port, value));
    let bytes = [(0xa0, 0x11), (0xa1, 0x70), (0xa1, 0x02), (0xa1, 0x01), (0xa1, 0xff)];
    bytes.into_iter().for_each(|(port, value)| out(board, port, value));
}

/// Counter 0, mode 2, 1193 ticks of 838 ns: one millisecond. OUT rises with the control word; a controller that is
/// programmed afterwards has not seen that edge.
fn start_timer(board: &mut Pc) {
    [(0x43, 0x34), (0x40, 0xa9), (0x40, 0x04)].into_iter().for_each(|(port, value)| out(board, port, value));
}

#[test]
fn the_reset_vector_and_the_f_segment_show_the_same_rom() {
    let board = board(false);
    let offset = |backing| match backing {
        Backing::Rom(offset) => offset,
        other => panic!("{other:?}"),
    };
    let high = offset(board.backing(PhysAddr(0xffff_f000)));
    let low = offset(board.backing(PhysAddr(0xf_f000)));
    assert_eq!((high, low), ((RAM + ROM) as usize - 4096, high));
    assert_eq!(board.backing(PhysAddr(0xe_0000)), Backing::Mmio, "the ROM has only 64 KiB");
}

#[test]
fn nothing_answers_in_the_vga_hole_and_above_ram() {
    let mut board = board(true);
    for address in [0xa_0000, 0xb_f000, RAM, 0x8000_0000, 0xfed0_0000, 0xfee0_0000, 0x1_0000_0000] {
        assert_eq!(board.backing(PhysAddr(address)), Backing::Mmio, "{address:#x}");
    }
    assert_eq!(board.mmio_read(PhysAddr(0x8000_0000), Dword, 0), 0xffff_ffff);
    board.mmio_write(PhysAddr(0x8000_0000), Dword, 1, 0);
}

#[test]
fn firmware_copies_itself_into_shadow_ram_through_the_pam_registers() {
    let mut board = board(false);
    let rom_offset = board.memory().bytes() - 1;
    board.memory().as_mut_slice()[rom_offset] = 0x5a;
    let top = PhysAddr(0xf_ffff);
    let set_pam0 = |board: &mut Pc, value: u8| {
        board.pio_write(0xcf8, Dword, 0x8000_0058, 0);
        board.pio_write(0xcfd, Byte, value.into(), 0);
    };
    board.take_map_changed();
    set_pam0(&mut board, 0x20);
    assert!(board.take_map_changed());
    assert!(matches!(board.backing(top.page()), Backing::Rom(offset) if offset > RAM as usize), "reads are still ROM");
    let value = board.mmio_read(top, Byte, 0);
    board.mmio_write(top, Byte, value, 0);
    set_pam0(&mut board, 0x30);
    assert_eq!(board.backing(top.page()), Backing::Ram(0xf_f000));
    assert_eq!(board.memory().get(top, 1).unwrap(), [0x5a]);
    set_pam0(&mut board, 0x10);
    assert_eq!(board.backing(top.page()), Backing::Rom(0xf_f000), "write-protected");
    board.mmio_write(top, Byte, 0, 0);
    assert_eq!(board.memory().get(top, 1).unwrap(), [0x5a]);
}

#[test]
fn closing_the_a20_gate_folds_odd_megabytes_onto_even_ones() {
    let mut board = board(true);
    assert_eq!(board.backing(PhysAddr(0x10_0000)), Backing::Ram(0x10_0000));
    // Both the keyboard controller (output port bit 1) and port 0x92 must close it.
    out(&mut board, 0x92, 0);
    board.take_map_changed();
    out(&mut board, 0x64, 0xd1);
    out(&mut board, 0x60, 0xdd);
    assert!(board.take_map_changed());
    assert_eq!(board.backing(PhysAddr(0x10_0000)), Backing::Ram(0));
    assert_eq!(board.backing(PhysAddr(0x20_0000)), Backing::Ram(0x20_0000));
    out(&mut board, 0x92, 2);
    assert_eq!(board.backing(PhysAddr(0x10_0000)), Backing::Ram(0x10_0000));
}

#[test]
fn the_interval_timer_interrupts_through_the_8259_in_virtual_wire_mode() {
    let mut board = board(true);
    start_timer(&mut board);
    program_interrupt_controllers(&mut board, 0xfe);
    let deadline = board.deadline().unwrap();
    assert!((999_000..1_002_000).contains(&deadline), "{deadline}");
    assert!(!board.interrupt_asserted());
    board.advance(deadline);
    assert!(board.interrupt_asserted());
    assert_eq!(board.acknowledge_interrupt(deadline), Some(0x08));
    assert!(!board.interrupt_asserted());
    assert!(board.deadline().unwrap() > deadline);
}

#[test]
fn the_same_timer_arrives_at_input_2_of_the_io_apic() {
    let mut board = board(true);
    // Redirection entry 2: vector 0x30, fixed, edge, to local APIC 0.
    let select_and_write = |board: &mut Pc, register: u64, value: u64| {
        board.mmio_write(PhysAddr(0xfec0_0000), Dword, register, 0);
        board.mmio_write(PhysAddr(0xfec0_0010), Dword, value, 0);
    };
    select_and_write(&mut board, 0x15, 0);
    start_timer(&mut board);
    program_interrupt_controllers(&mut board, 0xff);
    select_and_write(&mut board, 0x14, 0x30);
    let deadline = board.deadline().unwrap();
    board.advance(deadline);
    assert_eq!(board.acknowledge_interrupt(deadline), Some(0x30));
    // End of interrupt, then the next period.
    board.mmio_write(PhysAddr(0xfee0_00b0), Dword, 0, deadline);
    let next = board.deadline().unwrap();
    board.advance(next);
    assert_eq!(board.acknowledge_interrupt(next), Some(0x30));
}

#[test]
fn the_two_serial_ports_talk_and_interrupt_on_lines_4_and_3() {
    for (port, base, line) in [(0, 0x3f8, 4u8), (1, 0x2f8, 3)] {
        let mut board = board(true);
        program_interrupt_controllers(&mut board, !(1 << line));
        out(&mut board, base, b'!');
        assert_eq!(board.serial_output(port), b"!");
        // Received data available interrupt, and OUT2, which lets interrupts out of a PC's port.
        out(&mut board, base + 1, 0x01);
        out(&mut board, base + 4, 0x08);
        assert_eq!(board.serial_input(port, b"x"), 1);
        assert_eq!(board.acknowledge_interrupt(0), Some(0x08 + line));
        assert_eq!(input(&mut board, base), b'x');
    }
    assert_eq!(board(true).serial_input(2, b"x"), 0, "there is no third port");
}

#[test]
fn an_x87_error_is_interrupt_13_until_port_0xf0_is_written() {
    let mut board = board(true);
    program_interrupt_controllers(&mut board, !(1 << 2));
    out(&mut board, 0xa1, !(1 << 5));
    board.x87_error(0);
    assert_eq!(board.acknowledge_interrupt(0), Some(0x75));
    out(&mut board, 0xf0, 0);
    out(&mut board, 0xa0, 0x20);
    out(&mut board, 0x20, 0x20);
    assert!(!board.interrupt_asserted());
}

#[test]
fn a_wide_access_to_byte_ports_reaches_ascending_ports() {
    let mut board = board(true);
    board.pio_write(0x80, Word, 0x2211, 0);
    assert_eq!(board.pio_read(0x80, Word, 0), 0x2211);
    assert_eq!(board.debug_output().0, [0x11], "only port 0x80 shows POST codes");
    assert_eq!(board.pio_read(0x1234, Dword, 0), 0xffff_ffff, "nobody is there");
}

#[test]
fn pci_shows_host_bridge_isa_bridge_and_power_management() {
    let mut board = board(true);
    let mut identifiers = |device: u32, function: u32| {
        board.pio_write(0xcf8, Dword, 0x8000_0000 | device << 11 | function << 8, 0);
        board.pio_read(0xcfc, Dword, 0)
    };
    assert_eq!(identifiers(0, 0), 0x1237_8086, "82441FX");
    assert_eq!(identifiers(1, 0), 0x7000_8086, "82371SB");
    assert_eq!(identifiers(1, 3), 0x7113_8086, "82371AB power management");
    assert_eq!(identifiers(2, 0), 0xffff_ffff);
}

#[test]
fn configuration_space_in_memory_shows_the_same_functions() {
    let mut board = board(true);
    let mut dword = |offset: u64| board.mmio_read(PhysAddr(0xfeb0_0000 + offset), Dword, 0);
    assert_eq!(dword(1 << 15), 0x7000_8086, "device 1, function 0");
    assert_eq!(dword(1 << 15 | 3 << 12), 0x7113_8086, "device 1, function 3");
    assert_eq!(dword(2 << 15), 0xffff_ffff, "no device 2");
    assert_eq!(dword(0x100), 0xffff_ffff, "no extended registers");
    // PIRQA routing of the ISA bridge, written here and read through the ports.
    board.mmio_write(PhysAddr(0xfeb0_8060), Byte, 0x0b, 0);
    board.pio_write(0xcf8, Dword, 0x8000_0860, 0);
    assert_eq!(board.pio_read(0xcfc, Byte, 0), 0x0b);
}

#[test]
fn reset_control_is_the_byte_inside_the_pci_address_register() {
    let mut board = board(true);
    board.pio_write(0xcf8, Dword, 0x8000_0600, 0);
    assert_eq!(board.take_event(), None, "a dword there is an address");
    out(&mut board, 0xcf9, 0x02);
    out(&mut board, 0xcf9, 0x06);
    assert_eq!(board.take_event(), Some(BoardEvent::Reset));
    assert_eq!(board.take_event(), None);
}

#[test]
fn the_keyboard_controller_and_port_92_reset_the_processor() {
    let mut board = board(true);
    out(&mut board, 0x64, 0xfe);
    assert_eq!(board.take_event(), Some(BoardEvent::ProcessorReset));
    let value = input(&mut board, 0x92);
    out(&mut board, 0x92, value | 1);
    assert_eq!(board.take_event(), Some(BoardEvent::ProcessorReset));
}

#[test]
fn soft_off_in_the_power_management_block_switches_off() {
    let mut board = board(true);
    // SLP_EN with sleep type 0, which \_S5 of our DSDT names.
    board.pio_write(0x604, Word, 0x2000, 0);
    assert_eq!(board.take_event(), Some(BoardEvent::PowerOff));
}

#[test]
fn the_debug_exit_ports_report_twice_the_value_plus_one() {
    for port in layout::DEBUG_EXIT {
        let mut board = board(true);
        board.pio_write(port, Dword, 0x10, 0);
        assert_eq!(board.take_event(), Some(BoardEvent::DebugExit(0x21)));
    }
}

#[test]
fn the_clocks_ram_tells_foreign_firmware_how_much_memory_there_is() {
    let mut board = board(false);
    let mut cmos = |index: u8| {
        out(&mut board, 0x70, index);
        u64::from(input(&mut board, 0x71))
    };
    assert_eq!(cmos(0x15) | cmos(0x16) << 8, 640);
    assert_eq!(cmos(0x30) | cmos(0x31) << 8, 31 * 1024, "KiB above 1 MiB");
    assert_eq!(cmos(0x34) | cmos(0x35) << 8, 16 * 16, "64 KiB units above 16 MiB");
}

#[test]
fn the_board_survives_access_to_every_port_in_every_width() {
    let mut board = board(true);
    for port in 0..=u16::MAX {
        for size in [Byte, Word, Dword] {
            board.pio_read(port, size, 0);
            board.pio_write(port, size, u32::MAX, 0);
        }
    }
    board.reset(0);
    assert_eq!(board.backing(PhysAddr(0)), Backing::Ram(0));
}

#[test]
fn chips_go_on_from_a_snapshot_where_they_were() {
    let mut first = board(true);
    start_timer(&mut first);
    program_interrupt_controllers(&mut first, 0xfe);
    let mut snapshot = platform::Snapshot::default();
    first.save(&mut snapshot);
    let mut second = board(true);
    second.restore(&snapshot).unwrap();
    assert_eq!(second.deadline(), first.deadline());
    second.advance(first.deadline().unwrap());
    assert_eq!(second.acknowledge_interrupt(0), Some(0x08));
}

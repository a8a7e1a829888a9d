//! Tests of the I/O APIC against the 82093AA data sheet.

use super::*;
use AccessSize::{Byte, Dword};

fn write(chip: &mut IoApic, register: u8, value: u32) {
    chip.write(0x00, Dword, register.into());
    chip.write(0x10, Dword, value.into());
}

fn read(chip: &mut IoApic, register: u8) -> u32 {
    chip.write(0x00, Byte, register.into());
    chip.read(0x10, Dword) as u32
}

fn routed(pin: u8, low: u32, destination: u32) -> IoApic {
    let mut chip = IoApic::new(0);
    write(&mut chip, 0x11 + 2 * pin, destination << 24);
    write(&mut chip, 0x10 + 2 * pin, low);
    chip
}

#[test]
fn it_has_24_masked_entries_after_reset() {
    let mut chip = IoApic::new(2);
    assert_eq!(read(&mut chip, 0), 2 << 24);
    assert_eq!(read(&mut chip, 1), 0x0017_0020);
    for register in (0x10..0x40).step_by(2) {
        assert_eq!(read(&mut chip, register), 0x1_0000);
        assert_eq!(read(&mut chip, register + 1), 0);
    }
    assert_eq!(read(&mut chip, 0x40), 0);
}

#[test]
fn an_edge_sends_one_message_to_its_destination() {
    let mut chip = routed(2, 0x0031, 1);
    chip.set_line(2, true);
    let message = InterruptMessage {
        destination: Destination::Physical(1),
        mode: DeliveryMode::Fixed,
        vector: 0x31,
        level: false,
    };
    assert_eq!(chip.take_message(), Some(message));
    assert_eq!(chip.take_message(), None);
    chip.set_line(2, true);
    assert_eq!(chip.take_message(), None);
    chip.set_line(2, false);
    chip.set_line(2, true);
    assert_eq!(chip.take_message(), Some(message));
}

#[test]
fn an_edge_on_a_masked_pin_is_lost() {
    let mut chip = routed(4, 0x1_0034, 0);
    chip.set_line(4, true);
    write(&mut chip, 0x18, 0x34);
    assert_eq!(chip.take_message(), None);
}

#[test]
fn a_level_waits_for_the_end_of_its_interrupt() {
    let mut chip = routed(11, 0x8951, 3);
    chip.set_line(11, true);
    let message = chip.take_message().unwrap();
    assert_eq!(message.destination, Destination::Logical(3));
    assert_eq!(message.mode, DeliveryMode::LowestPriority);
    assert!(message.level);
    assert_eq!(read(&mut chip, 0x26), 0xc951, "remote IRR is set");
    assert_eq!(chip.take_message(), None);
    chip.end_of_interrupt(0x50);
    assert_eq!(chip.take_message(), None);
    chip.end_of_interrupt(0x51);
    assert!(chip.take_message().is_some(), "still asserted");
    chip.set_line(11, false);
    chip.write(0x40, Dword, 0x51);
    assert_eq!(chip.take_message(), None);
    assert_eq!(read(&mut chip, 0x26), 0x8951);
}

#[test]
fn a_level_asserted_while_masked_is_sent_once_unmasked() {
    let mut chip = routed(20, 0x1_8060, 0);
    chip.set_line(20, true);
    assert_eq!(chip.take_message(), None);
    write(&mut chip, 0x38, 0x8060);
    assert_eq!(chip.take_message().map(|message| message.vector), Some(0x60));
}

#[test]
fn read_only_bits_cannot_be_written() {
    let mut chip = routed(0, 0xffff_ffff, 0xff);
    assert_eq!(read(&mut chip, 0x10), 0x0001_afff);
    assert_eq!(read(&mut chip, 0x11), 0xff00_0000);
    write(&mut chip, 1, 0);
    assert_eq!(read(&mut chip, 1), 0x0017_0020);
}

#[test]
fn noise_and_hostile_snapshots_do_not_panic() {
    let mut chip = IoApic::new(0);
    for step in 0..100_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        chip.write(noise & 0xff, [Byte, Dword, AccessSize::Qword][step as usize % 3], noise >> 8);
        write(&mut chip, (noise >> 9) as u8 & 0x3f, (noise >> 20) as u32);
        chip.set_line((noise >> 40 & 31) as usize, noise >> 46 & 1 == 0);
        chip.read(noise >> 48 & 0xff, Byte);
        let taken = std::iter::from_fn(|| chip.take_message()).count();
        assert!(taken <= PINS);
    }
    let mut twin = IoApic::new(0);
    twin.restore(&chip.save()).unwrap();
    assert_eq!(twin.save(), chip.save());
    chip.state.lines = 1 << 24;
    assert!(twin.restore(&chip.save()).is_err());
}

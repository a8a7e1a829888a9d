//! Tests of the serial port against the PC16550D data sheet and the probes drivers make.

use super::register::*;
use super::*;

fn enabled_port() -> Uart16550 {
    let mut uart = Uart16550::new("uart16550.0");
    uart.write(MODEM_CONTROL, 0x0b);
    uart
}

#[test]
fn transmitted_bytes_come_out_in_order_and_the_transmitter_is_never_busy() {
    let mut uart = enabled_port();
    for byte in b"hello" {
        assert_eq!(uart.read(LINE_STATUS), 0x60);
        uart.write(DATA, *byte);
    }
    assert_eq!(uart.output_len(), 5);
    assert_eq!(uart.take_output(), b"hello");
    assert_eq!(uart.output_len(), 0);
}

#[test]
fn the_divisor_latch_hides_data_and_interrupt_enable() {
    let mut uart = enabled_port();
    uart.write(LINE_CONTROL, 0x83);
    uart.write(DATA, 0x01);
    uart.write(INTERRUPT_ENABLE, 0x02);
    assert_eq!((uart.read(DATA), uart.read(INTERRUPT_ENABLE)), (0x01, 0x02));
    uart.write(LINE_CONTROL, 0x03);
    assert_eq!(uart.read(INTERRUPT_ENABLE), 0);
    assert!(uart.take_output().is_empty());
}

#[test]
fn only_four_interrupt_enable_bits_exist_and_scratch_holds_a_byte() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_ENABLE, 0xff);
    assert_eq!(uart.read(INTERRUPT_ENABLE), 0x0f);
    uart.write(SCRATCH, 0xa5);
    assert_eq!(uart.read(SCRATCH), 0xa5);
}

#[test]
fn loopback_turns_modem_outputs_into_inputs() {
    // The presence test of PC operating systems: OUT2 and RTS up must show as DCD and CTS.
    let mut uart = enabled_port();
    uart.write(MODEM_CONTROL, 0x1a);
    assert_eq!(uart.read(MODEM_STATUS) & 0xf0, 0x90);
    uart.write(MODEM_CONTROL, 0x15);
    assert_eq!(uart.read(MODEM_STATUS), 0x6b, "RI and DSR rose, DCD and CTS fell; a rising RI is not reported");
    uart.write(MODEM_CONTROL, 0x11);
    assert_eq!(uart.read(MODEM_STATUS), 0x24, "the trailing edge of RI is");
    uart.write(MODEM_CONTROL, 0x0b);
    assert_eq!(uart.read(MODEM_STATUS) & 0xf0, 0xb0);
}

#[test]
fn loopback_feeds_transmitted_bytes_back_and_can_overrun() {
    let mut uart = enabled_port();
    uart.write(MODEM_CONTROL, 0x10);
    uart.write(DATA, b'a');
    uart.write(DATA, b'b');
    assert_eq!(uart.read(LINE_STATUS), 0x63);
    assert_eq!(uart.read(LINE_STATUS), 0x61, "reading the status clears the overrun");
    assert_eq!(uart.read(DATA), b'a');
    assert_eq!(uart.read(LINE_STATUS), 0x60);
    assert!(uart.take_output().is_empty());
}

#[test]
fn enabling_the_transmitter_interrupt_raises_it_each_time() {
    let mut uart = enabled_port();
    for _ in 0..2 {
        uart.write(INTERRUPT_ENABLE, 0x02);
        assert!(uart.irq_asserted());
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x02);
        assert!(!uart.irq_asserted(), "reading the identification resets it");
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0x01);
        uart.write(INTERRUPT_ENABLE, 0x00);
    }
}

#[test]
fn writing_a_byte_raises_the_transmitter_interrupt_again() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_ENABLE, 0x02);
    uart.read(INTERRUPT_IDENTIFICATION);
    uart.write(DATA, b'x');
    assert!(uart.irq_asserted());
}

#[test]
fn received_bytes_interrupt_at_the_trigger_level_and_by_timeout_below_it() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_IDENTIFICATION, 0x81);
    uart.write(INTERRUPT_ENABLE, 0x01);
    assert_eq!(uart.push_input(b"1234567"), 7);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0xcc);
    uart.push_input(b"8");
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0xc4);
    assert!(uart.irq_asserted());
    let received: Vec<u8> = (0..8).map(|_| uart.read(DATA)).collect();
    assert_eq!(received, b"12345678");
    assert!(!uart.irq_asserted());
}

#[test]
fn the_interrupt_pin_needs_out2() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_ENABLE, 0x01);
    uart.push_input(b"x");
    assert!(uart.irq_asserted());
    uart.write(MODEM_CONTROL, 0x03);
    assert!(!uart.irq_asserted());
}

#[test]
fn input_is_bounded_and_what_is_accepted_arrives() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_IDENTIFICATION, 0x01);
    let flood = vec![b'z'; 100_000];
    let accepted = uart.push_input(&flood);
    assert_eq!(accepted, LINE_BYTES);
    let mut received = 0;
    while uart.read(LINE_STATUS) & 1 != 0 {
        uart.read(DATA);
        received += 1;
    }
    assert_eq!(received, accepted);
}

#[test]
fn clearing_the_fifo_loses_only_what_is_in_the_fifo() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_IDENTIFICATION, 0x01);
    uart.push_input(&[b'a'; 16]);
    uart.push_input(b"b");
    uart.write(INTERRUPT_IDENTIFICATION, 0x03);
    assert_eq!(uart.read(DATA), b'b');
}

#[test]
fn a_restored_port_goes_on_where_the_saved_one_stopped() {
    let mut uart = enabled_port();
    uart.write(INTERRUPT_ENABLE, 0x01);
    uart.push_input(b"abc");
    let mut twin = Uart16550::new("uart16550.0");
    twin.restore(&uart.save()).unwrap();
    assert!(twin.irq_asserted());
    assert_eq!((twin.read(DATA), twin.read(DATA), twin.read(DATA)), (b'a', b'b', b'c'));
}

#[test]
fn a_snapshot_with_an_impossible_fifo_is_refused() {
    let mut uart = enabled_port();
    uart.state.fifo = vec![0; 17].into();
    let section = uart.save();
    assert_eq!(enabled_port().restore(&section), Err(section.damaged()));
}

//! Tests of the interrupt controllers against the 8259A data sheet.

use super::Chip::{Master, Slave};
use super::*;

const NONSPECIFIC_EOI: u8 = 0x20;

/// Initialised as PC firmware does: vectors 0x08 and 0x70, nothing masked. `icw4` goes to both chips.
fn initialised(icw4: u8) -> I8259Pair {
    let mut pair = I8259Pair::new();
    for (chip, base, icw3) in [(Master, 0x08, 0x04), (Slave, 0x70, 0x02)] {
        pair.write(chip, 0, 0x11);
        pair.write(chip, 1, base);
        pair.write(chip, 1, icw3);
        pair.write(chip, 1, icw4);
        pair.write(chip, 1, 0x00);
    }
    pair
}

fn pulse(pair: &mut I8259Pair, line: u8) {
    pair.set_line(line, false);
    pair.set_line(line, true);
}

#[test]
fn an_edge_interrupts_once_and_is_in_service_until_its_end() {
    let mut pair = initialised(1);
    pulse(&mut pair, 0);
    assert!(pair.irq_asserted());
    assert_eq!(pair.acknowledge(), 0x08);
    assert!(!pair.irq_asserted());
    pair.write(Master, 0, 0x0b);
    assert_eq!(pair.read(Master, 0), 0x01);
    pair.write(Master, 0, NONSPECIFIC_EOI);
    assert_eq!(pair.read(Master, 0), 0x00);
    assert!(!pair.irq_asserted(), "the line is still high, but that is no new edge");
}

#[test]
fn a_slave_interrupt_comes_with_the_slaves_vector_and_needs_two_ends() {
    let mut pair = initialised(1);
    pulse(&mut pair, 14);
    assert_eq!(pair.acknowledge(), 0x76);
    pulse(&mut pair, 15);
    pair.write(Slave, 0, NONSPECIFIC_EOI);
    assert!(!pair.irq_asserted(), "the master still serves the cascade");
    pair.write(Master, 0, NONSPECIFIC_EOI);
    assert!(pair.irq_asserted());
    assert_eq!(pair.acknowledge(), 0x77);
}

#[test]
fn lower_levels_wait_for_higher_ones() {
    let mut pair = initialised(1);
    pulse(&mut pair, 4);
    assert_eq!(pair.acknowledge(), 0x0c);
    pulse(&mut pair, 5);
    assert!(!pair.irq_asserted());
    pulse(&mut pair, 1);
    assert_eq!(pair.acknowledge(), 0x09);
    pair.write(Master, 0, NONSPECIFIC_EOI);
    assert!(!pair.irq_asserted(), "level 4 is in service again");
    pair.write(Master, 0, NONSPECIFIC_EOI);
    assert_eq!(pair.acknowledge(), 0x0d);
}

#[test]
fn a_request_that_goes_away_is_answered_with_the_spurious_level() {
    let mut pair = initialised(1);
    pulse(&mut pair, 3);
    pair.set_line(3, false);
    assert!(!pair.irq_asserted());
    assert_eq!(pair.acknowledge(), 0x0f);
    pair.write(Master, 0, 0x0b);
    assert_eq!(pair.read(Master, 0), 0, "a spurious interrupt is not in service");
}

#[test]
fn a_masked_line_is_remembered_until_unmasked() {
    let mut pair = initialised(1);
    pair.write(Master, 1, 0x10);
    assert_eq!(pair.read(Master, 1), 0x10);
    pulse(&mut pair, 4);
    assert!(!pair.irq_asserted());
    assert_eq!(pair.read(Master, 0), 0x10, "the request register shows masked requests");
    pair.write(Master, 1, 0x00);
    assert_eq!(pair.acknowledge(), 0x0c);
}

#[test]
fn automatic_end_of_interrupt_leaves_nothing_in_service() {
    let mut pair = initialised(3);
    pulse(&mut pair, 8);
    pulse(&mut pair, 9);
    assert_eq!(pair.acknowledge(), 0x70);
    assert_eq!(pair.acknowledge(), 0x71, "the slave's second request is a new edge on the cascade");
    assert!(!pair.irq_asserted());
}

#[test]
fn rotation_gives_the_served_level_the_lowest_priority() {
    // 8259A, "Automatic rotation": IR4 served and IR6 in service; after the rotate IR4 is lowest and IR5 highest.
    let mut pair = initialised(1);
    pulse(&mut pair, 6);
    assert_eq!(pair.acknowledge(), 0x0e);
    pulse(&mut pair, 4);
    assert_eq!(pair.acknowledge(), 0x0c);
    pair.write(Master, 0, 0xa0);
    pulse(&mut pair, 5);
    assert_eq!(pair.acknowledge(), 0x0d, "level 5 now beats level 6, which is in service");
}

#[test]
fn set_priority_makes_a_level_the_lowest() {
    let mut pair = initialised(1);
    pair.write(Master, 0, 0xc0 | 5);
    pulse(&mut pair, 0);
    pulse(&mut pair, 6);
    assert_eq!(pair.acknowledge(), 0x0e);
    pair.write(Master, 0, 0x60 | 6);
    assert_eq!(pair.acknowledge(), 0x08);
}

#[test]
fn special_mask_mode_lets_lower_levels_through() {
    let mut pair = initialised(1);
    pulse(&mut pair, 3);
    assert_eq!(pair.acknowledge(), 0x0b);
    pulse(&mut pair, 7);
    assert!(!pair.irq_asserted());
    pair.write(Master, 1, 0x08);
    pair.write(Master, 0, 0x68);
    assert_eq!(pair.acknowledge(), 0x0f);
    pair.write(Master, 0, NONSPECIFIC_EOI);
    pair.write(Master, 0, 0x0b);
    assert_eq!(pair.read(Master, 0), 0x08, "the masked level is not ended by a non-specific command");
}

#[test]
fn polling_acknowledges_without_an_interrupt() {
    let mut pair = initialised(1);
    pair.write(Master, 0, 0x0c);
    assert_eq!(pair.read(Master, 0) & 0x80, 0);
    pulse(&mut pair, 5);
    pair.write(Master, 0, 0x0c);
    assert_eq!(pair.read(Master, 0), 0x85);
    assert!(!pair.irq_asserted());
    pair.write(Master, 0, 0x0b);
    assert_eq!(pair.read(Master, 0), 0x20);
}

#[test]
fn special_fully_nested_mode_lets_a_higher_slave_request_in() {
    let mut pair = initialised(0x11);
    pulse(&mut pair, 12);
    assert_eq!(pair.acknowledge(), 0x74);
    pulse(&mut pair, 9);
    assert!(pair.irq_asserted());
    assert_eq!(pair.acknowledge(), 0x71);
}

#[test]
fn a_level_triggered_line_interrupts_as_long_as_it_is_high() {
    let mut pair = initialised(1);
    pair.write_elcr(Slave, 0xff);
    assert_eq!(pair.read_elcr(Slave), 0xde);
    assert!(pair.is_level_triggered(11) && !pair.is_level_triggered(13) && !pair.is_level_triggered(3));
    pair.set_line(11, true);
    for _ in 0..3 {
        assert_eq!(pair.acknowledge(), 0x73);
        pair.write(Slave, 0, NONSPECIFIC_EOI);
        pair.write(Master, 0, NONSPECIFIC_EOI);
        assert!(pair.irq_asserted());
    }
    pair.set_line(11, false);
    assert!(!pair.irq_asserted());
}

#[test]
fn initialization_forgets_edges_that_came_before() {
    let mut pair = initialised(1);
    pulse(&mut pair, 1);
    pair.write(Master, 0, 0x11);
    pair.write(Master, 1, 0x20);
    pair.write(Master, 1, 0x04);
    pair.write(Master, 1, 0x01);
    assert!(!pair.irq_asserted());
    pulse(&mut pair, 1);
    assert_eq!(pair.acknowledge(), 0x21);
}

#[test]
fn no_sequence_of_bytes_makes_it_panic_and_the_state_survives_a_snapshot() {
    let mut pair = I8259Pair::new();
    for step in 0..200_000u32 {
        let noise = step.wrapping_mul(2_654_435_761).rotate_left(13);
        let chip = if noise & 1 == 0 { Master } else { Slave };
        pair.write(chip, (noise >> 1 & 3) as u8, (noise >> 8) as u8);
        pair.set_line((noise >> 16 & 31) as u8, noise >> 24 & 1 == 0);
        pair.read(chip, (noise >> 25 & 3) as u8);
        pair.acknowledge();
    }
    let mut twin = I8259Pair::new();
    twin.restore(&pair.save()).unwrap();
    assert_eq!(twin.save(), pair.save());
}

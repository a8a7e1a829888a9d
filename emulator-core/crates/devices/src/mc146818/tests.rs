//! Tests of the clock against the MC146818 data sheet.

use super::*;

/// 2024-12-31 23:59:50 UTC, a Tuesday.
const NEW_YEARS_EVE: u64 = 1_735_689_590;

fn clock() -> Mc146818 {
    Mc146818::new(RtcConfig { unix_seconds: NEW_YEARS_EVE })
}

fn read(clock: &mut Mc146818, index: u8, now: Nanos) -> u8 {
    clock.write(0, index, now);
    clock.read(1, now)
}

fn write(clock: &mut Mc146818, index: u8, value: u8, now: Nanos) {
    clock.write(0, index, now);
    clock.write(1, value, now);
}

fn shown(clock: &mut Mc146818, now: Nanos) -> [u8; 8] {
    [0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00].map(|index| read(clock, index, now))
}

#[test]
fn time_is_shown_in_bcd_and_carries_into_the_new_year() {
    let mut clock = clock();
    assert_eq!(shown(&mut clock, 0), [0x20, 0x24, 0x12, 0x31, 0x03, 0x23, 0x59, 0x50]);
    assert_eq!(shown(&mut clock, 10 * SECOND - 1)[7], 0x59);
    assert_eq!(shown(&mut clock, 10 * SECOND), [0x20, 0x25, 0x01, 0x01, 0x04, 0x00, 0x00, 0x00]);
}

#[test]
fn binary_and_12_hour_modes_show_the_same_time() {
    let mut clock = clock();
    write(&mut clock, 0x0b, 0x06, 0);
    assert_eq!(shown(&mut clock, 0), [20, 24, 12, 31, 3, 23, 59, 50]);
    write(&mut clock, 0x0b, 0x00, 0);
    assert_eq!(read(&mut clock, 0x04, 0), 0x91, "11 PM");
    assert_eq!(read(&mut clock, 0x04, 20 * SECOND), 0x12, "12 AM is midnight");
    write(&mut clock, 0x0b, 0x04, 20 * SECOND);
    assert_eq!(read(&mut clock, 0x04, 20 * SECOND), 12);
}

#[test]
fn setting_the_clock_halts_it_until_the_set_bit_is_cleared() {
    let mut clock = clock();
    write(&mut clock, 0x0b, 0x82, 0);
    for (index, value) in
        [(0x32, 0x19), (0x09, 0x99), (0x08, 0x02), (0x07, 0x28), (0x04, 0x12), (0x02, 0x34), (0x00, 0x56)]
    {
        write(&mut clock, index, value, 0);
    }
    assert_eq!(read(&mut clock, 0x00, 5 * SECOND), 0x56);
    write(&mut clock, 0x0b, 0x02, 5 * SECOND);
    assert_eq!(shown(&mut clock, 9 * SECOND), [0x19, 0x99, 0x02, 0x28, 0x01, 0x12, 0x35, 0x00]);
}

#[test]
fn the_first_update_comes_half_a_second_after_a_divider_reset() {
    let mut clock = clock();
    write(&mut clock, 0x0b, 0x82, 0);
    write(&mut clock, 0x0a, 0x76, 0);
    write(&mut clock, 0x00, 0x10, 0);
    let start = 3 * SECOND + 123;
    write(&mut clock, 0x0b, 0x02, start);
    write(&mut clock, 0x0a, 0x26, start);
    assert_eq!(read(&mut clock, 0x00, start + SECOND / 2 - 1), 0x10);
    assert_eq!(read(&mut clock, 0x00, start + SECOND / 2), 0x11);
}

#[test]
fn update_in_progress_warns_244_microseconds_ahead() {
    let mut clock = clock();
    assert_eq!(read(&mut clock, 0x0a, SECOND - 244_001), 0x26);
    assert_eq!(read(&mut clock, 0x0a, SECOND - 244_000), 0xa6);
    assert_eq!(read(&mut clock, 0x0a, SECOND - 1), 0xa6);
    assert_eq!(read(&mut clock, 0x0a, SECOND), 0x26);
    write(&mut clock, 0x0b, 0x82, SECOND);
    assert_eq!(read(&mut clock, 0x0a, 2 * SECOND - 1), 0x26, "no updates while the clock is set");
}

#[test]
fn the_update_interrupt_comes_each_second_until_register_c_is_read() {
    let mut clock = clock();
    write(&mut clock, 0x0b, 0x12, 100);
    assert_eq!(clock.next_deadline(), Some(SECOND));
    clock.advance(SECOND);
    assert!(clock.irq_asserted());
    assert_eq!(clock.next_deadline(), None, "nothing changes until it is acknowledged");
    assert_eq!(read(&mut clock, 0x0c, SECOND + 1) & 0x90, 0x90);
    assert!(!clock.irq_asserted());
    assert_eq!(read(&mut clock, 0x0c, SECOND + 2), 0);
    assert_eq!(clock.next_deadline(), Some(2 * SECOND));
}

#[test]
fn the_periodic_rate_follows_the_rate_bits() {
    // MC146818, table 5, 32.768 kHz time base.
    for (rate, hz) in [(1, 256), (2, 128), (3, 8192), (6, 1024), (8, 256), (15, 2)] {
        let mut clock = clock();
        write(&mut clock, 0x0a, 0x20 | rate, 0);
        write(&mut clock, 0x0b, 0x42, 0);
        let mut interrupts = 0;
        while let Some(deadline) = clock.next_deadline().filter(|&deadline| deadline <= SECOND) {
            clock.advance(deadline);
            assert_eq!(read(&mut clock, 0x0c, deadline) & 0xc0, 0xc0);
            interrupts += 1;
        }
        assert_eq!(interrupts, hz, "rate {rate}");
    }
}

#[test]
fn the_alarm_rings_at_its_time_and_may_leave_fields_open() {
    let mut clock = clock();
    for (index, value) in [(0x05, 0x00), (0x03, 0x00), (0x01, 0x05)] {
        write(&mut clock, index, value, 0);
    }
    write(&mut clock, 0x0b, 0x22, 0);
    assert_eq!(clock.next_deadline(), Some(15 * SECOND));
    write(&mut clock, 0x05, 0xff, 0);
    write(&mut clock, 0x03, 0xc0, 0);
    write(&mut clock, 0x01, 0x55, 0);
    assert_eq!(clock.next_deadline(), Some(5 * SECOND));
    clock.advance(5 * SECOND);
    assert_eq!(read(&mut clock, 0x0c, 5 * SECOND) & 0xb0, 0xb0, "request, alarm and update");
}

#[test]
fn flags_are_set_without_their_interrupts_being_enabled() {
    let mut clock = clock();
    clock.advance(SECOND);
    assert!(!clock.irq_asserted());
    assert_eq!(read(&mut clock, 0x0c, SECOND) & 0x90, 0x10);
}

#[test]
fn ram_holds_bytes_and_the_index_port_masks_nmi() {
    let mut clock = clock();
    write(&mut clock, 0x7f, 0x5a, 0);
    clock.set_nvram(0x15, 0x80);
    clock.set_nvram(0x0b, 0xff);
    assert_eq!((read(&mut clock, 0x7f, 0), read(&mut clock, 0x15, 0), read(&mut clock, 0x0b, 0)), (0x5a, 0x80, 0x02));
    clock.write(0, 0x8d, 0);
    assert!(clock.nmi_masked());
    assert_eq!(clock.read(1, 0), 0x80, "time and RAM are valid");
    assert_eq!(clock.read(0, 0), 0xff);
    clock.reset();
    assert_eq!(clock.nvram(0x7f), 0x5a);
}

#[test]
fn noise_does_not_panic_and_a_snapshot_is_exact() {
    let mut clock = Mc146818::new(RtcConfig { unix_seconds: u64::MAX });
    let mut now = 0;
    for step in 0..200_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        now += noise >> 36;
        write(&mut clock, (noise & 0x3f) as u8, (noise >> 8) as u8, now);
        read(&mut clock, (noise >> 16 & 0x7f) as u8, now);
        assert!(clock.next_deadline().is_none_or(|deadline| deadline > now));
    }
    let mut twin = self::clock();
    twin.restore(&clock.save()).unwrap();
    assert_eq!(twin.save(), clock.save());
    twin.advance(u64::MAX);
    read(&mut twin, 0, u64::MAX);
    clock.state.ram.pop();
    assert!(twin.restore(&clock.save()).is_err());
}

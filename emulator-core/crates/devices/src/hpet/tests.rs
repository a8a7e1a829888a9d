//! Tests of the HPET against its specification and the way operating systems program it.

use super::*;
use AccessSize::{Byte, Dword, Qword, Word};

const TICK: Nanos = 10;

fn running() -> Hpet {
    let mut hpet = Hpet::new();
    hpet.write(0x10, Dword, 1, 0);
    hpet
}

#[test]
fn capabilities_tell_period_size_and_timers() {
    let mut hpet = Hpet::new();
    let capabilities = hpet.read(0, Qword, 0);
    assert_eq!(capabilities, 0x0098_9680_8086_a201);
    assert_eq!(hpet.read(4, Dword, 0), 10_000_000, "femtoseconds a tick, at most 0x05f5e100");
    assert_eq!(hpet.read(0x100, Dword, 0) & 0x30, 0x30);
    assert_eq!(hpet.read(0x104, Dword, 0), u64::from(ROUTABLE_PINS));
}

#[test]
fn the_counter_runs_only_while_enabled_and_can_be_set() {
    let mut hpet = Hpet::new();
    assert_eq!(hpet.read(0xf0, Qword, 1_000_000), 0);
    hpet.write(0x10, Dword, 1, 1_000_000);
    assert_eq!(hpet.read(0xf0, Qword, 2_000_000), 100_000);
    hpet.write(0x10, Dword, 0, 2_000_000);
    assert_eq!(hpet.read(0xf0, Dword, 9_000_000), 100_000);
    hpet.write(0xf4, Dword, 0x1234, 9_000_000);
    hpet.write(0xf0, Dword, 0, 9_000_000);
    assert_eq!(hpet.read(0xf0, Qword, 9_000_000), 0x1234_0000_0000);
}

#[test]
fn a_one_shot_fires_once_at_its_match() {
    let mut hpet = running();
    hpet.write(0x100, Dword, 0x104, 0);
    hpet.write(0x108, Dword, 500, 0);
    assert_eq!(hpet.next_deadline(), Some(500 * TICK));
    hpet.advance(500 * TICK - 1);
    assert!(!hpet.take_edge(0));
    hpet.advance(500 * TICK);
    assert!(hpet.take_edge(0));
    assert!(!hpet.take_edge(0));
    assert_eq!(hpet.next_deadline(), Some((500 + (1 << 32)) * TICK), "32-bit mode matches again after a wrap");
}

#[test]
fn a_periodic_timer_is_set_up_by_two_writes_and_keeps_its_grid() {
    let mut hpet = running();
    let periodic = 0x14c;
    hpet.write(0x100, Dword, periodic, 0);
    hpet.write(0x108, Dword, 1_000_000, 0);
    hpet.write(0x108, Dword, 400_000, 0);
    let mut fired = Vec::new();
    for _ in 0..3 {
        let deadline = hpet.next_deadline().unwrap();
        hpet.advance(deadline);
        assert!(hpet.take_edge(0));
        fired.push(deadline / TICK);
    }
    assert_eq!(fired, [1_000_000, 1_400_000, 1_800_000]);
    hpet.advance(3_500_000 * TICK);
    assert!(hpet.take_edge(0));
    assert_eq!(hpet.next_deadline(), Some(3_800_000 * TICK));
}

#[test]
fn a_level_interrupt_stays_until_its_status_is_cleared() {
    let mut hpet = running();
    hpet.write(0x140, Dword, 0x106 | 21 << 9, 0);
    hpet.write(0x148, Dword, 10, 0);
    assert_eq!(hpet.route(2), HpetRoute::IoApicPin(21));
    hpet.advance(1000);
    assert!(hpet.irq_asserted(2) && !hpet.take_edge(2));
    assert_eq!(hpet.read(0x20, Dword, 1000), 4);
    hpet.write(0x20, Dword, 4, 1000);
    assert!(!hpet.irq_asserted(2));
}

#[test]
fn legacy_replacement_takes_over_timer_and_clock_interrupts() {
    let mut hpet = running();
    assert_eq!(hpet.route(0), HpetRoute::IoApicPin(20));
    hpet.write(0x10, Dword, 3, 0);
    assert!(hpet.legacy_replacement());
    assert_eq!(
        [0, 1, 2].map(|timer| hpet.route(timer)),
        [HpetRoute::LegacyTimer, HpetRoute::LegacyRtc, HpetRoute::IoApicPin(20)]
    );
}

#[test]
fn a_route_the_timer_lacks_does_not_read_back() {
    let mut hpet = running();
    hpet.write(0x100, Dword, 22 << 9, 0);
    hpet.write(0x100, Dword, 5 << 9, 0);
    assert_eq!(hpet.read(0x100, Dword, 0) >> 9 & 31, 22);
}

#[test]
fn a_timer_without_interrupts_wakes_nobody() {
    let mut hpet = running();
    hpet.write(0x108, Qword, 500, 0);
    assert_eq!(hpet.next_deadline(), None);
}

#[test]
fn an_absurdly_short_period_does_not_flood_the_host() {
    let mut hpet = running();
    hpet.write(0x100, Dword, 0x4c, 0);
    hpet.write(0x108, Qword, 1, 0);
    let first = hpet.next_deadline().unwrap();
    hpet.advance(first);
    assert!(hpet.next_deadline().unwrap() - first >= 10_000);
}

#[test]
fn noise_does_not_panic_and_a_snapshot_is_exact() {
    let mut hpet = running();
    let mut now = 0;
    for step in 0..200_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        now += noise >> 44;
        let size = [Byte, Word, Dword, Qword][(noise & 3) as usize];
        hpet.write(noise >> 2 & 0x1ff, size, noise, now);
        hpet.read(noise >> 11 & 0x3ff, size, now);
        hpet.take_edge((noise >> 21 & 3) as usize);
        assert!(hpet.next_deadline().is_none_or(|deadline| deadline > now));
    }
    let mut twin = Hpet::new();
    twin.restore(&hpet.save()).unwrap();
    assert_eq!(twin.save(), hpet.save());
    twin.advance(u64::MAX);
}

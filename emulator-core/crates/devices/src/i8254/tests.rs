//! Tests of the timer against the 8254 data sheet's waveforms. `at(n)` is guest time at oscillator tick `n`.

use super::*;

const START: u64 = 1000;

fn at(tick: u64) -> Nanos {
    OSCILLATOR.time_of(START + tick)
}

/// Programs a counter with a control word and a two-byte count at tick 0; it is loaded at tick 1.
fn programmed(counter: u8, control: u8, count: u16) -> I8254 {
    let mut timer = I8254::new();
    timer.set_gate(2, true, at(0));
    timer.write(3, counter << 6 | 0x30 | control, at(0));
    let [low, high] = count.to_le_bytes();
    timer.write(counter, low, at(0));
    timer.write(counter, high, at(0));
    timer.take_timer_edge();
    timer
}

fn count(timer: &mut I8254, counter: u8, tick: u64) -> u16 {
    timer.write(3, counter << 6, at(tick));
    u16::from_le_bytes([timer.read(counter, at(tick)), timer.read(counter, at(tick))])
}

/// OUT from tick 1 (the first after loading) on, as the data sheet draws it.
fn waveform(timer: &I8254, counter: usize, ticks: u64) -> String {
    (1..=ticks).map(|tick| if timer.out(counter, at(tick)) { '-' } else { '_' }).collect()
}

#[test]
fn mode_0_goes_high_on_terminal_count_and_counts_on() {
    let mut timer = programmed(0, 0 << 1, 4);
    assert_eq!(waveform(&timer, 0, 7), "____---");
    let counts: Vec<u16> = (1..=6).map(|tick| count(&mut timer, 0, tick)).collect();
    assert_eq!(counts, [4, 3, 2, 1, 0, 0xffff]);
}

#[test]
fn mode_0_stops_while_the_gate_is_low() {
    let mut timer = programmed(2, 0 << 1, 4);
    timer.set_gate(2, false, at(3));
    assert_eq!(count(&mut timer, 2, 50), 2);
    timer.set_gate(2, true, at(100));
    assert!(!timer.out(2, at(101)));
    assert!(timer.out(2, at(102)));
}

#[test]
fn mode_1_is_a_retriggerable_one_shot() {
    let mut timer = programmed(2, 1 << 1, 3);
    assert!(timer.out(2, at(50)));
    timer.set_gate(2, false, at(50));
    timer.set_gate(2, true, at(60));
    let levels: String = (60..66).map(|t| if timer.out(2, at(t)) { '-' } else { '_' }).collect();
    assert_eq!(levels, "-___--");
    timer.set_gate(2, false, at(70));
    timer.set_gate(2, true, at(70));
    timer.set_gate(2, false, at(72));
    timer.set_gate(2, true, at(72));
    assert!(!timer.out(2, at(75)) && timer.out(2, at(76)));
}

#[test]
fn mode_2_is_low_for_one_tick_in_every_period() {
    let mut timer = programmed(0, 2 << 1, 3);
    assert_eq!(waveform(&timer, 0, 9), "--_--_--_");
    let counts: Vec<u16> = (1..=5).map(|tick| count(&mut timer, 0, tick)).collect();
    assert_eq!(counts, [3, 2, 1, 3, 2]);
}

#[test]
fn mode_2_takes_a_new_count_at_the_end_of_the_period() {
    let mut timer = programmed(0, 2 << 1, 4);
    timer.write(0, 5, at(2));
    timer.write(0, 0, at(2));
    assert_eq!(waveform(&timer, 0, 14), "---_----_----_");
}

#[test]
fn mode_3_is_a_square_wave_and_an_odd_count_is_high_one_tick_longer() {
    assert_eq!(waveform(&programmed(0, 3 << 1, 4), 0, 8), "--__--__");
    assert_eq!(waveform(&programmed(0, 3 << 1, 5), 0, 10), "---__---__");
    let mut timer = programmed(0, 3 << 1, 4);
    let counts: Vec<u16> = (1..=6).map(|tick| count(&mut timer, 0, tick)).collect();
    assert_eq!(counts, [4, 2, 4, 2, 4, 2]);
}

#[test]
fn modes_6_and_7_are_2_and_3() {
    assert_eq!(waveform(&programmed(0, 6 << 1, 3), 0, 6), "--_--_");
    assert_eq!(waveform(&programmed(0, 7 << 1, 4), 0, 4), "--__");
}

#[test]
fn mode_4_strobes_for_one_tick_after_the_count() {
    assert_eq!(waveform(&programmed(0, 4 << 1, 3), 0, 8), "---_----");
}

#[test]
fn mode_5_strobes_after_a_trigger() {
    let mut timer = programmed(2, 5 << 1, 2);
    assert!(!waveform(&timer, 2, 40).contains('_'));
    timer.set_gate(2, false, at(40));
    timer.set_gate(2, true, at(41));
    let levels: String = (41..48).map(|t| if timer.out(2, at(t)) { '-' } else { '_' }).collect();
    assert_eq!(levels, "---_---");
}

#[test]
fn a_count_of_zero_is_the_largest() {
    let timer = programmed(0, 2 << 1, 0);
    assert_eq!(timer.next_deadline(), Some(at(1 + 65_536)));
    let timer = programmed(0, 2 << 1 | 1, 0);
    assert_eq!(timer.next_deadline(), Some(at(1 + 10_000)));
}

#[test]
fn decimal_counts_are_written_and_read_in_bcd() {
    let mut timer = programmed(0, 1, 0x1000);
    assert_eq!(count(&mut timer, 0, 2), 0x0999);
    assert_eq!(count(&mut timer, 0, 1 + 1001), 0x9999);
}

#[test]
fn a_latched_count_stands_still_until_read() {
    let mut timer = programmed(0, 2 << 1, 1000);
    timer.write(3, 0x00, at(11));
    timer.write(3, 0x00, at(500));
    let latched = u16::from_le_bytes([timer.read(0, at(600)), timer.read(0, at(700))]);
    assert_eq!(latched, 990);
    assert_eq!(timer.read(0, at(1)), (1000u16 & 0xff) as u8);
}

#[test]
fn read_back_answers_status_first_and_then_the_count() {
    let mut timer = programmed(0, 3 << 1, 0x1234);
    timer.write(3, 0xc2, at(0));
    assert_eq!(timer.read(0, at(0)), 0xf6, "OUT high, count not yet loaded, two bytes, mode 3");
    timer.read(0, at(0));
    timer.read(0, at(0));
    timer.write(3, 0xc2, at(1));
    assert_eq!(timer.read(0, at(2)), 0xb6);
    assert_eq!(u16::from_le_bytes([timer.read(0, at(9)), timer.read(0, at(9))]), 0x1234);
    assert_eq!(timer.read(3, at(9)), 0xff);
}

#[test]
fn timer_edges_come_exactly_hz_over_count_times_a_second() {
    // HZ=1000 as Linux programs it: 1193182 / 1193 is 1000.15 interrupts a second.
    let mut timer = programmed(0, 2 << 1, 1193);
    let mut edges = 0;
    let end = at(1 + 1_193_182 * 10);
    while let Some(deadline) = timer.next_deadline().filter(|&deadline| deadline <= end) {
        timer.advance(deadline - 1);
        assert!(!timer.take_timer_edge(), "not a nanosecond early");
        timer.advance(deadline);
        assert!(timer.take_timer_edge());
        edges += 1;
    }
    assert_eq!(edges, 11_931_820 / 1193);
}

#[test]
fn late_polling_sees_one_edge() {
    let mut timer = programmed(0, 2 << 1, 100);
    timer.advance(at(100_000));
    assert!(timer.take_timer_edge());
    assert!(!timer.take_timer_edge());
    assert!(timer.next_deadline().unwrap() > at(100_000));
}

#[test]
fn a_finished_one_shot_has_no_deadline() {
    let mut timer = programmed(0, 0 << 1, 100);
    assert_eq!(timer.next_deadline(), Some(at(101)));
    timer.advance(at(101));
    assert!(timer.take_timer_edge());
    assert_eq!(timer.next_deadline(), None);
}

#[test]
fn noise_and_hostile_snapshots_do_not_panic() {
    let mut timer = I8254::new();
    let mut now = 0;
    for step in 0..200_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        now += noise >> 50;
        timer.write((noise & 3) as u8, (noise >> 8) as u8, now);
        timer.read((noise >> 2 & 7) as u8, now);
        timer.set_gate((noise >> 5 & 3) as usize, noise >> 7 & 1 == 0, now);
        timer.advance(now);
        assert!(timer.next_deadline().is_none_or(|deadline| deadline > now));
    }
    let mut twin = I8254::new();
    twin.restore(&timer.save()).unwrap();
    assert_eq!(twin.save(), timer.save());
    timer.counters[0] = programmed(0, 4, 7).counters[0].clone();
    timer.seen = u64::MAX;
    twin.restore(&timer.save()).unwrap();
    twin.advance(u64::MAX);
    assert!(twin.out(0, u64::MAX));
    assert_eq!(twin.next_deadline(), None);
}

//! Tests of the keyboard controller, keyboard and mouse: what drivers ask, and what the reference manual answers.

use super::*;

/// The controller together with the guest's clock, which each access moves a little.
struct Bench {
    chip: I8042,
    now: Nanos,
}

impl Bench {
    fn new() -> Bench {
        Bench { chip: I8042::new(true), now: 0 }
    }

    fn command(&mut self, value: u8) {
        self.now += 1000;
        self.chip.write_command(value, self.now);
    }

    fn data(&mut self, value: u8) {
        self.now += 1000;
        self.chip.write_data(value, self.now);
    }

    fn status(&mut self) -> u8 {
        self.chip.read_status(self.now)
    }

    /// Waits for the next byte as the run loop would; `None` when none is coming.
    fn byte(&mut self) -> Option<u8> {
        if self.status() & status::OUTPUT_FULL == 0 {
            self.now = self.now.max(self.chip.next_deadline()?);
            self.chip.advance(self.now);
            if self.status() & status::OUTPUT_FULL == 0 {
                return self.byte();
            }
        }
        Some(self.chip.read_data(self.now))
    }

    fn bytes(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.byte()).collect()
    }

    fn mouse(&mut self, value: u8) -> Vec<u8> {
        self.command(0xd4);
        self.data(value);
        self.bytes()
    }

    fn keyboard(&mut self, value: u8) -> Vec<u8> {
        self.data(value);
        self.bytes()
    }

    fn set_mode(&mut self, value: u8) {
        self.command(0x60);
        self.data(value);
    }
}

#[test]
fn self_tests_pass_and_the_command_byte_reads_back() {
    let mut bench = Bench::new();
    bench.command(0xaa);
    assert_eq!(bench.status() & 0x0d, 0x0d, "output full, system flag, last write was a command");
    assert_eq!(bench.bytes(), [0x55]);
    for test in [0xa9, 0xab] {
        bench.command(test);
        assert_eq!(bench.bytes(), [0x00]);
    }
    bench.set_mode(0x74);
    bench.command(0x20);
    assert_eq!(bench.bytes(), [0x74]);
    assert_eq!(bench.status() & status::UNLOCKED, status::UNLOCKED);
}

#[test]
fn the_mouse_port_is_found_by_looping_bytes_and_switching_it() {
    let mut bench = Bench::new();
    bench.set_mode(0x76);
    for value in [0x5a, 0xf0, 0x56, 0xa4] {
        bench.command(0xd3);
        bench.data(value);
        assert_eq!(bench.status() & 0x21, 0x21);
        assert!(bench.chip.mouse_irq() && !bench.chip.keyboard_irq());
        assert_eq!(bench.bytes(), [value], "an answer unlike the byte would mean a multiplexer");
        assert!(!bench.chip.mouse_irq());
    }
    for (switch, disabled) in [(0xa7, 0x20), (0xa8, 0x00)] {
        bench.command(switch);
        bench.command(0x20);
        assert_eq!(bench.byte().unwrap() & 0x20, disabled);
    }
}

#[test]
fn the_keyboard_identifies_itself_through_translation() {
    let mut bench = Bench::new();
    assert_eq!(bench.keyboard(0xf2), [0xfa, 0xab, 0x41]);
    bench.set_mode(0x05);
    assert_eq!(bench.keyboard(0xf2), [0xfa, 0xab, 0x83]);
}

#[test]
fn keyboard_commands_are_acknowledged_with_their_options() {
    let mut bench = Bench::new();
    bench.set_mode(0x05);
    assert_eq!(bench.keyboard(0xff), [0xfa, 0xaa]);
    assert_eq!(bench.keyboard(0xee), [0xee]);
    for command in [0xed, 0xf3] {
        assert_eq!(bench.keyboard(command), [0xfa]);
        assert_eq!(bench.keyboard(0x00), [0xfa]);
    }
    assert_eq!(bench.keyboard(0xf0), [0xfa]);
    assert_eq!(bench.keyboard(0x00), [0xfa, 0x02]);
    assert_eq!(bench.keyboard(0xed), [0xfa]);
    assert_eq!(bench.keyboard(0xf4), [0xfa], "a command instead of an option");
    assert_eq!(bench.keyboard(0x05), [0xfe]);
    assert_eq!(bench.keyboard(0xfe), [0xfe]);
}

#[test]
fn keys_arrive_in_set_1_one_interrupt_a_byte() {
    let mut bench = Bench::new();
    // A, make and break; right arrow, make and break: set 2 as keyboards send it.
    let keys = [0x1c, 0xf0, 0x1c, 0xe0, 0x74, 0xe0, 0xf0, 0x74];
    assert_eq!(bench.chip.push_key_bytes(&keys, bench.now), keys.len());
    assert!(!bench.chip.keyboard_irq(), "a byte takes its time");
    let mut seen = Vec::new();
    while let Some(deadline) = bench.chip.next_deadline() {
        bench.now = deadline;
        bench.chip.advance(bench.now);
        if bench.chip.keyboard_irq() {
            seen.push(bench.chip.read_data(bench.now));
            assert!(!bench.chip.keyboard_irq(), "the pin falls between two bytes");
        }
    }
    assert_eq!(seen, [0x1e, 0x9e, 0xe0, 0x4d, 0xe0, 0xcd]);
}

#[test]
fn a_disabled_interface_holds_its_bytes_back() {
    let mut bench = Bench::new();
    bench.command(0xad);
    bench.chip.push_key_bytes(&[0x1c], bench.now);
    assert_eq!(bench.bytes(), []);
    bench.command(0xae);
    assert_eq!(bench.bytes(), [0x1e]);
}

#[test]
fn disabled_scanning_loses_keys() {
    let mut bench = Bench::new();
    assert_eq!(bench.keyboard(0xf5), [0xfa]);
    bench.chip.push_key_bytes(&[0x1c], bench.now);
    assert_eq!(bench.bytes(), []);
}

#[test]
fn the_wheel_is_switched_on_by_the_knock_of_sample_rates() {
    let mut bench = Bench::new();
    assert_eq!(bench.mouse(0xff), [0xfa, 0xaa, 0x00]);
    assert_eq!(bench.mouse(0xf2), [0xfa, 0x00]);
    for rate in [200, 100, 80] {
        assert_eq!(bench.mouse(0xf3), [0xfa]);
        assert_eq!(bench.mouse(rate), [0xfa]);
    }
    assert_eq!(bench.mouse(0xf2), [0xfa, 0x03]);
    assert_eq!(bench.mouse(0xf4), [0xfa]);
    bench.chip.push_mouse(MouseEvent { dx: 5, dy: -3, dz: 1, buttons: 1 }, bench.now);
    assert_eq!(bench.bytes(), [0x29, 0x05, 0xfd, 0x01]);
    assert_eq!(bench.mouse(0xff), [0xfa, 0xaa, 0x00]);
    assert_eq!(bench.mouse(0xf2), [0xfa, 0x00], "a reset makes it a plain mouse again");
}

#[test]
fn mouse_status_tells_settings_and_buttons() {
    let mut bench = Bench::new();
    assert_eq!(bench.mouse(0xe9), [0xfa, 0x00, 0x02, 100]);
    bench.mouse(0xe8);
    bench.mouse(3);
    bench.mouse(0xe7);
    bench.mouse(0xf4);
    bench.chip.push_mouse(MouseEvent { buttons: 1, ..MouseEvent::default() }, bench.now);
    assert_eq!(bench.bytes(), [0x09, 0, 0]);
    assert_eq!(bench.mouse(0xe9), [0xfa, 0x34, 0x03, 100]);
}

#[test]
fn large_movement_is_split_and_none_of_it_lost() {
    let mut bench = Bench::new();
    bench.mouse(0xf4);
    for _ in 0..100 {
        bench.chip.push_mouse(MouseEvent { dx: 100, dy: -200, ..MouseEvent::default() }, bench.now);
    }
    let (mut x, mut y) = (0, 0);
    let bytes = bench.bytes();
    for report in bytes.chunks(3) {
        x += i32::from(report[1]) - if report[0] & 0x10 != 0 { 256 } else { 0 };
        y += i32::from(report[2]) - if report[0] & 0x20 != 0 { 256 } else { 0 };
    }
    assert_eq!((x, y), (10_000, -20_000));
}

#[test]
fn a_mouse_that_is_not_enabled_reports_nothing() {
    let mut bench = Bench::new();
    bench.chip.push_mouse(MouseEvent { dx: 1, ..MouseEvent::default() }, 0);
    assert_eq!(bench.bytes(), []);
    assert_eq!(bench.mouse(0xf4), [0xfa]);
    assert_eq!(bench.mouse(0x77), [0xfe]);
}

#[test]
fn the_output_port_gates_a20_and_resets() {
    let mut bench = Bench::new();
    bench.command(0xdd);
    assert!(!bench.chip.a20_gate());
    bench.command(0xd0);
    assert_eq!(bench.bytes(), [0xcd], "gate closed, not in reset, all lines idle");
    bench.command(0xd1);
    bench.data(0xdf);
    assert!(bench.chip.a20_gate() && !bench.chip.take_reset());
    bench.command(0xfe);
    assert!(bench.chip.take_reset());
    assert!(!bench.chip.take_reset());
    bench.command(0xff);
    assert!(!bench.chip.take_reset());
}

#[test]
fn input_is_bounded() {
    let mut bench = Bench::new();
    let accepted = bench.chip.push_key_bytes(&[0x1c; 10_000], 0);
    assert_eq!(accepted, 256);
    assert_eq!(bench.bytes().len(), 256);
}

#[test]
fn noise_does_not_panic_and_a_snapshot_is_exact() {
    let mut bench = Bench::new();
    for step in 0..200_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        bench.now += noise >> 46;
        match noise & 7 {
            0..=2 => bench.command((noise >> 8) as u8),
            3..=5 => bench.data((noise >> 8) as u8),
            6 => drop(bench.chip.read_data(bench.now)),
            _ => {
                bench.chip.push_key_bytes(&noise.to_le_bytes(), bench.now);
                let [dx, dy] = [noise as i32, (noise >> 32) as i32];
                bench.chip.push_mouse(MouseEvent { dx, dy, dz: dx, buttons: dx as u8 }, bench.now);
            }
        }
    }
    let mut twin = I8042::new(false);
    twin.restore(&bench.chip.save()).unwrap();
    assert_eq!(twin.save(), bench.chip.save());
}

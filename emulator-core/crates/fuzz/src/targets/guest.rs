//! Guests on the whole board: code of all kinds at privilege level 0, in every mode, which reaches every chip. The host lives on,
//! gets its turn again, and can save and restore the machine, which then does as the first one does.

mod code;
mod rom;

use std::rc::Rc;

use machine::{Boot, Clock, Config, CpuModel, Machine, RunOutcome};
use x86::Feature;

use super::Target;
use crate::input::Input;
use rom::Mode;

pub(super) const TARGET: Target = Target { name: "guest", run, seeds, longest: 1200, bounded: 300 };

/// Instructions a turn.
const INSTRUCTIONS: u64 = 1500;
/// A turn may overrun by as many as one block has.
const OVERRUN: u64 = 256;
const MODES: [Mode; 4] = [Mode::Real, Mode::Protected16, Mode::Protected32, Mode::Long];

/// Any bytes make a program: noise is the best of inputs.
fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

fn run(input: &[u8]) {
    let mut input = Input(input);
    let mode = input.pick(&MODES);
    let cpu = input.pick(&CpuModel::ALL);
    let mode = if cpu.features().contains(Feature::LongMode) || mode != Mode::Long { mode } else { Mode::Protected32 };
    let config = Config {
        memory_bytes: 2 << 20,
        cpu,
        clock: Clock::Instructions { ns_per_kilo_instruction: input.pick(&[1, 1000, 1_000_000]) },
        ..Config::default()
    };
    let boot = Boot::Firmware { rom: Rc::new(rom::build(mode, &mut input)) };
    let mut machine = Machine::new(config, &boot).expect("firmware boots");
    if turns(&mut machine, &boot) {
        return;
    }
    let snapshot = machine.snapshot();
    let mut again = Machine::restore(&snapshot).expect("a machine that runs can be restored");
    for machine in [&mut machine, &mut again] {
        turns(machine, &boot);
    }
    assert!(machine.snapshot() == again.snapshot(), "the machine that was restored did otherwise");
}

/// Some turns with somebody at the keyboard and the serial line; says whether the machine is off.
fn turns(machine: &mut Machine, boot: &Boot) -> bool {
    let mut now = 0;
    for turn in 0..3 {
        machine.serial_input(turn & 1, b"fuzz");
        machine.keyboard_input(&[0x1e, 0x9e]);
        let before = machine.stats().processor.instructions;
        let outcome = machine.run(now, INSTRUCTIONS);
        assert!(
            machine.stats().processor.instructions - before <= INSTRUCTIONS + OVERRUN,
            "the machine kept its host waiting"
        );
        match outcome {
            RunOutcome::Running => now += 1000,
            RunOutcome::Idle { until_ns: Some(until) } => now = until,
            RunOutcome::Idle { until_ns: None } => machine.press_power_button(),
            RunOutcome::Reset => machine.reboot(boot).expect("what booted once boots again"),
            RunOutcome::PoweredOff | RunOutcome::DebugExit(_) | RunOutcome::Fault(_) => return true,
        }
    }
    machine.serial_output(0);
    machine.debug_output();
    false
}

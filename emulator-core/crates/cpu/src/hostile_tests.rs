//! Whatever bytes a guest runs, in whatever state, the processor answers with exceptions: it never panics and never
//! stays in one call. Deterministic: the generator is seeded with the number of the run.

use platform::Vcpu;

use crate::testing::*;

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Bytes that begin more irregular instructions than even odds would.
const INTERESTING: [u8; 24] = [
    0x0f, 0x01, 0x00, 0x66, 0x67, 0xf2, 0xf3, 0xcf, 0xcb, 0xca, 0xcd, 0x9d, 0x8e, 0xea, 0x9a, 0xff, 0xa4, 0xab, 0xae,
    0x6c, 0x22, 0x30, 0xc7, 0xd9,
];

fn random_program(random: &mut Random) -> Vec<u8> {
    (0..96)
        .map(|_| {
            let value = random.next();
            if value & 0x300 == 0 { INTERESTING[(value >> 16) as usize % INTERESTING.len()] } else { value as u8 }
        })
        .collect()
}

/// Registers with small numbers, addresses in RAM, and wild values.
fn randomise(machine: &mut Machine, random: &mut Random) {
    for number in 0..16 {
        let value = random.next();
        let value = match value % 4 {
            0 => value >> 60,
            1 => value % RAM_BYTES,
            2 => PROGRAM + value % 0x1000,
            _ => value,
        };
        if number != 4 || value % 8 == 0 {
            machine.set_reg(number, value);
        }
    }
    // Some of the tables are damaged as well.
    for _ in 0..random.next() % 8 {
        let at = GDT + random.next() % (PAGE_TABLES + 0x3000 - GDT);
        machine.write(at, &[random.next() as u8]);
    }
}

#[test]
fn random_programs_in_every_mode_end_in_exceptions_at_worst() {
    for run in 1..=3000u64 {
        let mut random = Random(run.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let program = random_program(&mut random);
        let mut machine = match run % 5 {
            0 => Machine::real(&program),
            1 => Machine::protected(&program),
            2 => Machine::protected(&program).user(),
            3 => Machine::long(&program),
            _ => Machine::long(&program).user(),
        };
        randomise(&mut machine, &mut random);
        machine.bus.answer = random.next();
        for _ in 0..20 {
            machine.bus.interrupt = Some(random.next() as u8);
            machine.cpu.run(&mut machine.bus, 0, 1000, 50);
        }
    }
}

#[test]
fn a_handler_that_faults_for_ever_uses_up_the_budget() {
    // Every vector of real mode leads to an undefined instruction, and the 16-bit stack wraps without end.
    let mut machine = Machine::real(&[0x0f, 0x0b]);
    for vector in 0..256 {
        machine.write(HANDLERS + vector * 16, &[0x0f, 0x0b]);
    }
    machine.cpu.state.load_real_segment(x86::seg::SS, 0x3000);
    machine.cpu.state_changed();
    assert_eq!(machine.cpu.run(&mut machine.bus, 0, 1000, 100_000), platform::VcpuExit::Yield);
}

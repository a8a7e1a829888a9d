//! One description, two engines: whatever the interpreter does, the compiled code does.

mod rig;

use rig::compiled::Runner;
use rig::generate::{self, Random};
use rig::interpreter::Interpreter;
use rig::{Case, End};

/// `JMP` to the next instruction: ends a block and changes nothing.
const END: [u8; 2] = [0xeb, 0];

struct Pair {
    interpreter: Interpreter,
    runner: Runner,
    exceptions: u32,
}

impl Pair {
    fn new() -> Pair {
        Pair { interpreter: Interpreter::new(), runner: Runner::new(), exceptions: 0 }
    }

    fn compare(&mut self, case: &Case, cached: u64, what: &str) {
        let wanted = self.interpreter.run(case);
        let got = self.runner.run(case, cached);
        self.exceptions += u32::from(matches!(wanted.end, End::Exception(..)));
        let listing: Vec<String> = rig::compiled::lower(&case.code).iter().map(|op| format!("{:?}", op.sem)).collect();
        let context = format!("{what} {:02x?} {listing:?}", case.code);
        assert_eq!(got.end, wanted.end, "{context}\n{:x?} {:x?}", case.registers, case.rflags);
        assert_eq!(got.rflags, wanted.rflags, "flags of {context}\n{:x?} {:x}", case.registers, case.rflags);
        assert_eq!(got.registers, wanted.registers, "{context}\n{:x?} {:x}", case.registers, case.rflags);
        assert!(got.data == wanted.data, "memory after {context}\n{:x?}", case.registers);
    }
}

#[test]
fn every_general_purpose_encoding_does_the_same_compiled_and_interpreted() {
    let mut pair = Pair::new();
    let mut random = Random::new(0x7e11_a917);
    for row in generate::rows() {
        for _ in 0..24 {
            let mut code = generate::instruction(&mut random, row);
            if !generate::ends_block(row) {
                code.extend(END);
            }
            let case = generate::case(&mut random, code);
            let cached = random.next();
            pair.compare(&case, cached, row.mnemonic);
        }
    }
    assert!(pair.exceptions > 100, "fault edges are exercised: {}", pair.exceptions);
    assert!(pair.runner.helpers().slow > 100, "slow paths are exercised");
}

#[test]
fn straight_lines_of_instructions_do_the_same_compiled_and_interpreted() {
    let mut pair = Pair::new();
    let mut random = Random::new(0x51de_ca5e);
    let rows: Vec<_> = generate::rows().into_iter().filter(|row| !generate::ends_block(row)).collect();
    for _ in 0..3000 {
        let mut code = Vec::new();
        for _ in 0..2 + random.below(11) {
            let row = rows[random.below(rows.len() as u64) as usize];
            code.extend(generate::instruction(&mut random, row));
        }
        code.extend(END);
        let case = generate::case(&mut random, code);
        let cached = random.next();
        pair.compare(&case, cached, "sequence");
    }
}

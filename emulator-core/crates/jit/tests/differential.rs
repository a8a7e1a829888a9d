//! One description, two engines: whatever the interpreter does, the compiled code does.

mod rig;

use rig::compiled::Runner;
use rig::generate::{self, Random};
use rig::interpreter::Interpreter;
use rig::{Case, End};
use x86::Width;

/// `JMP` to the next instruction: ends a block and changes nothing.
const END: [u8; 2] = [0xeb, 0];

struct Pair {
    interpreter: Interpreter,
    runner: Runner,
    exceptions: u32,
}

impl Pair {
    fn new(mode: Width) -> Pair {
        Pair { interpreter: Interpreter::new(mode), runner: Runner::new(), exceptions: 0 }
    }

    fn compare(&mut self, case: &Case, cached: u64, what: &str) {
        let wanted = self.interpreter.run(case);
        let got = self.runner.run(case, cached);
        let raised = |end| matches!(end, End::Exception(..));
        self.exceptions += u32::from(raised(got.end));
        let listing: Vec<String> =
            rig::compiled::lower(&case.code, case.mode).iter().map(|op| format!("{:?}", op.sem)).collect();
        let context = format!("{what} {:02x?} {listing:?}", case.code);
        if wanted.end == End::Shutdown {
            assert!(raised(got.end), "{context}\n{:x?} {:?}", case.registers, got.end);
            return;
        }
        assert_eq!(got.end, wanted.end, "{context}\n{:x?} {:x?}", case.registers, case.rflags);
        assert_eq!(got.rflags, wanted.rflags, "flags of {context}\n{:x?} {:x}", case.registers, case.rflags);
        assert_eq!(got.registers, wanted.registers, "{context}\n{:x?} {:x}", case.registers, case.rflags);
        assert!(got.data == wanted.data, "memory after {context}\n{:x?}", case.registers);
    }
}

fn every_encoding(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x7e11_a917);
    for row in generate::rows(mode) {
        for _ in 0..20 {
            let mut code = generate::instruction(&mut random, row, mode);
            if !generate::ends_block(row) {
                code.extend(END);
            }
            let case = generate::case(&mut random, code, mode);
            let cached = random.next();
            pair.compare(&case, cached, row.mnemonic);
        }
    }
    assert!(pair.exceptions > 100, "fault edges are exercised: {}", pair.exceptions);
    assert!(pair.runner.helpers().slow > 100, "slow paths are exercised");
}

#[test]
fn every_general_purpose_encoding_does_the_same_compiled_and_interpreted_in_64_bit_mode() {
    every_encoding(Width::W64);
}

#[test]
fn every_general_purpose_encoding_does_the_same_compiled_and_interpreted_in_flat_32_bit_mode() {
    every_encoding(Width::W32);
}

fn straight_lines(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x51de_ca5e);
    let rows: Vec<_> = generate::rows(mode).into_iter().filter(|row| !generate::ends_block(row)).collect();
    for _ in 0..2000 {
        let mut code = Vec::new();
        for _ in 0..2 + random.below(11) {
            let row = rows[random.below(rows.len() as u64) as usize];
            code.extend(generate::instruction(&mut random, row, mode));
        }
        code.extend(END);
        let case = generate::case(&mut random, code, mode);
        let cached = random.next();
        pair.compare(&case, cached, "sequence");
    }
}

#[test]
fn straight_lines_of_instructions_do_the_same_compiled_and_interpreted() {
    straight_lines(Width::W64);
    straight_lines(Width::W32);
}

#[test]
fn every_condition_holds_after_every_kind_of_flags_exactly_where_interpreted() {
    let mut pair = Pair::new(Width::W64);
    let mut random = Random::new(0xf1a6_5e77);
    for setter in generate::flag_setters() {
        for cc in 0..16 {
            let reader = generate::readers_of(cc)[random.below(4) as usize];
            let mut code = generate::instruction(&mut random, setter, Width::W64);
            code.extend(generate::instruction(&mut random, reader, Width::W64));
            if !generate::ends_block(reader) {
                code.extend(END);
            }
            let mut case = generate::case(&mut random, code, Width::W64);
            pair.compare(&case, u64::MAX, setter.mnemonic);
            // Equal operands are what tells `<` from `<=`.
            case.registers = [case.registers[0]; 16];
            pair.compare(&case, u64::MAX, setter.mnemonic);
        }
    }
}

#[test]
fn a_store_that_hits_code_leaves_the_block_behind_its_instruction() {
    let mut runner = Runner::new();
    // PUSH RAX; MOV RAX, 7: the store is done and RSP moved, but RAX not yet overwritten.
    let code = [&[0x50, 0x48, 0xc7, 0xc0, 7, 0, 0, 0], &END[..]].concat();
    let mut case = generate::case(&mut Random::new(1), code, Width::W64);
    (case.registers[0], case.registers[4]) = (0x1234, rig::DATA + 0x108);
    runner.helpers().stored = 2;
    let outcome = runner.run(&case, 0);
    assert_eq!(outcome.end, End::At(rig::CODE + 1));
    assert_eq!((outcome.registers[0], outcome.registers[4]), (0x1234, rig::DATA + 0x100));
    assert_eq!(outcome.data[0x100..0x108], 0x1234u64.to_le_bytes());
}

#[test]
fn a_block_ends_before_the_first_instruction_that_is_not_compiled() {
    // INC EAX; HLT
    let ops = rig::compiled::lower(&[0xff, 0xc0, 0xf4], Width::W64);
    let compiled = jit::compile(&ops, rig::compiled::mode(Width::W64)).expect("it starts with one that is");
    assert_eq!(compiled.instructions, 1);
    assert_eq!(compiled.exits.last().unwrap().next_offset, Some(2));
    assert!(jit::compile(&ops[1..], rig::compiled::mode(Width::W64)).is_none());
}

//! Cases as text, and made smaller.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::campaign::case;
use oracle::case::{Case, MEMORY_BYTES, Registers};
use oracle::generate::sequence::sequence;
use oracle::judge::instructions;
use oracle::random::Random;
use oracle::{shrink::shrink, text};
use x86::Width;

fn memory(case: &Case) -> Vec<u8> {
    let mut memory = vec![0; MEMORY_BYTES];
    case.fill(&mut memory);
    memory
}

#[test]
fn a_line_makes_the_case_it_was_written_from() {
    for case in (0..2000).filter_map(|number| case(1, number)) {
        let line = text::write(&case);
        let again = text::read(&line).unwrap();
        assert!((again.mode, &again.code) == (case.mode, &case.code), "{line}");
        assert!(again.registers == case.registers && memory(&again) == memory(&case), "{line}");
    }
}

#[test]
fn a_line_that_is_not_understood_is_refused() {
    for line in ["", "8 90", "64", "64 9", "64 90 rax", "64 90 rax=x", "64 90 xmm16=1", "64 90 fill=9"] {
        assert!(text::read(line).is_err(), "{line}");
    }
}

/// One instruction of a sequence with one bit of one register stands for a difference.
#[test]
fn shrinking_leaves_what_the_difference_needs() {
    let mut random = Random(1);
    let cases = (0..100).filter_map(|_| sequence(Width::W64, &mut random));
    let cases: Vec<Case> = cases.filter(|case| case.registers.gpr[9] & 1 << 5 != 0).collect();
    assert!(cases.len() > 10);
    for case in cases {
        let middle = instructions(&case)[instructions(&case).len() / 2];
        let mut fails = |case: &Case| {
            case.registers.gpr[9] & 1 << 5 != 0 && instructions(case).iter().any(|inst| inst.row == middle.row)
        };
        let small = shrink(case, &mut fails);
        assert!(fails(&small));
        assert_eq!(instructions(&small).len(), 1, "{}", text::write(&small));
        let mut expected = Registers::new();
        expected.gpr[9] = small.registers.gpr[9];
        assert!(small.registers == expected && expected.gpr[9] < 0x100, "{}", text::write(&small));
        assert!(small.patches.is_empty() && small.background == 0, "{}", text::write(&small));
    }
}

//! The tests beside the instructions, run by the host's processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::HashSet;

use oracle::draft::{Shape, shape, shapes};
use oracle::host::Host;
use x86::decode::decode;
use x86::instructions::rows;

#[test]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn the_host_processor_does_what_every_example_says() {
    if let Some(cause) = Host::unavailable() {
        eprintln!("skipped: {cause}");
        return;
    }
    let report = filetest::run(&mut Host::new());
    for (reason, count) in &report.declined {
        eprintln!("not judged: {reason}: {count}");
    }
    report.assert_same();
    assert!(report.run > report.declined.values().sum());
}

/// Engines have code of their own for each.
#[test]
fn every_width_and_form_of_a_general_purpose_instruction_has_a_test() {
    let mut tested: HashSet<Shape> = HashSet::new();
    for (_, file) in filetest::family::files() {
        let decoded = file.instructions().filter_map(|instruction| decode(&instruction.code, instruction.mode).ok());
        tested.extend(decoded.filter_map(|inst| shape(&inst)));
    }
    for row in 0..rows().len() as u16 {
        let missing: Vec<Shape> = shapes(row).difference(&tested).copied().collect();
        assert!(missing.is_empty(), "{}: {missing:?}", filetest::family::row_name(row));
    }
}

//! The tests beside the instructions, run by the host's processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::HashSet;

use filetest::{Example, File, Line};
use oracle::bless::bless;
use oracle::campaign::Pair;
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

const TO_BLESS: &str = "64: add al, bl = 00 d8
  al=7f rbx=112201 -> ?
64: push rbx = 53
  rbx=112201 -> ?
64: mov eax, ebx = 89 d8
  rax=ffffffffffffffff rbx=5 -> rax=7
64: div bl = f6 f3
  ax=7 bl=2 -> ?
  bl=0 -> flags=C
64: fld1 = d9 e8
  st0=1.5 -> ?
64: addps xmm0, xmm1 = 0f 58 c1
  xmm0=1.0,2.0,3.0,4.0 xmm1=0.5,0.5,0.5,0.5 -> ?
";
/// Worked out by hand.
const BLESSED: &str = "64: add al, bl = 00 d8
  al=7f rbx=112201 -> al=80 flags=OSzApc
64: push rbx = 53
  rbx=112201 -> rsp=97f8 [97f8]=0000000000112201
64: mov eax, ebx = 89 d8
  rax=ffffffffffffffff rbx=5 -> rax=5
64: div bl = f6 f3
  ax=7 bl=2 -> ax=103 flags=?
  bl=0 -> #DE
64: fld1 = d9 e8
  st0=1.5 -> top=7 st0=1.0
64: addps xmm0, xmm1 = 0f 58 c1
  xmm0=1.0,2.0,3.0,4.0 xmm1=0.5,0.5,0.5,0.5 -> xmm0=1.5,2.5,3.5,4.5
";

#[test]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn blessing_writes_what_the_host_does_and_refuses_what_it_cannot_tell() {
    if let Some(cause) = Host::unavailable() {
        eprintln!("skipped: {cause}");
        return;
    }
    let mut pair = Pair::new();
    let mut file = File::read(TO_BLESS).unwrap();
    let blessed: Vec<Example> =
        file.examples().map(|(instruction, example)| bless(&mut pair, instruction, example).unwrap()).collect();
    let examples = file.lines.iter_mut().filter(|line| matches!(line, Line::Example(_)));
    examples.zip(blessed).for_each(|(line, example)| *line = Line::Example(example));
    assert_eq!(file.write(), BLESSED);

    let time = File::read("64: rdtsc = 0f 31\n  -> ?").unwrap();
    let (instruction, example) = time.examples().next().unwrap();
    assert!(bless(&mut pair, instruction, example).err().unwrap().contains("no judge"));
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

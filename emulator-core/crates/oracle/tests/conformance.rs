//! A bounded part of what `npm run conformance` does without end: every row in every mode, irregular encodings and sequences.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::BTreeSet;

use oracle::campaign::{Pair, Summary, case, sequence_of};
use oracle::engines::Engines;
use oracle::generate::single;
use oracle::host::Host;
use oracle::other::lacking;
use oracle::random::Random;
use x86::Width;
use x86::instructions::rows;

/// Times that every row is tried in each of the three modes.
const ROUNDS: u64 = 25;
/// Sequences that are run by both of our engines.
const SEQUENCES: u64 = 400;
const SEED: u64 = 2026;

#[test]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn every_row_does_what_the_host_processor_does() {
    if let Some(cause) = Host::unavailable() {
        eprintln!("skipped: {cause}");
        return;
    }
    let mut pair = Pair::new();
    let mut summary = Summary::default();
    for number in 0..ROUNDS * 3 * rows().len() as u64 {
        summary.take(&mut pair, case(SEED, number));
    }
    assert!(summary.mismatches == 0, "{summary}");
    assert!(summary.judged > ROUNDS * rows().len() as u64, "{summary}");
}

#[test]
fn sequences_do_the_same_where_they_are_compiled() {
    let mut engines = Engines::new();
    let mut summary = Summary::default();
    for number in 0..SEQUENCES {
        summary.take(&mut engines, sequence_of(SEED, number));
    }
    assert!(summary.mismatches == 0, "{summary}");
    assert!(summary.judged > SEQUENCES / 2, "{summary}");
    assert!(engines.compiled_instructions() > 2 * SEQUENCES, "{}", engines.compiled_instructions());
}

/// Else a real difference might pass for an instruction of the host's own.
#[test]
fn the_other_decoder_has_a_row_of_ours_for_every_row() {
    let mut unknown = BTreeSet::new();
    for (mode, row) in
        [Width::W64, Width::W32, Width::W16].into_iter().flat_map(|mode| (0..rows().len()).map(move |r| (mode, r)))
    {
        let mut random = Random(row as u64);
        let cases = (0..20).filter_map(|_| single(row as u16, mode, &mut random));
        unknown.extend(cases.filter_map(|case| Some((rows()[row].mnemonic, lacking(&case)?))));
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}

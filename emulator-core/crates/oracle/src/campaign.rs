//! Many cases, numbered: what a seed and a number make is always the same case.

use std::collections::BTreeMap;
use std::fmt;

use x86::Width;
use x86::instructions::rows;

use crate::case::{self, Case, ENDLESS};
use crate::compare::difference;
use crate::deviations::{Deviation, explaining};
use crate::generate::{irregular, sequence::sequence, single};
use crate::guest::Guest;
use crate::host::{Host, SYSTEM_CALL};
use crate::judge::{Verdict, instructions, judge, tells_processor_number};
use crate::other::{lacking, takes_gs};
use crate::random::Random;
use crate::shrink::shrink;
use crate::{text, vendors};

/// Two processors that ought to do the same.
pub trait Comparison {
    /// Runs a case on both.
    fn compare(&mut self, case: &Case) -> Outcome;
}

/// The host's processor and ours.
pub struct Pair {
    host: Host,
    guest: Guest,
}

/// What became of a case.
pub enum Outcome {
    /// Both did the same.
    Same,
    /// They did not: both states, with marks.
    Different(String),
    /// They did not, on purpose.
    Deviates(&'static Deviation),
    /// The host is no judge, for a reason.
    NotJudged(String),
}

impl Pair {
    /// Both, ready.
    #[must_use]
    pub fn new() -> Pair {
        Pair { host: Host::new(), guest: Guest::new() }
    }

    /// The host's.
    pub fn host(&mut self) -> &mut Host {
        &mut self.host
    }
}

impl Comparison for Pair {
    fn compare(&mut self, case: &Case) -> Outcome {
        let instructions = instructions(case);
        let defined = match judge(case, &instructions) {
            Verdict::NotJudged(reason) => return Outcome::NotJudged(reason),
            Verdict::Compare(defined) => defined,
        };
        if instructions.is_empty() && takes_gs(case) {
            return Outcome::NotJudged("GS is the harness's own".into());
        }
        let ours = self.guest.run(case);
        if ours.fault.is_some_and(|fault| fault.vector == ENDLESS) {
            return Outcome::NotJudged("it does not end".into());
        }
        let host = self.host.run(case);
        if instructions.len() == 1 && host.fault.is_some_and(|fault| fault.vector == ENDLESS) {
            // An #AC raised while EFLAGS.AC is clear: what IRET reads of its frame after it has read the flags.
            return Outcome::NotJudged("the host's kernel takes it for a split lock, and tries again for ever".into());
        }
        if host.fault.is_some_and(|fault| fault.vector == SYSTEM_CALL) {
            return Outcome::NotJudged("it enters the host's kernel".into());
        }
        let Some(report) = difference(case.mode, &host, &ours, &defined) else { return Outcome::Same };
        let refused = |outcome: &case::Outcome| {
            outcome.fault.is_some_and(|fault| matches!(fault.vector, INVALID_OPCODE | GENERAL_PROTECTION))
        };
        if instructions.is_empty() && refused(&host) && refused(&ours) {
            return Outcome::NotJudged("undefined and over-long at once".into());
        }
        if let Some(mnemonic) = lacking(case) {
            return Outcome::NotJudged(format!("we have no {mnemonic}"));
        }
        if tells_processor_number(&instructions, &host, &ours) {
            return Outcome::NotJudged("it tells the host's processor's number".into());
        }
        let same = |ours: &case::Outcome| difference(case.mode, &host, ours, &defined).is_none();
        let on_purpose = |ours: &case::Outcome| explaining(&instructions, &host, ours, &same);
        let expected = |ours: &case::Outcome| same(ours) || on_purpose(ours).is_some();
        if let Some(reason) = vendors::differ(case, &instructions, (&host, &ours), &expected) {
            return Outcome::NotJudged(reason);
        }
        match on_purpose(&ours) {
            Some(deviation) => Outcome::Deviates(deviation),
            None => Outcome::Different(report),
        }
    }
}

/// The smallest case like `case` that still differs, with both states. `report` is what `case` itself came to.
fn smallest(pair: &mut dyn Comparison, case: Case, mut report: String) -> (Case, String) {
    let row = |case: &Case| instructions(case).first().map(|inst| inst.row);
    let alone = instructions(&case).len() <= 1;
    let first = row(&case);
    let small = shrink(case, &mut |case| match pair.compare(case) {
        Outcome::Different(text) if !alone || row(case) == first => {
            report = text;
            true
        }
        _ => false,
    });
    (small, report)
}

impl Default for Pair {
    fn default() -> Pair {
        Pair::new()
    }
}

/// Case number `number` of `seed`: all rows in turn in all modes, most of them as they should be. `None` where the row gives none.
#[must_use]
pub fn case(seed: u64, number: u64) -> Option<Case> {
    let (index, mode, mut random) = draw(rows().len(), seed, number);
    match random.below(16) {
        0 | 1 => irregular(index as u16, mode, &mut random),
        2 | 3 => sequence(mode, &mut random),
        _ => single(index as u16, mode, &mut random),
    }
}

/// The same of some rows only, and no sequences.
#[must_use]
pub fn case_of(chosen: &[u16], seed: u64, number: u64) -> Option<Case> {
    let (index, mode, mut random) = draw(chosen.len(), seed, number);
    let make = if random.one_in(8) { irregular } else { single };
    make(chosen[index], mode, &mut random)
}

/// A sequence of instructions of all kinds, in all modes in turn.
#[must_use]
pub fn sequence_of(seed: u64, number: u64) -> Option<Case> {
    let (_, mode, mut random) = draw(1, seed, number);
    sequence(mode, &mut random)
}

/// Which of `count` rows it is about, in which mode, and what decides the rest.
fn draw(count: usize, seed: u64, number: u64) -> (usize, Width, Random) {
    const MODES: [Width; 3] = [Width::W64, Width::W32, Width::W16];
    let count = count as u64;
    let mode = MODES[(number / count % 3) as usize];
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.rotate_left(32));
    // Neighbouring seeds of the generator give overlapping sequences: the first number is mixed well.
    ((number % count) as usize, mode, Random(random.bits()))
}

/// What many cases came to.
#[derive(Default)]
pub struct Summary {
    /// Cases that both processors ran.
    pub judged: u64,
    /// Cases with a difference.
    pub mismatches: u64,
    /// How often ours did otherwise on purpose, by what it does.
    pub deviations: BTreeMap<String, u64>,
    /// How often the host was no judge, by reason.
    pub not_judged: BTreeMap<String, u64>,
    /// The first cases that differ, one for each first instruction, shrunk, with both states.
    pub failures: BTreeMap<String, (Case, String)>,
}

const INVALID_OPCODE: u8 = 6;
const GENERAL_PROTECTION: u8 = 13;
/// Failures that are kept.
const MOST_FAILURES: usize = 40;

impl Summary {
    /// How many there were.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.judged + self.not_judged.values().sum::<u64>()
    }

    /// Runs one case, where there is one.
    pub fn take(&mut self, pair: &mut dyn Comparison, case: Option<Case>) {
        let Some(case) = case else { return };
        match pair.compare(&case) {
            Outcome::Same => self.judged += 1,
            Outcome::Deviates(deviation) => {
                self.judged += 1;
                let noticed = format!("{} (noticed by {})", deviation.reason, deviation.noticed_by);
                *self.deviations.entry(noticed).or_default() += 1;
            }
            Outcome::NotJudged(reason) => *self.not_judged.entry(reason).or_default() += 1,
            Outcome::Different(report) => {
                self.judged += 1;
                self.mismatches += 1;
                let list = instructions(&case);
                if list.len() <= 1 && self.failures.contains_key(&name(&case)) || self.failures.len() >= MOST_FAILURES {
                    return;
                }
                let (small, report) = smallest(pair, case, report);
                self.failures.entry(name(&small)).or_insert((small, report));
            }
        }
    }
}

/// A failure's kind: its instructions and the mode.
fn name(case: &Case) -> String {
    let list = instructions(case);
    let names: Vec<String> =
        list.iter().map(|inst| format!("{} {}", inst.row().mnemonic, inst.row().encoding)).collect();
    let names = if names.is_empty() { "no instruction of ours".into() } else { names.join(", ") };
    format!("{names}, {}-bit", case.mode.bits())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (case, report)) in &self.failures {
            writeln!(f, "{name}\n{report}  --replay '{}'\n", text::write(case))?;
        }
        for (deviation, count) in &self.deviations {
            writeln!(f, "deliberate deviation: {deviation}: {count}")?;
        }
        for (reason, count) in &self.not_judged {
            writeln!(f, "not judged: {reason}: {count}")?;
        }
        let (cases, not_judged) = (self.cases(), self.not_judged.values().sum::<u64>());
        write!(f, "cases {cases}, mismatches {}, not judged {not_judged}", self.mismatches)
    }
}

//! Examples run by a processor, and what came out otherwise than they say.

use core::fmt::Write;

use x86::Width;

use crate::case::{Outcome, Registers, code_selector, memory_address};
use crate::file::{Example, Instruction, Note, write_exception};
use crate::place::Place;
use crate::setting::Setting;
use crate::{Processor, family};

/// An example that came out otherwise.
pub struct Difference {
    /// File and line.
    pub place: String,
    /// What differs.
    pub text: String,
}

/// What became of all examples.
#[derive(Default)]
pub struct Report {
    /// How many were run.
    pub run: usize,
    /// How many were not, by reason.
    pub declined: std::collections::BTreeMap<String, usize>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Runs every example of every file on `processor`.
///
/// # Panics
/// A file cannot be read.
pub fn run(processor: &mut dyn Processor) -> Report {
    let mut report = Report::default();
    for (family, file) in family::files() {
        for (instruction, example) in file.examples() {
            let case = example.case(instruction);
            if let Some(reason) = processor.declines(example, &case) {
                *report.declined.entry(reason).or_default() += 1;
                continue;
            }
            report.run += 1;
            let wrong = match example.note {
                Note::Unknown => Some("  it is not known yet\n".into()),
                Note::Judged | Note::Manual(_) => difference(instruction, example, &processor.run(&case)),
            };
            if let Some(text) = wrong {
                let place = format!("{}.filetest:{}: {}", family.name, example.line, instruction.text);
                report.differences.push(Difference { place, text });
            }
        }
    }
    report
}

impl Report {
    /// # Panics
    /// Something differs.
    pub fn assert_same(&self) {
        let mut text = String::new();
        for difference in self.differences.iter().take(40) {
            let _ = writeln!(text, "{}\n{}", difference.place, difference.text);
        }
        assert!(self.differences.is_empty(), "{} examples of {} differ\n{text}", self.differences.len(), self.run);
    }
}

/// What `actual` has otherwise than `example` says.
#[must_use]
pub fn difference(instruction: &Instruction, example: &Example, actual: &Outcome) -> Option<String> {
    let case = example.case(instruction);
    let mut expected = example.expected(&case, actual);
    let near = example.after.iter().any(|setting| matches!(setting, Setting::Near(..)));
    if near {
        allow_near(example, &mut expected, actual);
    }
    let mode = case.mode;
    let (wanted, got) = (visible(&expected, mode), visible(actual, mode));
    let mut text = String::new();
    let mut compare = |name: &str, wanted: String, got: String| {
        if wanted != got {
            let _ = writeln!(text, "  {name}: expected {wanted}, got {got}");
        }
    };
    let exception = |outcome: &Outcome| outcome.fault.map_or("none".into(), |fault| write_exception(&fault));
    compare("exception", exception(&wanted), exception(&got));
    compare("rflags", flags(&wanted.registers), flags(&got.registers));
    for place in places() {
        let show = |outcome| Setting::Is(place, place.get(outcome)).write(instruction.element(true), true);
        compare(&place.name(), show(&wanted), show(&got));
    }
    for (offset, (&wanted, &got)) in wanted.memory.iter().zip(&got.memory).enumerate().filter(|(_, (w, g))| w != g) {
        compare(&format!("[{:x}]", memory_address(offset)), hex(wanted.into()), hex(got.into()));
    }
    (!text.is_empty()).then_some(text)
}

/// Everything but flags and memory.
fn places() -> impl Iterator<Item = Place> {
    let general = (0..16).map(|register| Place::General { register, shift: 0, width: Width::W64 });
    let words = [Place::Status, Place::Control, Place::Tags, Place::Mxcsr, Place::Ip, Place::Cr2];
    let vectors = (0..16).map(Place::Ymm).chain((0..8).map(Place::X87));
    general.chain(words).chain((0..6).map(Place::Selector)).chain(vectors)
}

fn hex(value: u64) -> String {
    format!("{value:x}")
}

fn flags(registers: &Registers) -> String {
    let told = x86::flags::STATUS;
    let status = Setting::Status { told, set: registers.rflags & told }.write(None, true);
    format!("{:x} ({status})", registers.rflags)
}

/// Takes `actual`'s for the value of an x87 register that need only be near, and of C1.
fn allow_near(example: &Example, expected: &mut Outcome, actual: &Outcome) {
    const C1: u16 = 1 << 9;
    const UNITS: u128 = 2;
    for setting in &example.after {
        let Setting::Near(n, value) = *setting else { continue };
        let there = Place::X87(n).get(actual);
        if there.low.abs_diff(value.low) <= UNITS {
            Place::X87(n).set(expected, there);
        }
    }
    let ((control, status, tags), (_, theirs, _)) = (expected.registers.x87_words(), actual.registers.x87_words());
    expected.registers.set_x87_words((control, status & !C1 | theirs & C1, tags));
}

/// The part of an outcome that the architecture defines and programs can see.
fn visible(outcome: &Outcome, mode: Width) -> Outcome {
    /// All flags but RF, which tells how an exception was delivered.
    const FLAGS: u64 = 0x24_7fd5;
    const CS: usize = 1;
    let mut clean = outcome.clone();
    let registers = &mut clean.registers;
    registers.rflags &= FLAGS;
    // On the way through a kernel null selectors lose their privilege level.
    registers.selectors = registers.selectors.map(|selector| if selector < 4 { 0 } else { selector });
    if mode != Width::W64 || registers.selectors[CS] != code_selector(Width::W64) && registers.selectors[CS] >= 4 {
        // Leaving 64-bit mode makes the upper halves and the registers that only exist there undefined (Intel SDM vol. 1, 3.4.1.1).
        for (n, value) in registers.gpr.iter_mut().enumerate() {
            *value = if n < 8 { Width::W32.truncate(*value) } else { 0 };
        }
    }
    clean
}

//! A bounded record of what happens on the buses, off unless asked for.

use core::fmt::{Arguments, Write};
use std::collections::VecDeque;

use crate::MachineError;

/// Lines kept; older ones make room.
const LINES: usize = 100_000;

/// What can be traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Category {
    /// Instructions, in the processor.
    Exec = 1,
    /// Exceptions and interrupts taken, in the processor.
    Int = 2,
    /// Port accesses.
    Pio = 4,
    /// Memory-mapped accesses.
    Mmio = 8,
    /// Interrupt lines and acknowledge cycles.
    Irq = 16,
}

const NAMES: [(&str, Category); 5] = [
    ("exec", Category::Exec),
    ("int", Category::Int),
    ("pio", Category::Pio),
    ("mmio", Category::Mmio),
    ("irq", Category::Irq),
];

/// The recorder.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    enabled: u8,
    lines: VecDeque<String>,
    /// Lines of this turn of the processor.
    turn: Vec<String>,
}

impl Trace {
    pub fn new() -> Trace {
        Trace::default()
    }

    /// Whether a category is recorded.
    #[inline]
    pub fn on(&self, category: Category) -> bool {
        self.enabled & category as u8 != 0
    }

    /// Whether anything is recorded.
    #[inline]
    pub fn any(&self) -> bool {
        self.enabled != 0
    }

    /// Chooses what is recorded from now on: names with commas between, or nothing.
    pub fn select(&mut self, categories: &str) -> Result<(), MachineError> {
        let mut enabled = 0;
        for name in categories.split(',').filter(|name| !name.is_empty()) {
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let (_, category) = known.ok_or_else(|| MachineError::OptionInvalid {
                option: "trace".to_owned(),
                value: name.to_owned(),
                expected: "exec, int, pio, mmio, irq, with commas between".to_owned(),
            })?;
            enabled |= *category as u8;
        }
        self.enabled = enabled;
        Ok(())
    }

    /// Records a line.
    pub fn line(&mut self, line: Arguments<'_>) {
        self.turn.push(line.to_string());
    }

    /// A turn of the processor is over. What it traced itself goes first: it ends its turn after an access.
    pub fn finish_turn(&mut self, processor: &str) {
        for line in processor.lines().map(str::to_owned).chain(self.turn.drain(..)) {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    /// What was recorded since the last call, a line each.
    pub fn take(&mut self) -> String {
        let mut text = String::new();
        for line in self.lines.drain(..).chain(self.turn.drain(..)) {
            writeln!(text, "{line}").expect("writing to a string");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_category_is_refused_and_changes_nothing() {
        let mut trace = Trace::new();
        trace.select("pio").unwrap();
        assert_eq!(trace.select("pio,smoke").unwrap_err().code(), "OPTION_INVALID");
        assert!(trace.on(Category::Pio) && !trace.on(Category::Mmio));
        trace.select("").unwrap();
        assert!(!trace.on(Category::Pio));
    }

    #[test]
    fn the_record_is_bounded_and_keeps_the_newest_lines() {
        let mut trace = Trace::new();
        for line in 0..=LINES {
            trace.line(format_args!("{line}"));
            trace.finish_turn("");
        }
        assert!(trace.take().starts_with("1\n"));
    }
}

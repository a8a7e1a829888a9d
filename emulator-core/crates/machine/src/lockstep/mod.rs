//! Two machines in step: the same configuration, boot source and inputs, one interpreting and one running compiled code. After every slice both must
//! be in the same state; where they are not, the first instruction that left a difference is found and named.
//!
//! With [`Clock::Instructions`] a run does not depend on what executes it (`Exec::run_blocks` of the processor), so going back is starting again.

mod difference;
mod pair;

use std::fmt::Write;

use cpu::compiled::Translator;

use self::difference::Difference;
use self::pair::{Disagreement, Pair, one_turn};
use crate::{Boot, Clock, Config, Machine, MachineError, RunOutcome};

/// Instructions between two comparisons of the processors' states.
const SLICE: u64 = 20_000;
/// Between two of memory, all of which has to be read.
const MEMORY_EVERY: u64 = 800 * SLICE;
/// How many times narrower each new look at memory is.
const NARROWER: u64 = 32;

/// How far both are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// They agree, and can go on.
    Agree,
    /// They agree, and have ended, or wait for input.
    Ended(RunOutcome),
    /// They do not: where, why, and what ran there.
    Disagree(String),
}

/// Bytes sent to a serial port, and after how many instructions.
struct Input {
    at: u64,
    port: usize,
    bytes: Vec<u8>,
}

/// How the machines are made.
struct Plan {
    config: Config,
    boot: Boot,
    translator: Box<dyn Fn() -> Box<dyn Translator>>,
    hot: u32,
    inputs: Vec<Input>,
}

/// See the module.
pub struct Lockstep {
    plan: Plan,
    pair: Pair,
}

impl Lockstep {
    /// Two machines of `config`, but with an instruction clock. One compiles with what `translator` makes, `hot` as of
    /// [`Machine::set_translator`].
    ///
    /// # Errors
    /// Those of [`Machine::new`].
    pub fn new(
        config: Config,
        boot: Boot,
        translator: Box<dyn Fn() -> Box<dyn Translator>>,
        hot: u32,
    ) -> Result<Lockstep, MachineError> {
        // A nanosecond an instruction: guest time is then exact wherever a turn ends.
        let config = Config { clock: Clock::Instructions { ns_per_kilo_instruction: 1000 }, ..config };
        let plan = Plan { config, boot, translator, hot, inputs: Vec::new() };
        let pair = plan.pair()?;
        Ok(Lockstep { plan, pair })
    }

    /// Runs both for about `instructions`.
    ///
    /// # Errors
    /// There is no memory for the machines that look for a difference.
    pub fn run(&mut self, instructions: u64) -> Result<Progress, MachineError> {
        let until = self.pair.instructions() + instructions;
        while self.pair.instructions() < until {
            match self.pair.slice(MEMORY_EVERY) {
                Ok(None) => {}
                Ok(Some(outcome)) => return Ok(Progress::Ended(outcome)),
                Err(found) => return self.plan.explain(found).map(Progress::Disagree),
            }
        }
        Ok(Progress::Agree)
    }

    /// Instructions both have retired.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.pair.instructions()
    }

    /// Of those, what compiled code retired.
    #[must_use]
    pub fn compiled_instructions(&self) -> u64 {
        let stats = self.pair.compiled.stats().processor;
        stats.compiled_instructions + stats.helped_instructions
    }

    /// Sends bytes to a serial port of both, as [`Machine::serial_input`].
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        let taken = self.pair.serial_input(port, bytes);
        self.plan.inputs.push(Input { at: self.instructions(), port, bytes: bytes[..taken].to_vec() });
        taken
    }

    /// What the guest sent to a serial port since the last call.
    pub fn serial_output(&mut self, port: usize) -> Vec<u8> {
        self.pair.interpreted.serial_output(port);
        self.pair.compiled.serial_output(port)
    }
}

impl Plan {
    fn machine(&self) -> Result<Machine, MachineError> {
        Machine::new(self.config.clone(), &self.boot)
    }

    fn pair(&self) -> Result<Pair, MachineError> {
        let mut compiled = self.machine()?;
        compiled.set_translator((self.translator)(), self.hot);
        Ok(Pair::new(self.machine()?, compiled))
    }

    fn offer(&self, at: u64, mut take: impl FnMut(usize, &[u8])) {
        for input in self.inputs.iter().filter(|input| input.at == at) {
            take(input.port, &input.bytes);
        }
    }

    /// A pair that has run from power-on to `at`, which both reached in agreement before.
    fn pair_at(&self, at: u64) -> Result<Pair, MachineError> {
        let mut pair = self.pair()?;
        while pair.instructions() < at {
            self.offer(pair.instructions(), |port, bytes| _ = pair.serial_input(port, bytes));
            if pair.slice(u64::MAX).is_err() {
                break;
            }
        }
        self.offer(pair.instructions(), |port, bytes| _ = pair.serial_input(port, bytes));
        pair.memory_agreed = at;
        Ok(pair)
    }

    /// An interpreting machine that has.
    fn machine_at(&self, at: u64) -> Result<Machine, MachineError> {
        let mut machine = self.machine()?;
        while machine.instructions() < at {
            let now = machine.instructions();
            self.offer(now, |port, bytes| _ = machine.serial_input(port, bytes));
            let next = pair::next_slice(now);
            while machine.instructions() < next && one_turn(&mut machine, next).is_none() {}
        }
        self.offer(at, |port, bytes| _ = machine.serial_input(port, bytes));
        Ok(machine)
    }

    /// Finds out more about a disagreement.
    fn explain(&self, found: Disagreement) -> Result<String, MachineError> {
        let mut found = found;
        // Of memory it is known only in a wide window.
        while found.until - found.since > SLICE {
            let every = ((found.until - found.since) / NARROWER).next_multiple_of(SLICE);
            let mut pair = self.pair_at(found.since)?;
            let again = loop {
                match pair.slice(every) {
                    Err(again) => break Some(again),
                    Ok(_) if pair.instructions() >= found.until => break None,
                    Ok(_) => self.offer(pair.instructions(), |port, bytes| _ = pair.serial_input(port, bytes)),
                }
            };
            let Some(again) = again else { return Ok(report(&found, &[], "A second run did not disagree there.")) };
            found = again;
        }
        let mut pair = self.pair_at(found.since)?;
        let mut trail = self.machine_at(found.since)?;
        pair.compiled.set_brief(true);
        while pair.instructions() < found.until {
            let since = pair.instructions();
            let every = if found.in_memory() { 1 } else { u64::MAX };
            match pair.step(found.until, every) {
                Ok(None) => {
                    let now = pair.instructions();
                    while trail.instructions() < now && one_turn(&mut trail, now).is_none() {}
                }
                Ok(Some(_)) => break,
                Err(again) => {
                    let again = Disagreement { since, ..again };
                    let ran = history(&mut trail, &again);
                    return Ok(report(&again, &ran, ""));
                }
            }
        }
        Ok(report(&found, &[], "Region by region there was no disagreement."))
    }
}

/// What ran between agreement and disagreement, and which of what differs now it wrote.
fn history(trail: &mut Machine, found: &Disagreement) -> Vec<(String, Vec<String>)> {
    let mut ran = Vec::new();
    // The names were checked when they were written.
    let _ = trail.set_trace("exec,int");
    trail.take_trace();
    while trail.instructions() < found.until {
        let before = trail.state().clone();
        let words = |trail: &mut Machine| -> Vec<Option<Vec<u8>>> {
            let memory = trail.memory();
            found.differences.iter().map(|difference| difference.word(memory).map(<[u8]>::to_vec)).collect()
        };
        let words_before = words(trail);
        if one_turn(trail, trail.instructions() + 1).is_some() {
            break;
        }
        let changed = difference::between(&before, trail.state());
        let words = words(trail);
        let wrote = found.differences.iter().enumerate().filter(|&(number, difference)| {
            changed.iter().any(|change| change.name == difference.name) || words[number] != words_before[number]
        });
        let wrote = wrote.map(|(_, difference)| difference.name.clone()).collect();
        ran.push((trail.take_trace().trim_end().to_owned(), wrote));
    }
    ran
}

fn report(found: &Disagreement, ran: &[(String, Vec<String>)], remark: &str) -> String {
    let Disagreement { since, until, .. } = found;
    let mut text = format!("The engines agree after {since} instructions and disagree after {until}.\n");
    // The last to write something that differs is who wrote it wrong; the first of those spoilt the others.
    let last_writer = |difference: &Difference| ran.iter().rposition(|(_, wrote)| wrote.contains(&difference.name));
    let first = found.differences.iter().filter_map(last_writer).min();
    if let Some((line, _)) = first.and_then(|first| ran.get(first)) {
        let _ = writeln!(text, "The first to leave a difference: {line}");
    }
    let _ = writeln!(text, "\n{:<18} {:<34} compiled", "", "interpreted");
    for Difference { name, values: [interpreted, compiled], .. } in &found.differences {
        let _ = writeln!(text, "{name:<18} {interpreted:<34} {compiled}");
    }
    if !ran.is_empty() {
        let _ = writeln!(text, "\nWhat ran in between, and what it wrote of that:");
    }
    for (number, (line, wrote)) in ran.iter().enumerate() {
        let mark = if Some(number) == first { "=>" } else { "  " };
        let _ = writeln!(text, "{mark} {line:<70} {}", wrote.join(" "));
    }
    text.push_str(remark);
    text
}

//! The two machines, and how they are kept in step.

use super::SLICE;
use super::difference::{self, Difference};
use crate::{Machine, RunOutcome};

/// Two machines that agree.
pub(super) struct Pair {
    pub(super) interpreted: Machine,
    pub(super) compiled: Machine,
    /// Instructions after which memory was the same.
    pub(super) memory_agreed: u64,
}

/// They agreed after `since` instructions, and do not after `until`.
pub(super) struct Disagreement {
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) differences: Vec<Difference>,
}

impl Disagreement {
    /// The processors agree.
    pub(super) fn in_memory(&self) -> bool {
        self.differences.iter().all(|difference| difference.place.is_some())
    }
}

/// Where the slice ends that begins after `instructions`: at the same places in every run.
pub(super) fn next_slice(instructions: u64) -> u64 {
    (instructions + 1).next_multiple_of(SLICE)
}

/// Runs `machine` until the board has its turn, but not beyond `until`.
pub(super) fn one_turn(machine: &mut Machine, until: u64) -> Option<RunOutcome> {
    let budget = until - machine.instructions();
    machine.settle_board().or_else(|| machine.turn(budget))
}

impl Pair {
    pub(super) fn new(interpreted: Machine, compiled: Machine) -> Pair {
        Pair { interpreted, compiled, memory_agreed: 0 }
    }

    pub(super) fn instructions(&self) -> u64 {
        self.compiled.instructions()
    }

    pub(super) fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        self.interpreted.serial_input(port, bytes);
        self.compiled.serial_input(port, bytes)
    }

    /// Runs both to the end of a slice.
    pub(super) fn slice(&mut self, memory_every: u64) -> Result<Option<RunOutcome>, Disagreement> {
        let since = self.instructions();
        let until = next_slice(since);
        let mut ended = None;
        while ended.is_none() && self.instructions() < until {
            ended = one_turn(&mut self.compiled, until);
        }
        self.follow(since, ended, memory_every)
    }

    /// Runs both for one turn of the compiling one.
    pub(super) fn step(&mut self, until: u64, memory_every: u64) -> Result<Option<RunOutcome>, Disagreement> {
        let since = self.instructions();
        let ended = one_turn(&mut self.compiled, until);
        self.follow(since, ended, memory_every)
    }

    /// Runs the interpreting one to where the compiling one is, and compares.
    fn follow(
        &mut self,
        since: u64,
        ended: Option<RunOutcome>,
        memory_every: u64,
    ) -> Result<Option<RunOutcome>, Disagreement> {
        let until = self.instructions();
        let mut other = None;
        while other.is_none() && self.interpreted.instructions() < until {
            other = one_turn(&mut self.interpreted, until);
        }
        if ended.is_some() && other.is_none() {
            // What ends a run may need no more instructions.
            other = one_turn(&mut self.interpreted, until + 1);
        }
        let mut differences = difference::between(self.interpreted.state(), self.compiled.state());
        if ended != other {
            differences.push(Difference::new("outcome", &other, &ended));
        }
        let mut agreed = since;
        if differences.is_empty() && (ended.is_some() || until - self.memory_agreed >= memory_every) {
            differences = difference::of_memory(self.interpreted.memory(), self.compiled.memory());
            agreed = core::mem::replace(&mut self.memory_agreed, until);
        }
        if differences.is_empty() {
            return Ok(ended);
        }
        Err(Disagreement { since: agreed, until, differences })
    }
}

//! Runs targets on inputs without end, and makes a failing input small.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::random::Random;
use crate::targets::Target;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Inputs run.
    pub inputs: u64,
    /// The first that failed.
    pub failure: Option<Failure>,
}

/// An input a target panics on.
#[derive(Debug)]
pub struct Failure {
    /// Made as small as was easy.
    pub input: Vec<u8>,
}

/// Runs `target` on inputs drawn from `seed` until `inputs` are done or, with `None`, until `time` says it is over.
pub fn run(
    target: &Target,
    seed: u64,
    inputs: Option<u64>,
    time: &mut dyn FnMut() -> Duration,
    limit: Duration,
) -> Report {
    let seeds = (target.seeds)();
    let mut random = Random(seed);
    let mut done = 0;
    while inputs.map_or_else(|| time() < limit, |inputs| done < inputs) {
        let input = random.input(&seeds, target.longest);
        done += 1;
        if fails(target, &input) {
            let input = shrink(target, input);
            return Report { inputs: done, failure: Some(Failure { input }) };
        }
    }
    Report { inputs: done, failure: None }
}

fn fails(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err()
}

/// Takes pieces out and zeroes bytes while the target still fails.
fn shrink(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut piece = input.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at + piece <= input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..at + piece);
            if fails(target, &shorter) { input = shorter } else { at += piece }
        }
        piece /= 2;
    }
    for at in 0..input.len() {
        let byte = std::mem::take(&mut input[at]);
        if byte != 0 && !fails(target, &input) {
            input[at] = byte;
        }
    }
    input
}

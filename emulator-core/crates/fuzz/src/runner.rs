//! Runs targets on inputs without end, and makes a failing input small.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::random::Random;
use crate::targets::Target;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Inputs run.
    pub inputs: u64,
    /// The first the target panicked on, made as small as was easy.
    pub failure: Option<Vec<u8>>,
}

/// Runs `target` on inputs drawn from `seed`, until one fails or `go_on`, told how many are done, says no.
pub fn run(target: &Target, seed: u64, mut go_on: impl FnMut(u64) -> bool) -> Report {
    let seeds = (target.seeds)();
    let mut random = Random(seed);
    let mut inputs = 0;
    while go_on(inputs) {
        let input = random.input(&seeds, target.longest);
        inputs += 1;
        if fails(target, &input) {
            return Report { inputs, failure: Some(shrink(target, input)) };
        }
    }
    Report { inputs, failure: None }
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

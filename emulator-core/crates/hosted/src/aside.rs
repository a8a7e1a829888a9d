//! A translator aside that answers when it is asked often enough, in the thread that asks: so that tests say when code comes.

use core::mem::MaybeUninit;
use std::collections::VecDeque;

use jit::{Answer, Work};

/// Jobs are done at once, and told of later.
pub(crate) struct Aside {
    /// How often it has to be asked for each answer.
    patience: u32,
    asked: u32,
    done: VecDeque<Work>,
    /// Jobs that it still takes before it dies, with all it has not told of.
    jobs: u32,
}

impl Aside {
    pub(crate) fn new(patience: u32, jobs: u32) -> Aside {
        Aside { patience, asked: 0, done: VecDeque::new(), jobs }
    }

    pub(crate) fn send(&mut self, job: &[MaybeUninit<u8>]) -> bool {
        if self.jobs == 0 {
            self.done.clear();
            return false;
        }
        self.jobs -= 1;
        // SAFETY: the translator of this very process has made it.
        self.done.push_back(unsafe { jit::work(job) });
        true
    }

    /// What came of the oldest job, and its module.
    pub(crate) fn receive(&mut self) -> Option<(Answer, Vec<u8>)> {
        self.asked += 1;
        if self.asked < self.patience {
            return None;
        }
        self.asked = 0;
        let Work { module, places, .. } = self.done.pop_front()?;
        Some((Answer { places, module_bytes: module.len() as u64, took_ns: 1 }, module))
    }
}

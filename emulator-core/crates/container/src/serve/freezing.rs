//! Stopping containers and letting them go on, which the kernel does in its own time, if at all: a process that waits for a
//! file system does not stand still.

use std::time::{Duration, Instant};

use super::Helper;

/// How long it may take, and how often it is looked for at first.
const LIMIT: Duration = Duration::from_secs(10);
const FIRST_LOOK: Duration = Duration::from_micros(200);

/// A container that is being stopped, or let go on.
pub struct Freezing {
    /// Whose answer it is.
    request: u32,
    container: u32,
    frozen: bool,
    begun: Instant,
    due: Instant,
}

impl Freezing {
    /// What has just begun.
    pub fn new(request: u32, container: u32, frozen: bool) -> Self {
        let begun = Instant::now();
        Self { request, container, frozen, begun, due: begun }
    }

    /// When it is to be looked for.
    pub fn due(&self) -> Instant {
        self.due
    }
}

impl Helper {
    /// Answers those that have become what they were to be, or have had their time.
    pub fn settle_freezing(&mut self) {
        let now = Instant::now();
        for mut one in std::mem::take(&mut self.freezing) {
            if one.due > now {
                self.freezing.push(one);
                continue;
            }
            let done = self.container(one.container).map(|found| found.cgroup.is_frozen() == one.frozen);
            let elapsed = now - one.begun;
            match done {
                Ok(false) if elapsed < LIMIT => {
                    one.due = now + FIRST_LOOK.max(elapsed / 8);
                    self.freezing.push(one);
                }
                Ok(false) => {
                    let error = self.container(one.container).map(|found| found.cgroup.not_frozen());
                    self.reply(one.request, error.and_then(Err));
                }
                Ok(true) => self.reply(one.request, Ok(None)),
                Err(error) => self.reply(one.request, Err(error)),
            }
        }
    }
}

//! A process that outlives the helper: where SIGKILL ends that, its groups are removed all the same.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal};

use super::Helper;
use crate::birth;
use crate::cgroup::orphans;
use crate::sys::{self, Cloned};

impl Helper {
    /// Begins to be watched. Where that cannot be, the next helper removes what this one leaves.
    pub fn watch(&mut self) {
        if self.watcher.is_some() {
            return;
        }
        let Ok(own) = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) else { return };
        match sys::clone3(0, None) {
            Ok(Some(Cloned { pidfd, .. })) => self.watcher = Some(pidfd),
            Ok(None) => watch(&own),
            Err(_) => {}
        }
    }

    /// Is watched no more: it removes its groups itself.
    pub fn dismiss_watcher(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            let _ = rustix::process::pidfd_send_signal(&watcher, Signal::KILL);
        }
    }
}

/// Removes what helpers before have left, which the helper must not wait for; then waits for its end, and does what that could
/// not.
fn watch(helper: &OwnedFd) -> ! {
    // In a session of its own: who kills the group of Node and the helper does not mean this one. What the helper has open
    // would stay open in it.
    let left = rustix::process::setsid().is_ok_and(|_| birth::leave_runtime(vec![helper.as_fd().as_raw_fd()]).is_ok());
    orphans::remove();
    let mut polled = [PollFd::new(helper, PollFlags::IN)];
    while left && matches!(rustix::event::poll(&mut polled, None), Err(Errno::INTR)) {}
    orphans::remove();
    std::process::exit(0)
}

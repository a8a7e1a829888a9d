//! News of a group that is out of memory: an event descriptor in version 1, a file that changes in version 2.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::EventfdFlags;
use rustix::fs::inotify;

use super::Cgroup;

/// Something that can be read when a group has run out of memory.
pub struct OomWatch {
    fd: OwnedFd,
    /// The file of version 2 that counts, and how many it has counted.
    counted: Option<(std::path::PathBuf, u64)>,
}

impl Cgroup {
    /// Watches the group; none where the host has no controller for memory, or does not tell.
    pub fn watch_oom(&self) -> Option<OomWatch> {
        match self.with("memory")? {
            (directory, true) => watch_file(&directory.join("memory.events")),
            (directory, false) => watch_event(&directory),
        }
    }
}

/// cgroup-v1/memory.rst, "OOM Control": the numbers of two descriptors, written to a third.
fn watch_event(directory: &Path) -> Option<OomWatch> {
    let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    let control = File::open(directory.join("memory.oom_control")).ok()?;
    let words = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    fs::write(directory.join("cgroup.event_control"), words).ok()?;
    Some(OomWatch { fd, counted: None })
}

/// cgroup-v2.rst: a change of `memory.events` is a modification of the file.
fn watch_file(file: &Path) -> Option<OomWatch> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&fd, file, inotify::WatchFlags::MODIFY).ok()?;
    Some(OomWatch { fd, counted: Some((file.to_owned(), kills(file))) })
}

fn kills(file: &Path) -> u64 {
    super::stats::field(file, "oom_kill").unwrap_or_default()
}

impl OomWatch {
    /// Takes the news; whether the group has run out of memory since the last time.
    pub fn take(&mut self) -> bool {
        let mut any = false;
        while rustix::io::read(&self.fd, &mut [0; 4096]).is_ok() {
            any = true;
        }
        match &mut self.counted {
            None => any,
            Some((file, before)) => {
                let now = kills(file);
                std::mem::replace(before, now) < now
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

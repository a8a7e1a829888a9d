//! A writable layer and who uses it. Two overlays over one are undefined behaviour (overlayfs.rst of the kernel's documents,
//! "Sharing and copying layers"), which the kernel does not refuse.

use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::error::{During, Error, Result};
use crate::namespaces::{open_process, start_time_of};

/// How long the end of who had the layer before is waited for: who is killed with its holder takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// Length of a note. It is always the same, so that on a full disk one can be written over another.
const NOTE_BYTES: usize = 32;

/// A layer that is one container's alone. As long as this is open anywhere, that is being made; from then on its first
/// process is noted in the file, which no descriptor in a container could be.
pub struct Claim {
    file: OwnedFd,
}

impl Claim {
    /// Makes the layer where it is missing, and waits until nobody uses it. The end of a container's first process is that
    /// of all its processes, and of their mounts (pid_namespaces(7)).
    pub fn take(directory: &Path) -> Result<Self> {
        let claim = Self { file: make(directory).during(format!("making {}", directory.display()))? };
        let deadline = Instant::now() + PATIENCE;
        while let Some(user) = claim.user().during(format!("locking {}", directory.display()))? {
            if Instant::now() > deadline {
                return Err(Error::LayerInUse { path: directory.display().to_string(), user });
            }
            std::thread::sleep(LOOK);
        }
        Ok(claim)
    }

    /// Notes whose it is, for those who come when the lock has ended: the first process's, which becomes a program.
    pub fn note(&self, first: Pid) -> Result<()> {
        let started = start_time_of(first).unwrap_or_default();
        let text = format!("{:>10} {started:>20}\n", first.as_raw_nonzero());
        rustix::io::pwrite(&self.file, text.as_bytes(), 0).during("noting whose the layer is").map(drop)
    }

    /// Who has it; if nobody, it is locked now.
    fn user(&self) -> rustix::io::Result<Option<String>> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) => return Ok(Some("a container that is being made".to_owned())),
            result => result?,
        }
        let mut note = [0; NOTE_BYTES];
        let length = rustix::io::pread(&self.file, &mut note, 0)?;
        let lives = noted(&note[..length]).filter(|(pid, started)| open_process(*pid, *started).is_some());
        Ok(lives.map(|(pid, _)| format!("a container whose first process is {}", pid.as_raw_nonzero())))
    }
}

/// Whether who was noted for the layer in `directory` has ended.
pub fn is_abandoned(directory: &Path) -> bool {
    let note = std::fs::read(directory.join("user")).unwrap_or_default();
    noted(&note).is_some_and(|(pid, started)| open_process(pid, started).is_none())
}

/// What [`Claim::note`] has written; none of what is half written.
fn noted(note: &[u8]) -> Option<(Pid, u64)> {
    let mut numbers = std::str::from_utf8(note).ok()?.strip_suffix('\n')?.split_whitespace();
    Some((Pid::from_raw(numbers.next()?.parse().ok()?)?, numbers.next()?.parse().ok()?))
}

/// What overlayfs wants for a writable layer, and the note beside that. Where they cannot be made, nothing is.
fn make(directory: &Path) -> std::io::Result<OwnedFd> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let first = directory.ancestors().take_while(is_missing).last();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    let made = ["upper", "work"].iter().try_for_each(|name| builder.create(directory.join(name))).and_then(|()| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(CWD, directory.join("user"), flags, Mode::from_raw_mode(0o600))?)
    });
    if let (Err(_), Some(first)) = (&made, first) {
        let _ = std::fs::remove_dir_all(first);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_is_cut_off_is_none() {
        assert_eq!(noted(b"        12                  345\n"), Pid::from_raw(12).map(|pid| (pid, 345)));
        for text in [&b""[..], b"12 345", b"12", b"0 1\n", b"12 x\n", b"\xff 1\n"] {
            assert_eq!(noted(text), None, "{text:?}");
        }
    }
}

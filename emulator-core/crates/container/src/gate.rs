//! Where a created container waits for `start`: two FIFOs beside its state. All it needs there is to read and to write, which
//! no seccomp profile forbids.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{During, Error, Result};

const START: &str = "start";
const REPORT: &str = "report";
/// What the report is called until the container has come to the gate.
const AHEAD: &str = "report.new";

/// The container's side.
pub struct Gate {
    start: OwnedFd,
    report: OwnedFd,
}

impl Gate {
    /// Makes a gate in `directory`.
    pub fn create(directory: &Path) -> Result<Self> {
        let make = |name: &str, flags: OFlags| {
            let path = directory.join(name);
            rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
            // Open for both, so that no other end is waited for.
            let both = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            Ok::<_, Errno>((rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())?, both))
        };
        // The start's own writing end stays open in the container, which else would read the end of file.
        let (_, start) = make(START, OFlags::RDONLY).during("making the FIFO start")?;
        // The report's has to be closed by the start of the program, which is how one learns of that.
        let (report, _) = make(AHEAD, OFlags::WRONLY).during("making the FIFO report")?;
        Ok(Self { start, report })
    }

    /// Waits for `start`.
    pub fn wait(&self) -> Result<()> {
        loop {
            match rustix::io::read(&self.start, &mut [0; 1]) {
                Err(Errno::INTR) => {}
                result => return result.during("waiting to be started").map(drop),
            }
        }
    }

    /// Tells who started it what went wrong.
    pub fn report(&self, error: &Error) {
        let text = serde_json::to_vec(error).unwrap_or_default();
        // Whoever started it may have gone.
        let _ = rustix::io::write(&self.report, &text);
    }
}

/// The container has come to the gate in `directory`, which can be opened from now on.
pub fn reach(directory: &Path) -> Result<()> {
    std::fs::rename(directory.join(AHEAD), directory.join(REPORT)).during("reaching the gate")
}

/// Whether a container has come to the gate in `directory`, and its program does not run yet.
pub fn is_reached(directory: &Path) -> bool {
    directory.join(REPORT).exists()
}

/// Opens the gate in `directory`: resolves when the program runs, or with the reason why it does not.
pub fn open(directory: &Path) -> Result<()> {
    let path = |name: &str| -> PathBuf { directory.join(name) };
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let report = rustix::fs::open(path(REPORT), OFlags::RDONLY | flags, Mode::empty()).during("opening report")?;
    rustix::fs::fcntl_setfl(&report, OFlags::empty()).during("opening report")?;
    let start = rustix::fs::open(path(START), OFlags::WRONLY | flags, Mode::empty()).during("opening start")?;
    // Of two who start it at once, one finds it gone.
    std::fs::remove_file(path(START)).during("opening the gate")?;
    File::from(start).write_all(b"0").during("opening the gate")?;
    let mut text = Vec::new();
    File::from(report).read_to_end(&mut text).during("waiting for the program to start")?;
    let _ = std::fs::remove_file(path(REPORT));
    if text.is_empty() {
        return Ok(());
    }
    Err(serde_json::from_slice(&text).unwrap_or_else(|error| Error::Internal { reason: error.to_string() }))
}

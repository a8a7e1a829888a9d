//! Work on a store of images that Node cannot do itself, each piece by a process of its own: it takes rights over files
//! whose modes shut their owner out, marks and numbers that only system calls set, and locks that end with their holder.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use archive::{diff, pack, unpack};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::process::Signal;
use serde::Deserialize;

use crate::channel::{Channel, Report};
use crate::error::{During, Error, Result};
use crate::init;
use crate::launch::{Launched, Streams};
use crate::namespaces;
use crate::process;
use crate::serve::Failure;
use crate::spec::{IdMapping, NamespaceKind};
use crate::sys::{self, Cloned};

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Work {
    /// Unpacks the layer on its input to an empty directory, over those of the layers below, topmost first, and writes what
    /// came of it as JSON.
    Unpack { directory: PathBuf, lowers: Vec<PathBuf>, limits: unpack::Limits },
    /// Unpacks the files on its input to a directory in use, as the caller's own, or as whose the archive says.
    Receive { directory: PathBuf, limits: unpack::Limits, owners: bool },
    /// Writes what a directory has by a name, or for `.` what is in it, as an archive with another name for it.
    Send { directory: PathBuf, entry: String, name: String },
    /// Writes a directory as an archive to a new file.
    Pack { directory: PathBuf, file: PathBuf },
    /// Compares the writable layer in a directory with the layers below it, and writes the changes as JSON.
    Diff { directory: PathBuf, lowers: Vec<PathBuf> },
    /// Removes a directory and all that is in it.
    Remove { directory: PathBuf },
    /// Locks a file, says so by a byte, and holds it until its input ends.
    Lock { file: PathBuf, shared: bool },
}

/// A process that does `work` once it is let go on. Its output is the result; an error is JSON on its standard error.
pub fn launch(work: Work, uids: &[IdMapping], gids: &[IdMapping], streams: Streams) -> Result<Launched> {
    // Who is not root is root over the own files in a user namespace, that of the containers.
    let as_caller = matches!(work, Work::Lock { .. } | Work::Receive { .. } | Work::Send { .. });
    let needs_rights = !rustix::process::geteuid().is_root() && !as_caller;
    let flags = if needs_rights { NamespaceKind::User.flag() } else { 0 };
    let owners = if needs_rights && uids.len() < 2 { unpack::Owners::Root } else { unpack::Owners::Kept };
    let (ours, theirs) = Channel::pair()?;
    let cloned = sys::clone3(flags, None).map_err(|errno| namespaces::refused(flags, errno))?;
    let Some(Cloned { pid, pidfd }) = cloned else {
        drop(ours);
        run(streams, &theirs, Vec::new(), || carry_out(&work, owners))
    };
    drop(theirs);
    let launched = Launched::new(pid, pidfd, ours);
    if flags != 0 {
        namespaces::map_ids(pid, uids, gids).inspect_err(|_| launched.abandon())?;
    }
    Ok(launched)
}

/// A process that writes what is in `layer` as an archive, with the rights of the root of the container whose first process
/// is `init`, and with none on the host. In no other namespace or group of its, it cannot be seen there, and does not stand
/// still with it.
pub fn launch_packing(layer: &OwnedFd, init: BorrowedFd<'_>, streams: Streams) -> Result<Launched> {
    let (ours, theirs) = Channel::pair()?;
    let cloned = sys::clone3(0, None).map_err(|errno| namespaces::refused(0, errno))?;
    let Some(Cloned { pid, pidfd }) = cloned else {
        drop(ours);
        run(streams, &theirs, vec![layer.as_raw_fd(), init.as_raw_fd()], || pack_as_root(layer, init))
    };
    Ok(Launched::new(pid, pidfd, ours))
}

fn pack_as_root(layer: &OwnedFd, init: BorrowedFd<'_>) -> Result<()> {
    sys::setns(init, NamespaceKind::User.flag()).during("joining the container")?;
    // Other rights have cleared it.
    process::tie(true)?;
    let mut output = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    pack::pack(layer.try_clone().during("opening the writable layer")?, &mut output)?;
    output.flush().during("writing the archive")
}

/// Does `work` once it is let go on, with the descriptors `kept`.
fn run(streams: Streams, channel: &Channel, kept: Vec<RawFd>, work: impl FnOnce() -> Result<()>) -> ! {
    let prepare = || {
        channel.wait()?;
        rustix::process::setsid().during("beginning a session")?;
        sys::reset_signals();
        if let Streams::Given(streams) = &streams {
            init::take_streams(streams)?;
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during("tying it to the runtime")?;
        channel.send(&Report::Ready)?;
        // The runtime's ends of pipes are among what was inherited: with one of them open here, an end would never come.
        sys::close_all_but(kept).during("closing descriptors")
    };
    if let Err(error) = prepare() {
        drop(channel.send(&Report::Failed(error)));
        std::process::exit(1);
    }
    rustix::process::umask(Mode::empty());
    let done = work();
    if let Err(error) = &done {
        let failure = serde_json::to_vec(&Failure::from(error.clone())).unwrap_or_default();
        drop(std::io::stderr().write_all(&failure));
    }
    std::process::exit(i32::from(done.is_err()))
}

fn carry_out(work: &Work, owners: unpack::Owners) -> Result<()> {
    match work {
        Work::Unpack { directory, lowers, limits } => {
            let form = unpack::Form::Layer { lowers: open_all(lowers)?, owners };
            let unpacked = unpack::unpack(input(), open(directory)?, *limits, form)?;
            let text = serde_json::to_vec(&unpacked).unwrap_or_default();
            std::io::stdout().write_all(&text).during("telling what was unpacked")
        }
        Work::Receive { directory, limits, owners } => {
            let owners = if *owners { unpack::Owners::Kept } else { unpack::Owners::Own };
            // Whoever made them must not decide what runs as this user.
            let form = unpack::Form::Tree { owners, set_ids: false };
            Ok(unpack::unpack(input(), open(directory)?, *limits, form).map(drop)?)
        }
        Work::Send { directory, entry, name } => {
            let entry = CString::new(entry.as_bytes()).map_err(|_| unnameable(entry))?;
            let mut output = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
            pack::pack_tree(&open(directory)?, &entry, name.as_bytes(), &mut output)?;
            output.flush().during("writing the archive")
        }
        Work::Pack { directory, file } => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let archive = rustix::fs::openat(CWD, file, flags, Mode::from_raw_mode(0o600))
                .during(format!("making {}", file.display()))?;
            let mut output = BufWriter::with_capacity(1 << 16, File::from(archive));
            pack::pack(open(directory)?, &mut output)?;
            output.flush().during("writing the archive")
        }
        Work::Diff { directory, lowers } => {
            let changes = diff::diff(&open(directory)?, &open_all(lowers)?)?;
            let text = serde_json::to_vec(&changes).unwrap_or_default();
            std::io::stdout().write_all(&text).during("telling the changes")
        }
        Work::Remove { directory } => match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.during(format!("removing {}", directory.display())),
        },
        Work::Lock { file, shared } => {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
            let during = || format!("locking {}", file.display());
            let lock = rustix::fs::openat(CWD, file, flags, Mode::from_raw_mode(0o600)).during(during())?;
            let kind = if *shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
            rustix::fs::flock(&lock, kind).during(during())?;
            std::io::stdout().write_all(b"\n").and_then(|()| std::io::stdout().flush()).during(during())?;
            std::io::stdin().lock().read_to_end(&mut Vec::new()).during(during()).map(drop)
        }
    }
}

fn input() -> impl Read {
    BufReader::with_capacity(1 << 16, std::io::stdin().lock())
}

fn unnameable(name: &str) -> Error {
    Error::OptionInvalid { option: format!("the name {name:?}"), expected: "text without a zero byte".into() }
}

fn open_all(directories: &[PathBuf]) -> Result<Vec<OwnedFd>> {
    directories.iter().map(|directory| open(directory)).collect()
}

fn open(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, directory, flags, Mode::empty()).during(format!("opening {}", directory.display()))
}

//! Masked and read-only paths (config-linux.md).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::options::Options;
use super::{Tree, attach, clone_handle, filesystem};
use crate::error::{During, Error, Result};
use crate::spec::Linux;
use crate::sys::{self, MountAttributes};

/// What tells of the host or changes it.
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What may be looked at.
pub const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Lists these paths where the configuration lists none.
pub fn complete(linux: &mut Linux) {
    for (paths, own) in [(&mut linux.masked_paths, &MASKED[..]), (&mut linux.readonly_paths, &READ_ONLY)] {
        if paths.is_empty() {
            *paths = own.iter().map(PathBuf::from).collect();
        }
    }
}

/// The host's `/dev/null`, opened while paths still lead to the host. A container that puts something else in its place
/// must not be able to choose what its masked paths show.
pub fn open_null() -> Result<OwnedFd> {
    let null = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .during("opening /dev/null")?;
    let stat = rustix::fs::fstat(&null).during("looking at /dev/null")?;
    match FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == rustix::fs::makedev(1, 3) {
        true => Ok(null),
        false => Err(Error::System { operation: "opening /dev/null".into(), reason: "it is another device".into() }),
    }
}

/// Hides and protects what the configuration lists. What is not there needs no protection.
pub fn protect(tree: &Tree, linux: &Linux, null: &OwnedFd) -> Result<()> {
    for path in &linux.readonly_paths {
        if let Some(target) = find(tree, path)? {
            make_read_only(&target).map_err(|errno| Error::mount(path.display().to_string(), errno))?;
        }
    }
    let mut empty = None;
    for path in &linux.masked_paths {
        if let Some(target) = find(tree, path)? {
            mask(&target, null, &mut empty).map_err(|reason| Error::mount(path.display().to_string(), reason))?;
        }
    }
    Ok(())
}

fn find(tree: &Tree, path: &Path) -> Result<Option<OwnedFd>> {
    match tree.inside().open(path) {
        Ok(target) => Ok(Some(target)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(Error::mount(path.display().to_string(), errno)),
    }
}

fn make_read_only(target: &OwnedFd) -> Result<(), Errno> {
    let copy = clone_handle(target.as_fd(), true)?;
    let attributes = MountAttributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
    sys::mount_setattr(copy.as_fd(), attributes, true)?;
    attach(copy.as_fd(), target.as_fd())
}

/// A file becomes empty; a directory too, and read-only. `empty` is made for the first directory and shown by all.
fn mask(target: &OwnedFd, null: &OwnedFd, empty: &mut Option<OwnedFd>) -> Result<(), String> {
    let is_dir = FileType::from_raw_mode(rustix::fs::fstat(target).map_err(text)?.st_mode).is_dir();
    let cover = match (is_dir, &*empty) {
        (false, _) => clone_handle(null.as_fd(), false).map_err(text)?,
        (true, Some(empty)) => clone_handle(empty.as_fd(), false).map_err(text)?,
        (true, None) => {
            let options = Options { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
            let made = filesystem::make("tmpfs", Path::new("tmpfs"), &options)?;
            attach(made.as_fd(), target.as_fd()).map_err(text)?;
            *empty = Some(made);
            return Ok(());
        }
    };
    attach(cover.as_fd(), target.as_fd()).map_err(text)
}

fn text(errno: Errno) -> String {
    errno.to_string()
}

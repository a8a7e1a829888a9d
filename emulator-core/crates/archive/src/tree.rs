//! A tree of files copied from one directory to another, with all that is known of them.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};

use crate::error::{During, Error, Result};
use crate::lower::{self, adorn};
use crate::pack::{join, look_at, names};

/// Makes the empty directory `to` what `from` is: its owner and mode, and copies of what is in it. Devices and sockets are left
/// out. One that is not empty stays as it is; whoever else fills it is waited for. After an error it is empty again.
pub fn fill(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    rustix::fs::flock(to, FlockOperation::LockExclusive).during("locking a volume")?;
    if !names(to)?.is_empty() {
        return Ok(());
    }
    let filled = copy_contents(from, b"", to).and_then(|()| {
        let stat = rustix::fs::fstat(from).during("looking at a directory")?;
        adorn(from, &stat, to).during("filling a volume")
    });
    filled.inspect_err(|_| {
        // What cannot be removed, either, is all that can be done.
        let _ = clear(to);
    })
}

fn copy_contents(from: &OwnedFd, path: &[u8], to: &OwnedFd) -> Result<()> {
    let directory = open_below(from, path)?;
    for name in names(&directory)? {
        let path = join(path, name.to_bytes());
        let failed = |errno| Error::system("copying", &path, errno);
        let Some(stat) = look_at(&directory, &name, &path)? else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, &name, Mode::from_raw_mode(0o700)).map_err(failed)?;
                let made = open(to, &name).map_err(failed)?;
                copy_contents(from, &path, &made)?;
                adorn(open(&directory, &name).map_err(failed)?, &stat, &made).map_err(failed)?;
                rustix::fs::futimens(&made, &lower::times(&stat)).map_err(failed)?;
            }
            FileType::RegularFile | FileType::Symlink | FileType::Fifo => {
                lower::copy_up(from, &path, to, &name)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn open_below(from: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    lower::open(from, path, OFlags::DIRECTORY).map_err(|errno| Error::system("reading", path, errno))
}

fn open(parent: &OwnedFd, name: &std::ffi::CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Removes all that is in a directory.
fn clear(directory: &OwnedFd) -> Result<()> {
    for name in names(directory)? {
        let removed = match open(directory, &name) {
            Ok(below) => {
                clear(&below)?;
                rustix::fs::unlinkat(directory, &name, AtFlags::REMOVEDIR)
            }
            Err(_) => rustix::fs::unlinkat(directory, &name, AtFlags::empty()),
        };
        removed.during("emptying a directory")?;
    }
    Ok(())
}
